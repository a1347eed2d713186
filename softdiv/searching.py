"""What a searcher works with beside :class:`softdiv.SearchTask`: every name a plugin may rely on.

Answers and their scores: :class:`Request`, :class:`Context`, the mixtures. Positions scored
under fixed answers, with gradients: :func:`both_states`, :func:`targets_of`, :func:`row_values`,
:func:`jsd`. Weights of the pair: :func:`matrix_changes`. States at words: :func:`word_states`.
Prompts changed token by token: :func:`answered`, :func:`bits_gradient`, :func:`swap_gains`,
:func:`likely_swaps`. What a step will cost: :func:`answers_cost`, :func:`gradient_cost`,
:func:`selection_cost`.
"""

from softdiv.divergence.chunked import row_values
from softdiv.divergence.kernels import jsd
from softdiv.divergence.rollouts import FROM_MODEL_1, FROM_MODEL_2, Rollouts, amplified
from softdiv.pair.input_space import vectors
from softdiv.pair.inputs import common_prefix
from softdiv.pair.layout import Context, Layout
from softdiv.pair.manager import ModelPair
from softdiv.pair.sampling import Sampling, mix
from softdiv.pair.teacher_forcing import (
    both_states,
    prompt_log_likelihoods,
    response_states,
    targets_of,
)
from softdiv.pair.vocabulary import read_together, word_states
from softdiv.pair.weight_change import MatrixChange, matrix_changes
from softdiv.pair.words import token_texts, word_beginnings
from softdiv.pair.wrapper import ModelWrapper
from softdiv.search.budget import FteBudget
from softdiv.search.cost import (
    answers_cost,
    gradient_cost,
    header_cost,
    selection_cost,
    usual_row,
)
from softdiv.search.swaps import (
    AnsweredPrompt,
    answer_bits,
    answered,
    bits_gradient,
    filled,
    likely_swaps,
    printable_tokens,
    random_prompt,
    stream,
    surprise_gains,
    surprises,
    swap_gains,
    typeable,
    word_tokens,
)
from softdiv.search.task import Request, SearchTask
from softdiv.search.words import TEMPLATES, over_represented

__all__ = [
    "FROM_MODEL_1",
    "FROM_MODEL_2",
    "TEMPLATES",
    "AnsweredPrompt",
    "Context",
    "FteBudget",
    "Layout",
    "MatrixChange",
    "ModelPair",
    "ModelWrapper",
    "Request",
    "Rollouts",
    "Sampling",
    "SearchTask",
    "amplified",
    "answer_bits",
    "answered",
    "answers_cost",
    "bits_gradient",
    "both_states",
    "common_prefix",
    "filled",
    "gradient_cost",
    "header_cost",
    "jsd",
    "likely_swaps",
    "matrix_changes",
    "mix",
    "over_represented",
    "printable_tokens",
    "prompt_log_likelihoods",
    "random_prompt",
    "read_together",
    "response_states",
    "row_values",
    "selection_cost",
    "stream",
    "surprise_gains",
    "surprises",
    "swap_gains",
    "targets_of",
    "token_texts",
    "typeable",
    "usual_row",
    "vectors",
    "word_beginnings",
    "word_states",
    "word_tokens",
]
