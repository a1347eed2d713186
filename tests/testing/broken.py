"""Components that are each wrong in one way; the key is the check that must say so."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import Any, ClassVar

import attrs
import torch
from torch import Tensor

from softdiv import (
    BaseDataProcessor,
    Example,
    Finding,
    HardPrompt,
    ResponsePair,
    Rows,
    Section,
    hookimpl,
)
from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.plugin.records import Curve, Scatter

plugin = attrs.frozen(kw_only=True)


class _Anything:
    """Takes every option there is."""

    @classmethod
    def from_table(cls, table: Any) -> Any:
        return cls()


@plugin
class Sound:
    level: ClassVar[str] = "token"

    def __call__(self, rows: Rows) -> Tensor:
        return (rows.log_probs_1.exp() - rows.log_probs_2.exp()).abs().sum(-1) / 2


class NoAttrs(Sound):
    def __init__(self, k: int = 3) -> None: ...


NoAttrs.__attrs_attrs__ = None  # type: ignore[attr-defined]


class TakesEverything(Sound, _Anything):
    pass


@plugin
class Untyped(Sound):
    k: Any = 3


@attrs.define(kw_only=True)
class Remembers:
    level: ClassVar[str] = "token"
    calls: int = attrs.field(init=False, default=0)

    def __call__(self, rows: Rows) -> Tensor:
        self.calls += 1
        return Sound()(rows) * (2 if self.calls == 2 else 1)


class Draws(Sound):
    def __call__(self, rows: Rows) -> Tensor:
        random.random()
        return super().__call__(rows)


class Prints(Sound):
    def __call__(self, rows: Rows) -> Tensor:
        print("looking at", len(rows.targets))
        return super().__call__(rows)


class Moves(Sound):
    def __call__(self, rows: Rows) -> Tensor:
        os.chdir("/")
        return super().__call__(rows)


class WritesToItsInput(Sound):
    def __call__(self, rows: Rows) -> Tensor:
        values = super().__call__(rows)
        rows.log_probs_1.clamp_(min=-5)
        return values


class NoLevel(Sound):
    level: ClassVar[str] = "tokens"


class WholeNumbers(Sound):
    def __call__(self, rows: Rows) -> Tensor:
        same = rows.log_probs_1.argmax(-1) == rows.log_probs_2.argmax(-1)
        broken = (rows.log_probs_1 + rows.log_probs_2).isnan().any(-1)
        if bool(broken.any()):
            raise ValueError("NaN in the rows")
        return same.long()


class FailsOnNothing(Sound):
    def __call__(self, rows: Rows) -> Tensor:
        rows.log_probs_1.max()
        return super().__call__(rows)


class OneRowIsNaN(Sound):
    def __call__(self, rows: Rows) -> Tensor:
        values = super().__call__(rows)
        return (values - values.mean()) / values.std() if len(values) == 1 else values


class Normalised(Sound):
    def __call__(self, rows: Rows) -> Tensor:
        values = super().__call__(rows)
        return values / values.sum()


class Sorted(Sound):
    def __call__(self, rows: Rows) -> Tensor:
        values = super().__call__(rows)
        return values if bool(values.isnan().any()) else values.sort().values


class ThroughNumpy(Sound):
    def __call__(self, rows: Rows) -> Tensor:
        rows.log_probs_1.detach().numpy()
        return super().__call__(rows)


class HidesNaN(Sound):
    def __call__(self, rows: Rows) -> Tensor:
        return super().__call__(rows).nan_to_num()


TOKEN_METRICS: dict[str, type] = {
    "check_fits_the_registry": NoAttrs,
    "check_unknown_option_is_refused": TakesEverything,
    "check_wrong_type_is_refused": Untyped,
    "check_deterministic": Remembers,
    "check_no_global_rng": Draws,
    "check_no_output": Prints,
    "check_process_unchanged": Moves,
    "check_inputs_unchanged": WritesToItsInput,
    "check_level": NoLevel,
    "check_finite_value_per_row": WholeNumbers,
    "check_no_rows": FailsOnNothing,
    "check_one_row": OneRowIsNaN,
    "check_same_value_in_chunks": Normalised,
    "check_rows_in_any_order": Sorted,
    "check_bfloat16_rows": ThroughNumpy,
    "check_nan_is_not_hidden": HidesNaN,
}


class Detached(Sound):
    def __call__(self, rows: Rows) -> Tensor:
        return super().__call__(rows).detach()


class LogOfProbability(Sound):
    def __call__(self, rows: Rows) -> Tensor:
        p, q = rows.log_probs_1.exp(), rows.log_probs_2.exp()
        return (p * (p / q).log()).sum(-1)


LOSSES: dict[str, type] = {
    "check_gradient": Detached,
    "check_gradient_of_certain_rows": LogOfProbability,
}


@plugin
class Length:
    level: ClassVar[str] = "response"

    def __call__(self, pairs: Sequence[ResponsePair]) -> list[float]:
        return [float(len(p.response_2) - len(p.response_1)) for p in pairs]


class WrongLevel(Length):
    level: ClassVar[str] = "token"


class Infinite(Length):
    def __call__(self, pairs: Sequence[ResponsePair]) -> list[float]:
        return [float("inf") if p.response_1 == "Paris" else 1.0 for p in pairs]


class NeedsPairs(Length):
    def __call__(self, pairs: Sequence[ResponsePair]) -> list[float]:
        pairs[0]
        return super().__call__(pairs)


class DividesByLength(Length):
    def __call__(self, pairs: Sequence[ResponsePair]) -> list[float]:
        return [len(p.response_1) / len(p.response_1 + p.response_2) for p in pairs]


class Encodes(Length):
    def __call__(self, pairs: Sequence[ResponsePair]) -> list[float]:
        return [float(len(p.response_1.encode())) for p in pairs]


class Ranks(Length):
    def __call__(self, pairs: Sequence[ResponsePair]) -> list[float]:
        longest = max([len(p.response_1) for p in pairs], default=0)
        return [len(p.response_1) / max(longest, 1) for p in pairs]


RESPONSE_METRICS: dict[str, type] = {
    "check_level": WrongLevel,
    "check_finite_value_per_pair": Infinite,
    "check_no_pairs": NeedsPairs,
    "check_empty_answers": DividesByLength,
    "check_hostile_answers": Encodes,
    "check_pair_by_pair": Ranks,
}


@plugin
class Keeps:
    def __call__(self, examples: Iterable[Example]) -> Iterator[Example]:
        yield from examples


class Repeats(Keeps):
    def __call__(self, examples: Iterable[Example]) -> Iterator[Example]:
        for example in examples:
            yield example
            yield attrs.evolve(example, text=example.text.upper())


class Eager(Keeps):
    def __call__(self, examples: Iterable[Example]) -> Iterator[Example]:
        return iter([e for e in examples if e.text])


@plugin
class ForgetsTheRest(BaseDataProcessor):
    def load_texts(self, data_path: str, **kwargs: Any) -> list[str]:
        return ["Hello there."]

    def __call__(self, examples: Iterable[Example]) -> Iterator[Example]:
        yield from (Example(id="mine", text=t) for t in self.load_texts(""))


class TakesTextsAlone(Keeps):
    def __call__(self, examples: Iterable[Example]) -> Iterator[Example]:
        yield from (Example(id=e.id, text=e.text, category=e.category) for e in examples)


class NeedsSome(Keeps):
    def __call__(self, examples: Iterable[Example]) -> Iterator[Example]:
        kept = list(examples)
        max(len(e.text) for e in kept)
        yield from kept


class NeedsTwo(Keeps):
    def __call__(self, examples: Iterable[Example]) -> Iterator[Example]:
        kept = list(examples)
        if kept:
            kept[1]
        yield from kept


PROCESSORS: dict[str, type] = {
    "check_yields_examples": Repeats,
    "check_lazy": Eager,
    "check_drops_nothing_silently": ForgetsTheRest,
    "check_keeps_conversations": TakesTextsAlone,
    "check_nothing_to_process": NeedsSome,
    "check_one_text": NeedsTwo,
}


class Trains(TinyLoader):
    def load(self, device: str) -> tuple[Any, Any]:
        model, tokenizer = super().load(device)
        return model.train(), tokenizer


class KeepsGradients(TinyLoader):
    def load(self, device: str) -> tuple[Any, Any]:
        model, tokenizer = super().load(device)
        first = next(model.parameters())
        first.grad = torch.zeros_like(first)
        return model, tokenizer


class Elsewhere(TinyLoader):
    def load(self, device: str) -> tuple[Any, Any]:
        model, tokenizer = super().load(device)
        model.register_parameter("spare", torch.nn.Parameter(torch.zeros(1, device="meta")))
        model.state_dict = lambda **_: {}
        return model, tokenizer


class NaNWeights(TinyLoader):
    def load(self, device: str) -> tuple[Any, Any]:
        model, tokenizer = super().load(device)
        model.get_output_embeddings().weight.data[7] = float("nan")
        return model, tokenizer


MODELS: dict[str, type] = {
    "check_eval_mode": Trains,
    "check_no_gradients_kept": KeepsGradients,
    "check_on_the_device_asked_for": Elsewhere,
    "check_usable_in_a_pair": NaNWeights,
}


@plugin
class Proposes:
    role: ClassVar[str] = "proposer"

    def __call__(self, task: Any, budget: Any) -> Iterator[HardPrompt]:
        yield HardPrompt(text="Tell me of the sea.", searcher="")


class NoRole(Proposes):
    role: ClassVar[str] = "searcher"


class Special(Proposes):
    def __call__(self, task: Any, budget: Any) -> Iterator[HardPrompt]:
        yield HardPrompt(text=f"End this {task.pair.tokenizer.eos_token}", searcher="")


class Endless(Proposes):
    def __call__(self, task: Any, budget: Any) -> Iterator[HardPrompt]:
        for number in count():
            yield HardPrompt(text=f"Say {number}.", searcher="")


class Spendthrift(Proposes):
    def __call__(self, task: Any, budget: Any) -> Iterator[HardPrompt]:
        for word in ("boats", "tea", "snow"):
            task.score([f"I like {word}."], task.train[:1], 2)
            yield HardPrompt(text=f"I like {word}.", searcher="")


class BehindTheLedger(Proposes):
    def __call__(self, task: Any, budget: Any) -> Iterator[HardPrompt]:
        with torch.no_grad():
            task.pair.model_2.model(input_ids=torch.tensor([[5, 6, 7]]))
        yield HardPrompt(text="I like tea.", searcher="")


class NeedsTraining(Proposes):
    def __call__(self, task: Any, budget: Any) -> Iterator[HardPrompt]:
        task.soft_prompt.norm()
        yield HardPrompt(text="I like tea.", searcher="")


class NeedsCandidates(Proposes):
    role: ClassVar[str] = "refiner"

    def __call__(self, task: Any, budget: Any) -> Iterator[HardPrompt]:
        yield attrs.evolve(task.best[0], note="again")


SEARCHERS: dict[str, type] = {
    "check_role": NoRole,
    "check_prompts_are_usable_texts": Special,
    "check_stops": Endless,
    "check_budget": Spendthrift,
    "check_every_pass_is_charged": BehindTheLedger,
    "check_without_soft_prompt": NeedsTraining,
    "check_without_candidates": NeedsCandidates,
}


@plugin
class Counts:
    def __call__(self, findings: Sequence[Finding]) -> Section:
        return Section(title="Count", summary=f"{len(findings)} findings.")


class Crooked(Counts):
    def __call__(self, findings: Sequence[Finding]) -> Section:
        curve = Curve(title="c", x_label="x", y_label="y", x=[1.0, 2.0], series={"s": [1.0]})
        return Section(title="Curve", summary="One.", curves=(curve,))


class NaNInside(Counts):
    def __call__(self, findings: Sequence[Finding]) -> Section:
        curve = Curve(title="c", x_label="x", y_label="y", x=[float("nan")], series={"s": [1.0]})
        return Section(title="Curve", summary="One.", curves=(curve,))


class Columns(Counts):
    """Two columns where points are wanted, and another form of a curve."""

    def __call__(self, findings: Sequence[Finding]) -> Section:
        columns: Any = {"a": [[1.0, 2.0, 3.0], [2.0, 3.0, 4.0]]}
        scatter = Scatter(title="s", x_label="x", y_label="y", groups=columns)
        return Section(title="Scatter", summary="One.", scatters=(scatter,))


class NeedsFindings(Counts):
    def __call__(self, findings: Sequence[Finding]) -> Section:
        return Section(title="First", summary=f"It is {findings[0].example.id}.")


class NeedsTokens(Counts):
    def __call__(self, findings: Sequence[Finding]) -> Section:
        first = [f.tokens_2[0].token for f in findings]
        return Section(title="First", summary=f"{len(first)} first tokens.")


class Escapes(Counts):
    def __call__(self, findings: Sequence[Finding]) -> Section:
        import html

        shown = html.escape(findings[0].response_2) if findings else "none"
        return Section(title="First", summary=f"It is {shown}.")


ANALYZERS: dict[str, type] = {
    "check_well_formed_section": Crooked,
    "check_json": NaNInside,
    "check_no_findings": NeedsFindings,
    "check_one_finding": NeedsTokens,
    "check_hostile_text_is_passed_on": Escapes,
}


@attrs.define(kw_only=True, eq=False)
class Watches:
    seen: int = attrs.field(init=False, default=0)

    @hookimpl
    def softdiv_step_end(self, event: Any) -> None:
        self.seen += 1
        event.log("seen", self.seen)

    def state_dict(self) -> dict[str, Any]:
        return {"seen": self.seen}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.seen = state["seen"]


class Deaf(Watches):
    @hookimpl
    def softdiv_before_step(self) -> None: ...


class LogsNaN(Watches):
    @hookimpl
    def softdiv_train_end(self, event: Any) -> None: ...

    @hookimpl
    def softdiv_step_end(self, event: Any) -> None:
        event.log("ratio", float("nan"))


class NeedsTrainStart(Watches):
    size: Any = None

    @hookimpl
    def softdiv_train_start(self, event: Any) -> None:
        object.__setattr__(self, "_rows", event.prompt.shape[0])

    @hookimpl
    def softdiv_report_ready(self, event: Any) -> None:
        self._rows  # noqa: B018


class NeedsAReport(Watches):
    @hookimpl
    def softdiv_report_ready(self, event: Any) -> None:
        object.__setattr__(self, "_done", True)

    @hookimpl
    def softdiv_run_end(self, event: Any) -> None:
        if event.error is not None:
            self._done  # noqa: B018


class Forgets(Watches):
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class WritesToThePrompt(Watches):
    @hookimpl
    def softdiv_before_step(self, event: Any) -> None:
        event.prompt.zero_()


OBSERVERS: dict[str, type] = {
    "check_hooks_take_event": Deaf,
    "check_logs_finite_numbers": LogsNaN,
    "check_run_without_training": NeedsTrainStart,
    "check_run_that_fails_early": NeedsAReport,
    "check_state_round_trip": Forgets,
    "check_inputs_unchanged": WritesToThePrompt,
}
