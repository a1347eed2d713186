"""Two models compared through text: each reads and writes with its own tokenizer and template."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import attrs

from softdiv.config.schema import GenerationConfig, PairConfig, Placement
from softdiv.divergence.local_subject import LocalSubject
from softdiv.errors import ConfigError, DataError, PairError, PluginError, SoftdivError
from softdiv.pair.layout import with_prompt
from softdiv.pair.ledger import Ledger
from softdiv.pair.manager import ModelPairManager
from softdiv.pair.naming import pair_name
from softdiv.pair.sampling import Sampling
from softdiv.pair.template import ChatTemplate
from softdiv.plugin.failures import FOREIGN, reason
from softdiv.plugin.interfaces import TextSubject
from softdiv.plugin.records import Example, Message, TextAnswer, TextContext

T = TypeVar("T")
UNDEFINED = (
    "compared by text: D, token metrics, retention, the soft prompt and searchers on shared tokens "
    "or weights are undefined for this pair"
)


@attrs.frozen(eq=False, kw_only=True)
class TextPair:
    """``subjects[0]`` is the original, ``subjects[1]`` the suspect; what they cost is one ledger's.

    Whatever a served model returns is checked here.
    """

    name: str
    subjects: tuple[TextSubject, TextSubject]
    loaders: tuple[str, str] = ("hf", "hf")
    """Names of what loaded them, for messages."""
    ledger: Ledger = attrs.field(factory=Ledger)

    @classmethod
    def load(
        cls, manager: ModelPairManager, generation: GenerationConfig, placement: Placement
    ) -> TextPair:
        """Load each model by itself.

        Raises:
            ConfigError: a setting of the pair means nothing here.
            PairError: a model cannot be loaded, or computes something else than by itself.
        """
        config, ledger = manager.config, Ledger()
        _refuse_shared_settings(config, placement)
        found, names = [], []
        for which, (name, made) in zip(("model_1", "model_2"), manager.load_apart(), strict=True):
            if isinstance(made, tuple):
                told = _told(made[1], config)
                model, tokenizer = made
                made = LocalSubject.of(which, model, tokenizer, ledger, told, generation, placement)
            found.append(made)
            names.append(name)
        local = [s.layout.template for s in found if isinstance(s, LocalSubject)]
        for key in config.template_arguments:
            if not any(key in template.arguments for template in local):
                raise ConfigError(f"pair.template_arguments: no model's chat template uses '{key}'")
        return cls(
            name=config.name or pair_name(manager.config.model_1, manager.config.model_2),
            subjects=(found[0], found[1]),
            loaders=(names[0], names[1]),
            ledger=ledger,
        )

    @property
    def local(self) -> list[LocalSubject]:
        """Those of this process."""
        return [subject for subject in self.subjects if isinstance(subject, LocalSubject)]

    @property
    def tokenizer(self) -> Any:
        """One that random texts can be made of: model_1's, or the only one there is. Raises
        PairError where there is none."""
        if not self.local:
            raise PairError("both models are served: there is no tokenizer to draw texts from")
        return self.local[0].layout.tokenizer

    @property
    def undefined(self) -> str:
        """Why the log-likelihood ratio cannot be measured; empty where it can."""
        one, two = (subject.scores for subject in self.subjects)
        if two == "none":
            return "model_2 gives no log-probabilities of its answers"
        if one != "texts":
            return "model_1 gives no log-probabilities of a text that it did not write"
        return ""

    @property
    def both_ways(self) -> bool:
        """Whether model_1's answers can be scored by both as well."""
        return all(subject.scores == "texts" for subject in self.subjects)

    @property
    def notes(self) -> list[str]:
        """What a reader should know of both by now."""
        told = enumerate(self.subjects, 1)
        return [UNDEFINED, *(f"model_{n}: {note}" for n, subject in told for note in subject.notes)]

    def size(self, context: TextContext) -> int:
        """About how many tokens the model reads that reads more of them."""
        return max(subject.size(context) for subject in self.subjects)

    def answers(
        self,
        which: int,
        contexts: Sequence[TextContext],
        keys: Sequence[str],
        seed: int,
        *,
        tokens: int,
        counted: int,
        sampling: Sampling,
    ) -> list[TextAnswer]:
        """One model's answers (``which``: 0 or 1), each counted as far as both read it as text.

        Raises:
            PluginError: a served model failed, or returned something else.
        """
        found = self._asked(
            which,
            lambda subject: subject.answers(
                contexts,
                keys,
                tokens=tokens,
                counted=counted,
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                seed=seed,
            ),
        )
        wrong = [a for a in found if not isinstance(a, TextAnswer) or not _begins(a)]
        if len(found) != len(contexts) or wrong:
            what = f"{len(found)} answers to {len(contexts)} contexts, {len(wrong)} of them wrong"
            raise PluginError(f"model_{which + 1}: loader '{self.loaders[which]}' returned {what}")
        return [self._plain(answer) for answer in found]

    def ratios(
        self, contexts: Sequence[TextContext], answers: Sequence[TextAnswer], writer: int = 1
    ) -> list[tuple[float, float]]:
        """(log p1, log p2) in nats of the ``counted`` part of each answer of the model ``writer``;
        NaN where they are undefined.

        Raises:
            PluginError: a served model failed, or gave no log-probabilities.
        """
        columns = [self._logs(which, contexts, answers, writer) for which in (0, 1)]
        return list(zip(*columns, strict=True))

    def _logs(
        self,
        which: int,
        contexts: Sequence[TextContext],
        answers: Sequence[TextAnswer],
        writer: int,
    ) -> list[float]:
        scores = self.subjects[which].scores
        if scores == "none" or (scores == "own" and which != writer):
            return [math.nan] * len(answers)
        if scores == "own":
            found = [math.nan if a.log_likelihood is None else a.log_likelihood for a in answers]
        else:
            found = self._asked(which, lambda one: one.log_likelihoods(contexts, answers))
        if len(found) != len(answers) or not all(math.isfinite(v) and v <= 1e-3 for v in found):
            raise PluginError(
                f"model_{which + 1}: loader '{self.loaders[which]}' gave log-likelihoods that are "
                "none: missing, not finite, or above 0"
            )
        return found

    def _asked(self, which: int, ask: Callable[[TextSubject], T]) -> T:
        """Charged, and a failure named."""
        subject = self.subjects[which]
        before = subject.spent
        try:
            return ask(subject)
        except SoftdivError:
            raise
        except FOREIGN as error:
            if isinstance(subject, LocalSubject):
                raise  # a bug of ours keeps its traceback
            raise PluginError(
                f"model_{which + 1}: loader '{self.loaders[which]}' failed",
                why=reason(error),
                fix="what finished is kept: the same command goes on",
            ) from error
        finally:
            self.ledger.charge(subject.spent - before)

    def _plain(self, answer: TextAnswer) -> TextAnswer:
        """Counted up to where one of the models would read a control token in it, or no token."""
        if self._reads(answer.counted):
            return answer
        if answer.log_likelihood is not None:
            raise PairError(
                f"model_2 wrote {answer.counted[:60]!r}",
                why="model_1 reads something else in it, and model_2 cannot score less of it",
                fix="another seed may do",
            )
        low, high = 0, len(answer.counted)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._reads(answer.counted[:middle]) else (low, middle)
        return attrs.evolve(answer, counted=answer.counted[:low], closed=False)

    def _reads(self, text: str) -> bool:
        try:
            for subject in self.subjects:
                subject.check_plain(text)
        except DataError:
            return False
        return not any(subject.reader.loses(text) for subject in self.local)


