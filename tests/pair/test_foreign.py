"""Messages of other libraries, as one line that says what, why and what to do."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from safetensors import SafetensorError

from softdiv.errors import DataError, PairError
from softdiv.pair.foreign import plain_reason, translated


def told(error: BaseException, fix: str = "") -> str:
    with pytest.raises(PairError) as caught, translated("model_1 cannot be loaded", fix):
        raise error
    assert caught.value.__cause__ is error
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            RuntimeError(
                "Error(s) in loading state_dict for PeftModelForCausalLM:\n\tsize mismatch for "
                "base_model.model.lm_head.weight: copying a param with shape torch.Size([514, 32]) "
                "from checkpoint, the shape in current model is torch.Size([512, 32])."
            ),
            "model_1 cannot be loaded: lm_head.weight is [514, 32] in the file and [512, 32] in "
            "the model (they belong to different models)",
        ),
        (
            ImportError("Loading an AWQ quantized model requires gptqmodel. (`pip install gptqm`)"),
            "model_1 cannot be loaded: it needs gptqm, which is not installed (pip install gptqm)",
        ),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
            'model_1 cannot be loaded: it does not fit into memory (load it with dtype = "bfloat16"'
            " or quantize, or on a larger machine)",
        ),
        (SafetensorError("header too large"), "model_1 cannot be loaded: header too large (again)"),
        (Exception("data did not match\nany variant"), "data did not match any variant"),
        (RuntimeError("\x1b[31mred\x07 " + "word " * 200), "�[31mred� word"),
        (RuntimeError(""), "model_1 cannot be loaded: RuntimeError"),
    ],
)
def test_the_whole_message_is_read_not_its_first_line(error: Exception, line: str) -> None:
    said = told(error, "again")
    assert line in said
    assert len(said) < 400


def test_advice_about_attention_can_be_typed() -> None:
    line = told(ValueError("X does not support an attention implementation through sdpa yet"))
    assert "--set pair.model_1.attn_implementation=eager" in line


def test_a_panic_of_compiled_code_is_foreign_too() -> None:
    class PanicException(BaseException):
        """As pyo3 names it; it is no Exception."""

    assert "index out of bounds" in told(PanicException("index out of bounds"))


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, TypeError])
def test_stopping_and_faults_of_our_own_stay(kind: type[BaseException]) -> None:
    # a frame of softdiv's own is innermost
    code = compile("def run(f):\n    raise f('x')", _inside_softdiv(), "exec")
    scope: dict[str, Callable[[type[BaseException]], None]] = {}
    exec(code, scope)
    with pytest.raises(kind), translated("model_1 cannot be loaded"):
        scope["run"](kind)


def test_errors_that_say_it_themselves_pass() -> None:
    with pytest.raises(DataError, match="^line 3"), translated("model_1 cannot be loaded"):
        raise DataError("line 3")


def test_bare_values_are_told_with_their_class() -> None:
    assert plain_reason(KeyError("lm_head")) == "'lm_head' is not there, or is not known"
    assert plain_reason(ZeroDivisionError("division by zero")) == "division by zero"


def _inside_softdiv() -> str:
    import softdiv.pair.foreign

    return softdiv.pair.foreign.__file__
