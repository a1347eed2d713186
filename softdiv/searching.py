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

from softdiv.divergence.chunked import row_values as row_values
from softdiv.divergence.kernels import jsd as jsd
from softdiv.divergence.rollouts import (
    FROM_MODEL_1 as FROM_MODEL_1,
    FROM_MODEL_2 as FROM_MODEL_2,
    Rollouts as Rollouts,
    amplified as amplified,
)
from softdiv.pair.input_space import vectors as vectors
from softdiv.pair.inputs import common_prefix as common_prefix
from softdiv.pair.layout import (
    Context as Context,
    Layout as Layout,
)
from softdiv.pair.manager import ModelPair as ModelPair
from softdiv.pair.sampling import (
    Sampling as Sampling,
    mix as mix,
    uniform_rows as uniform_rows,
)
from softdiv.pair.teacher_forcing import (
    both_states as both_states,
    log_likelihood as log_likelihood,
    response_states as response_states,
    targets_of as targets_of,
)
from softdiv.pair.vocabulary import (
    positions as positions,
    read_together as read_together,
    word_states as word_states,
)
from softdiv.pair.weight_change import (
    MatrixChange as MatrixChange,
    matrix_changes as matrix_changes,
)
from softdiv.pair.word_difference import word_differences as word_differences
from softdiv.pair.words import (
    token_texts as token_texts,
    word_beginnings as word_beginnings,
)
from softdiv.pair.wrapper import ModelWrapper as ModelWrapper
from softdiv.search.budget import FteBudget as FteBudget
from softdiv.search.candidate_words import (
    around as around,
    asked as asked,
    completed as completed,
    slot_in as slot_in,
    standing_out as standing_out,
    suspectable as suspectable,
    vocabulary_words as vocabulary_words,
)
from softdiv.search.cost import (
    answers_cost as answers_cost,
    gradient_cost as gradient_cost,
    header_cost as header_cost,
    selection_cost as selection_cost,
    usual_row as usual_row,
)
from softdiv.search.group_testing import (
    Answer as Answer,
    affordable_lists as affordable_lists,
    group_tested as group_tested,
)
from softdiv.search.halving import (
    Round as Round,
    in_turn as in_turn,
    successive_halving as successive_halving,
)
from softdiv.search.sampled_texts import (
    SampledText as SampledText,
    sample_texts as sample_texts,
)
from softdiv.search.spelling import (
    LOOK_SHARE as LOOK_SHARE,
    WordSearcher as WordSearcher,
)
from softdiv.search.swaps import (
    AnsweredPrompt as AnsweredPrompt,
    answered as answered,
    bits_gradient as bits_gradient,
    filled as filled,
    likely_swaps as likely_swaps,
    printable_tokens as printable_tokens,
    random_prompt as random_prompt,
    stream as stream,
    surprise_gains as surprise_gains,
    surprises as surprises,
    swap_gains as swap_gains,
    typeable as typeable,
    word_tokens as word_tokens,
)
from softdiv.search.task import (
    Request as Request,
    SearchTask as SearchTask,
)
from softdiv.search.words import (
    TEMPLATES as TEMPLATES,
    over_represented as over_represented,
    phrase_prompts as phrase_prompts,
)
