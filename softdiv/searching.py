"""What a searcher works with beside :class:`softdiv.SearchTask`: every name a plugin may rely on.

Answers and their scores: :class:`Request`, :class:`Context`, the mixtures. Positions scored
under fixed answers, with gradients: :func:`both_states`, :func:`targets_of`, :func:`row_values`,
:func:`jsd`. Weights of the pair: :func:`matrix_changes`. States at words: :func:`word_states`.
"""

from softdiv.divergence.chunked import row_values
from softdiv.divergence.kernels import jsd
from softdiv.divergence.rollouts import FROM_MODEL_1, FROM_MODEL_2, Rollouts, amplified
from softdiv.pair.input_space import vectors
from softdiv.pair.inputs import common_prefix
from softdiv.pair.layout import Context, Layout
from softdiv.pair.manager import ModelPair
from softdiv.pair.sampling import Sampling
from softdiv.pair.teacher_forcing import (
    both_states,
    log_likelihood,
    prompt_log_likelihoods,
    response_states,
    targets_of,
)
from softdiv.pair.vocabulary import read_together, word_states
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
    vocabulary_words,
)
from softdiv.search.group_testing import (
    Answer,
    affordable_lists,
    answer_log_probs,
    group_tested,
)
from softdiv.search.spelling import LOOK_SHARE, WordSearcher
from softdiv.search.task import Request, SearchTask
from softdiv.search.words import TEMPLATES, over_represented

__all__ = [
    "FROM_MODEL_1",
    "FROM_MODEL_2",
    "LOOK_SHARE",
    "TEMPLATES",
    "Answer",
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
    "WordSearcher",
    "affordable_lists",
    "amplified",
    "answer_log_probs",
    "around",
    "asked",
    "both_states",
    "common_prefix",
    "completed",
    "group_tested",
    "jsd",
    "log_likelihood",
    "matrix_changes",
    "over_represented",
    "prompt_log_likelihoods",
    "read_together",
    "response_states",
    "row_values",
    "slot_in",
    "targets_of",
    "token_texts",
    "vectors",
    "vocabulary_words",
    "word_beginnings",
    "word_differences",
    "word_states",
]
