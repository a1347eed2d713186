"""Built-in plugin: model loaders ``hf`` and ``tiny``."""

from softdiv import hookimpl
from softdiv.builtin.loaders.hf import HfLoader
from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.plugin.registry import Register


@hookimpl
def softdiv_register_models(register: Register) -> None:
    """Register both loaders."""
    register("hf", HfLoader)
    register("tiny", TinyLoader)
