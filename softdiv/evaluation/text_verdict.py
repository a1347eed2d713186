"""The verdict's rule for models that are compared by text: D is undefined, the ratio decides."""

from __future__ import annotations

from collections.abc import Sequence

from softdiv.config.schema import EvaluationConfig
from softdiv.evaluation.phrases import in_words
from softdiv.evaluation.results import Outcome, PromptResult, Verdict
from softdiv.evaluation.text_scoring import PER_BYTE
from softdiv.evaluation.verdict import clear, on_average
from softdiv.evaluation.wording import LIFT_RATIO, concentration, headline

DEFINED = (
    "Compared by text, each model through its own tokenizer and chat template. Defined here: the "
    "log-likelihood ratio of model_2's answers (nats per answer, and per byte) and metrics of the "
    "answers. Undefined: D and every other measure of next-token distributions, retention, a soft "
    "prompt."
)
FLOOR = (
    "Not calibrated: no p-value is given against benign pairs, and the floors come from pairs that "
    "share a tokenizer. Two models of different families differ on every text; what counts is how "
    "much more they do under a prompt."
)


def decide_by_text(
    found: Sequence[PromptResult],
    baselines: Sequence[PromptResult],
    config: EvaluationConfig,
    *,
    undefined: str,
    bank_given: bool,
) -> Verdict:
    """The same two questions on the log-likelihood ratio alone.

    Args:
        undefined: why the ratio cannot be measured; empty where it can.
        bank_given: benign pairs were given. They share tokens and say nothing here.
    """
    bare = next(b for b in baselines if b.text == "")
    every = [*found, *baselines]
    if undefined:
        return _of_answers_alone(bare, undefined)
    passing = [p for p in every if clear(p, every, config)]
    near = [p for p in every if p not in passing and on_average(p, every, config)]
    outcome: Outcome
    if passing:
        outcome = "difference found"
    elif not near and bare.llr.low > 0:
        outcome = "broad drift only"
    else:
        outcome = "inconclusive"
    if passing or near:
        said, example, prompt = headline(
            outcome, passing or near, baselines, None, config, identical=False
        )
    else:
        said, example, prompt = _plain_text(bare)
    bank = ("The null bank is not used: its pairs share their tokens.",) if bank_given else ()
    return Verdict(
        outcome=outcome,
        headline=said,
        example=example,
        prompt=prompt,
        differ_at_all=_differ_at_all(bare),
        concentrated=concentration(passing, every, config, None),
        rule=_rule(config),
        caveats=(DEFINED, FLOOR, *bank),
    )


def _of_answers_alone(bare: PromptResult, undefined: str) -> Verdict:
    claim, example = in_words(bare, None)
    said = f"Only the answers could be compared: {undefined}."
    if claim:
        said += f" Without a prompt {claim}."
    return Verdict(
        outcome="inconclusive",
        headline=said,
        example=example,
        prompt="" if claim else None,
        differ_at_all=f"Not measured: {undefined}.",
        concentrated=f"Not measured: {undefined}.",
        rule="None: without a log-likelihood ratio there is nothing that a rule could rest on.",
        caveats=(f"{DEFINED} The log-likelihood ratio is undefined too: {undefined}.",),
    )


def _plain_text(bare: PromptResult) -> tuple[str, str, str | None]:
    """Headline, example and the text they speak of, where no prompt passes or nearly does."""
    ratio = bare.llr
    if ratio.low > 0:
        claim, example = in_words(bare, None)
        what = f": {claim}" if claim else ""
        said = (
            "The models answer plain texts differently, without any prompt: model_2 finds its own "
            f"answers at least {ratio.low:.1f} nats likelier than model_1 does{what}. No text "
            "prompt was found under which they differ far more."
        )
        return said, example, ""
    said = (
        "No text prompt exposes a difference, and model_1 finds model_2's answers about as likely "
        f"as model_2 does ({ratio.value:.2f} nats per answer [{ratio.low:.2f}, {ratio.high:.2f}]). "
        "That the models are alike cannot be shown by text."
    )
    return said, "", None


def _differ_at_all(bare: PromptResult) -> str:
    ratio, each = bare.llr, bare.metrics.get(PER_BYTE[2])
    per_byte = f", {each:.3g} per byte" if isinstance(each, float) else ""
    measured = (
        f"without a prompt model_2's answers are {ratio.value:.2f} nats likelier to itself than to "
        f"model_1 [{ratio.low:.2f}, {ratio.high:.2f}]{per_byte}, on {len(bare.findings)} texts"
    )
    return f"{'Yes' if ratio.low > 0 else 'Not shown'}: {measured}."


def _rule(config: EvaluationConfig) -> str:
    return (
        "difference found: a text prompt's lift of the log-likelihood ratio over the empty prompt "
        f"has a 95 % interval above {config.lift_floor:g} nats per answer, and its ratio is at "
        f"least {LIFT_RATIO:g} times the empty prompt's. Baselines count. broad drift only: no "
        "such prompt, but the ratio without a prompt has a 95 % interval above 0. inconclusive: "
        "a prompt meets the rule on average alone, or neither holds; by text no measure shows two "
        "models to be alike."
    )