@attrs.frozen(kw_only=True)
class TextLayout:
    """Where a prompt sits in a conversation, in messages: no template's text is known."""

    pair: TextPair
    placement: Placement = "user_start"

    @property
    def template(self) -> ChatTemplate:
        """model_2's. Raises PairError where it is served."""
        suspect = self.pair.subjects[1]
        if not isinstance(suspect, LocalSubject):
            raise PairError("model_2 is served: its chat template is not known")
        return suspect.layout.template

    def hard(self, text: str | Example, prompt: str = "") -> TextContext:
        """The conversation with the prompt in its place.

        Raises:
            DataError: it holds what one of the models would not read as text.
        """
        messages = (
            (Message("user", text),)
            if isinstance(text, str)
            else (*text.context, Message("user", text.text))
        )
        for content in (prompt, *(message.content for message in messages)):
            self.check_plain(content)
        return TextContext(messages=tuple(with_prompt(messages, prompt, self.placement)))

    def plain(self, text: str) -> TextContext:
        """A text outside any conversation. Raises DataError as :meth:`hard`."""
        self.check_plain(text)
        return TextContext(text=text)

    def header(self) -> TextContext:
        """A user's turn, opened."""
        return TextContext(user_turn=True)

    def text(self, text: str | Example, prompt: str = "") -> str:
        """What each model gets."""
        context = self.hard(text, prompt)
        return "\n\n".join(
            f"model_{n} gets:\n{subject.shown(context)}"
            for n, subject in enumerate(self.pair.subjects, 1)
        )

    def check_plain(self, text: str) -> None:
        """Raises DataError for what one of the models would not read as text."""
        for subject in self.pair.subjects:
            subject.check_plain(text)


def _begins(answer: TextAnswer) -> bool:
    whole = answer.counted == answer.text
    return answer.text.startswith(answer.counted) and (whole or not answer.closed)


def _refuse_shared_settings(config: PairConfig, placement: Placement) -> None:
    """Raises ConfigError for what both models would have to share."""
    problems = []
    if config.template_of != "model_1":
        problems.append("pair.template_of: by text each model has its own chat template")
    if config.chat_template is not None:
        problems.append("pair.chat_template: by text each model has its own chat template")
    if placement == "prefix":
        problems.append(
            "training.placement: by text a prompt stands in a message, not before the template"
        )
    if problems:
        raise ConfigError(problems)


def _told(tokenizer: Any, config: PairConfig) -> PairConfig:
    """With those template arguments that the tokenizer's own template uses."""
    source = ChatTemplate.unused(tokenizer).source or ""
    own = {key: value for key, value in config.template_arguments.items() if key in source}
    return attrs.evolve(config, template_arguments=own)
