"""What transformers, peft, safetensors, tokenizers, gguf and bitsandbytes say when a model cannot
be loaded, as one line: what, why, what to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import softdiv
from softdiv.errors import PairError, SoftdivError
from softdiv.plain_text import said

LONGEST = 300
"""Characters kept of a message nobody has translated."""
OURS = str(Path(softdiv.__file__).parent)

Reading = Callable[[re.Match[str]], tuple[str, str]]
"""A match to (why, fix)."""


def _size(match: re.Match[str]) -> tuple[str, str]:
    name, file, model = match.groups()
    name = name.removeprefix("base_model.model.")
    why = f"{name} is [{file}] in the file and [{model}] in the model"
    return why, "they belong to different models"


def _package(match: re.Match[str]) -> tuple[str, str]:
    return f"it needs {match[1]}, which is not installed", f"pip install {match[1]}"


KNOWN: tuple[tuple[str, Reading], ...] = (
    (
        r"size mismatch for (\S+): copying a param with shape torch\.Size\(\[(.*?)\]\) from "
        r"checkpoint, the shape in current model is torch\.Size\(\[(.*?)\]\)",
        _size,
    ),
    (
        r"(?:custom code|trust_remote_code|execute the (?:configuration|modeling) file)",
        lambda _: (
            "it needs Python code of its own, which softdiv does not run",
            "write a loader plugin, or use a copy converted to transformers' own classes",
        ),
    ),
    (
        r"model type `?([^`\s]+)`? but Transformers does not recognize",
        lambda match: (
            f"this version of transformers knows no model type '{match[1]}'",
            "pip install --upgrade transformers, or write a loader plugin",
        ),
    ),
    (
        r"Should have a `model_type` key|Unrecognized model in",
        lambda _: (
            "its config.json names no model_type that transformers knows",
            "give a folder that save_pretrained wrote",
        ),
    ),
    (
        r"Target modules? (.*?) not found in the base model",
        lambda match: (
            f"this model has no modules {match[1]}",
            "it was made for another architecture",
        ),
    ),
    (
        r"does not support (an attention implementation|Flash Attention)|flash_attn.*not installed",
        lambda _: (
            "it has no such attention",
            'give it attn_implementation = "eager" (--set pair.model_1.attn_implementation=eager, '
            "or model_2)",
        ),
    ),
    (
        r"(?:out of memory|can't allocate memory|not enough memory)",
        lambda _: (
            "it does not fit into memory",
            'load it with dtype = "bfloat16" or quantize, or on a larger machine',
        ),
    ),
    (
        r"Couldn't instantiate the backend tokenizer",
        lambda _: ("it has no tokenizer's files that transformers can read", ""),
    ),
    (r"pip install (?:--?\S+ )*['\"`]?([\w.\-]+(?:\[[\w,]+\])?)", _package),
    (r"No module named '([\w.\-]+)'", _package),
)
"""Patterns of whole messages, the first that matches counts."""


@contextmanager
def translated(what: str, fix: str = "") -> Iterator[None]:
    """Whatever a foreign library raises inside, as a PairError that begins with ``what``.

    A fault in softdiv's own lines is a bug and keeps its traceback.

    Args:
        fix: what to do, for messages nobody has translated.
    """
    try:
        yield
    except SoftdivError:
        raise
    except BaseException as error:  # a stranger's folder can end a library in any exception
        if not _is_foreign(error):
            raise
        raise _error(what, error, fix) from error


def _error(what: str, error: BaseException, fix: str) -> PairError:
    text = " ".join(str(error).split())
    for pattern, reading in KNOWN:
        if match := re.search(pattern, text, re.IGNORECASE):
            why, known_fix = reading(match)
            return PairError(what, why=why, fix=known_fix or fix)
    return PairError(what, why=plain_reason(error), fix=fix)


def plain_reason(error: BaseException) -> str:
    """All that the message says, on one printable line; the class's name where that says more."""
    text = said(error)
    if len(text) > LONGEST:
        text = text[:LONGEST].rpartition(" ")[0] + " ..."
    if isinstance(error, KeyError):
        return f"{text} is not there, or is not known"
    if not text or isinstance(error, LookupError | TypeError | AttributeError):
        return f"{type(error).__name__} {text}".strip()
    return text


def _is_foreign(error: BaseException) -> bool:
    if not isinstance(error, Exception):
        return type(error).__name__ == "PanicException"  # how Rust's libraries break off
    if type(error).__module__ != "builtins" or type(error) is Exception:
        return True
    if isinstance(error, OSError | RuntimeError | MemoryError):
        return True  # what compiled code raises, which has no lines of its own
    return not _raised_here(error.__traceback__)


def _raised_here(trace: TracebackType | None) -> bool:
    """Whether the innermost line is one of softdiv's."""
    file = ""
    while trace is not None:
        file, trace = trace.tb_frame.f_code.co_filename, trace.tb_next
    return file.startswith(OURS)
