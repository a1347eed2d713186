"""Built-in plugin: analyzers, each a section of the report."""

from softdiv import Analyzer, Register, hookimpl
from softdiv.builtin.analyzers.attention import Attention
from softdiv.builtin.analyzers.behaviours import Clusters
from softdiv.builtin.analyzers.meaning import SemanticDifferences
from softdiv.builtin.analyzers.positions import DivergenceByPosition
from softdiv.builtin.analyzers.tokens import TokenDisagreements


@hookimpl
def softdiv_register_analyzers(register: Register[Analyzer]) -> None:
    """Register the analyzers."""
    register("divergence_by_position", DivergenceByPosition)
    register("token_disagreements", TokenDisagreements)
    register("semantic_differences", SemanticDifferences)
    register("clusters", Clusters)
    register("attention", Attention)
