"""Derived files worth keeping between runs, in one folder of the user's cache, keyed by content."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import filelock


def cache_root() -> Path:
    """``$SOFTDIV_CACHE``, else ``$XDG_CACHE_HOME/softdiv``, else ``~/.cache/softdiv``."""
    if chosen := os.environ.get("SOFTDIV_CACHE"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "softdiv"


def cached_folder(key: str, build: Callable[[Path], None]) -> Path:
    """The folder for ``key``; ``build`` fills an empty one the first time.

    It appears under its name only when complete, and two processes build it once.
    """
    root = cache_root()
    root.mkdir(parents=True, exist_ok=True)
    final = root / key
    final.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(str(final) + ".lock"):
        if not final.is_dir():
            temporary = Path(tempfile.mkdtemp(dir=final.parent, prefix=".building-"))
            try:
                build(temporary)
                temporary.rename(final)
            except BaseException:
                shutil.rmtree(temporary, ignore_errors=True)
                raise
    return final
