"""Checks of model loaders. Each loads the model once or twice, on the CPU."""

from __future__ import annotations

from typing import Any

from softdiv.testing.every_kind import EVERY_KIND, check_inputs_unchanged
from softdiv.testing.kit import Kit, Subject, checks_in, require

_SAMPLE = "Tell me about boats.\nWas ist ein Baum?"


def _device() -> str:
    return "cpu"


def loaded(component: Any, device: str) -> tuple[Any, Any]:
    """``(model, tokenizer)``; anything else is refused."""
    found = component.load(device)
    require(
        isinstance(found, tuple) and len(found) == 2,
        f"load returns {type(found).__name__}, not (model, tokenizer)",
    )
    return found[0], found[1]


def weights_and_ids(component: Any, device: str) -> tuple[Any, Any, Any]:
    """What must be equal each time: every weight, and how a text is tokenised."""
    model, tokenizer = loaded(component, device)
    return model.state_dict(), tokenizer(_SAMPLE)["input_ids"], tokenizer.chat_template


def check_eval_mode(subject: Subject) -> None:
    """Every module is in eval mode: dropout would make each pass another model."""
    model, _ = loaded(subject.make(), "cpu")
    training = [name or "the model" for name, module in model.named_modules() if module.training]
    require(not training, f"{training[:1]} is in training mode: return model.eval()")


def check_no_gradients_kept(subject: Subject) -> None:
    """No parameter carries a gradient from before."""
    model, _ = loaded(subject.make(), "cpu")
    carried = [name for name, p in model.named_parameters() if p.grad is not None]
    require(not carried, f"parameter {carried[:1]} has a gradient: the models are frozen")


def check_on_the_device_asked_for(subject: Subject) -> None:
    """Every parameter is on the device given."""
    model, _ = loaded(subject.make(), "cpu")
    elsewhere = {str(p.device) for p in model.parameters()} - {"cpu"}
    require(not elsewhere, f"asked for cpu, parameters are on {', '.join(sorted(elsewhere))}")


def check_usable_in_a_pair(subject: Subject) -> None:
    """The core can compare it with itself: finite log-probabilities of its tokenizer's ids."""
    import torch

    from softdiv.pair.manager import ModelPair

    model, tokenizer = loaded(subject.make(), "cpu")
    wrapper = ModelPair.of(model, model, tokenizer).model_1
    ids = torch.tensor([tokenizer(_SAMPLE, add_special_tokens=False)["input_ids"]])
    with torch.no_grad():
        states = wrapper.hidden(
            wrapper.embed(ids), torch.ones_like(ids), torch.arange(ids.shape[1])[None]
        )
        finite = bool(torch.isfinite(wrapper.log_probs(states)).all())
    require(finite, "its log-probabilities are NaN or infinite on an ordinary text")


KIT = Kit(
    kind="models",
    inputs=_device,
    call=weights_and_ids,
    checks=(
        *(check for check in EVERY_KIND if check is not check_inputs_unchanged),
        *checks_in(globals()),
    ),
)
