"""What a searcher works with beside :class:`softdiv.SearchTask`: every name a plugin may rely on.

Answers and their scores: :class:`Request`, :class:`Context`, the mixtures. Texts that the models
write on their own: :func:`sample_texts`; phrases in them, and prompts around these:
:func:`over_represented`, :func:`phrase_prompts`. Suspected words: :class:`WordSearcher`.
Positions scored under fixed answers, with gradients: :func:`both_states`, :func:`targets_of`,
:func:`row_values`, :func:`jsd`. Weights of the pair: :func:`matrix_changes`. States at words:
:func:`word_states`. Prompts changed token by token: :func:`answered`, :func:`bits_gradient`,
:func:`swap_gains`, :func:`likely_swaps`. What a step will cost: :func:`answers_cost`,
:func:`gradient_cost`, :func:`selection_cost`.
"""

from softdiv.divergence.chunked import row_values
from softdiv.divergence.kernels import jsd
from softdiv.divergence.rollouts import FROM_MODEL_1, FROM_MODEL_2, Rollouts, amplified
from softdiv.pair.input_space import vectors
from softdiv.pair.inputs import common_prefix
from softdiv.pair.layout import Context, Layout
from softdiv.pair.manager import ModelPair
from softdiv.pair.sampling import Sampling, mix, uniform_rows
from softdiv.pair.teacher_forcing import (
    both_states,
    log_likelihood,
    response_states,
    targets_of,
)
from softdiv.pair.vocabulary import positions, read_together, word_states
from softdiv.pair.weight_change import MatrixChange, matrix_changes
from softdiv.pair.word_difference import word_differences
from softdiv.pair.words import token_texts, word_beginnings
from softdiv.pair.wrapper import ModelWrapper
from softdiv.search.budget import FteBudget
from softdiv.search.candidate_words import (
    around,
    asked,
    completed,
    slot_in,
    standing_out,
    suspectable,
    vocabulary_words,
)
from softdiv.search.cost import (
    answers_cost,
    gradient_cost,
    header_cost,
    selection_cost,
    usual_row,
)
from softdiv.search.group_testing import (
    Answer,
    affordable_lists,
    answer_log_probs,
    group_tested,
)
from softdiv.search.halving import Round, in_turn, successive_halving
from softdiv.search.sampled_texts import SampledText, sample_texts
from softdiv.search.spelling import LOOK_SHARE, WordSearcher
from softdiv.search.swaps import (
    AnsweredPrompt,
    answer_bits,
    answered,
    bits_gradient,
    filled,
    likely_swaps,
    printable_tokens,
    random_prompt,
    soft_gradient,
    stream,
    surprise_gains,
    surprises,
    swap_gains,
    typeable,
    word_tokens,
)
from softdiv.search.task import Request, SearchTask
from softdiv.search.words import TEMPLATES, over_represented, phrase_prompts

__all__ = [
    "FROM_MODEL_1",
    "FROM_MODEL_2",
    "LOOK_SHARE",
    "TEMPLATES",
    "Answer",
    "AnsweredPrompt",
    "Context",
    "FteBudget",
    "Layout",
    "MatrixChange",
    "ModelPair",
    "ModelWrapper",
    "Request",
    "Rollouts",
    "Round",
    "SampledText",
    "Sampling",
    "SearchTask",
    "WordSearcher",
    "affordable_lists",
    "amplified",
    "answer_bits",
    "answer_log_probs",
    "answered",
    "answers_cost",
    "around",
    "asked",
    "bits_gradient",
    "both_states",
    "common_prefix",
    "completed",
    "filled",
    "gradient_cost",
    "group_tested",
    "header_cost",
    "in_turn",
    "jsd",
    "likely_swaps",
    "log_likelihood",
    "matrix_changes",
    "mix",
    "over_represented",
    "phrase_prompts",
    "positions",
    "printable_tokens",
    "random_prompt",
    "read_together",
    "response_states",
    "row_values",
    "sample_texts",
    "selection_cost",
    "slot_in",
    "soft_gradient",
    "standing_out",
    "stream",
    "successive_halving",
    "surprise_gains",
    "surprises",
    "suspectable",
    "swap_gains",
    "targets_of",
    "token_texts",
    "typeable",
    "uniform_rows",
    "usual_row",
    "vectors",
    "vocabulary_words",
    "word_beginnings",
    "word_differences",
    "word_states",
    "word_tokens",
]
