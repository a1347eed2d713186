"""A stranger's tokenizer: tried in a process with limits, then loaded by transformers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from softdiv.errors import PairError
from softdiv.pair.foreign import translated
from softdiv.pair.hub import hub_folder
from softdiv.storage.stranger import refuse_pointer

from .source import TEXTS

FILES = ("tokenizer.json", "*.model", "vocab.json", "vocab.txt", "merges.txt", "*.tiktoken")
SECONDS = 20
BYTES = 8 << 30
"""Limits of the trial; the largest tokenizers take 3 s of a processor and 1 GB."""
LONGEST = 180.0
"""Seconds by the clock, on a machine that is busy or has no limits."""
TRIAL = """
import sys
try:
    import resource
    resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[2]), int(sys.argv[2])))
    resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[3]), int(sys.argv[3])))
except ImportError:  # no such limits on this system
    pass
from tokenizers import Tokenizer
tokenizer = Tokenizer.from_file(sys.argv[1])
for text in ("Is it whole?", *(2_000 * c for c in "a 1!\\n\\u00e9"), 500 * "a, ", 500 * "Ab1 "):
    ids = tokenizer.encode(text).ids
    if len(ids) > 64 * len(text) or len(tokenizer.decode(ids)) > 64 * len(text):
        sys.exit(f"{len(text):,} characters become {len(ids):,} tokens")
"""


def refuse_pointers(folder: Path) -> None:
    """Raises PairError if git-lfs left a pointer in place of a file of the tokenizer."""
    for pattern in (*FILES, "added_tokens.json", "*.jinja"):
        for file in folder.glob(pattern):
            refuse_pointer(file)


def has_tokenizer(folder: Path) -> bool:
    """Whether ``folder`` holds files of one."""
    return any(next(folder.glob(pattern), None) for pattern in FILES)


def load_tokenizer(source: str | Path, model: str | None = None) -> Any:
    """The tokenizer of a folder or hub id; no code of it is run.

    Args:
        model: what the user calls the model, where the tokenizer is the model's own.

    Raises:
        PairError: there is none, or it is damaged, or has no end.
    """
    from transformers import AutoTokenizer

    folder, what = Path(source), f"no tokenizer can be loaded from {model or source}"
    if not folder.is_dir():
        folder = hub_folder("tokenizer", str(source), None, TEXTS)
    refuse_pointers(folder)
    if (folder / "tokenizer.json").is_file():
        _try_within_limits(folder / "tokenizer.json", what)
    fix = "give the model tokenizer = FOLDER_OR_HUB_ID" if model else ""
    with translated(what, fix):
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        tokenizer.decode(tokenizer("Is it whole?")["input_ids"])  # some fail at their first text
        return tokenizer


def _try_within_limits(file: Path, what: str) -> None:
    """Rules of a tokenizer can multiply a text or try its regular expressions for hours."""
    try:
        done = subprocess.run(  # noqa: S603 (our own lines; the file is their input)
            [sys.executable, "-I", "-c", TRIAL, str(file), str(SECONDS), str(BYTES)],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=LONGEST,
            check=False,
        )
        said = [
            line for line in done.stderr.splitlines() if line.strip() and "backtrace" not in line
        ]
        last = (said or [""])[-1] if done.returncode else None
    except subprocess.TimeoutExpired:
        last = ""
    if last is not None:
        why = last.rpartition("Exception: ")[2][:200] or "it takes too much time or memory"
        raise PairError(what, why=f"{file.name}: {why}", fix="give another tokenizer")
