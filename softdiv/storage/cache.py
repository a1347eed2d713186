"""Derived files worth keeping between runs, in one folder of the user's cache, keyed by content."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import filelock

from softdiv.errors import RunError

from .atomic import read_json, sha256_file, write_json

CONTENT = ".content.json"
"""Names and sha256 of the files of a cached folder, written last."""


def cache_root() -> Path:
    """``$SOFTDIV_CACHE``, else ``$XDG_CACHE_HOME/softdiv``, else ``~/.cache/softdiv``."""
    if chosen := os.environ.get("SOFTDIV_CACHE"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "softdiv"


def cached_folder(key: str, build: Callable[[Path], None]) -> Path:
    """The folder for ``key``; ``build`` fills an empty one the first time.

    It appears under its name only when complete, and two processes build it once. What stands
    there is compared with the hashes of what was built each time, and built anew if it differs.

    Raises:
        RunError: the cache folder cannot be made or written.
    """
    final = cache_root() / key
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(str(final) + ".lock")
        lock.acquire()
    except OSError as error:
        raise RunError(
            f"the cache folder {final.parent} cannot be written",
            why=error.strerror or str(error),
            fix="set SOFTDIV_CACHE to a folder of your own",
        ) from error
    try:
        if not _intact(final):
            temporary = Path(tempfile.mkdtemp(dir=final.parent, prefix=".building-"))
            try:
                build(temporary)
                write_json(temporary / CONTENT, _hashes(temporary))
                _remove(final)
                temporary.rename(final)
            except BaseException:
                shutil.rmtree(temporary, ignore_errors=True)
                raise
    finally:
        lock.release()
    return final


def _hashes(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != CONTENT)
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in sorted(files)}


def _intact(folder: Path) -> bool:
    if folder.is_symlink() or not (folder / CONTENT).is_file():
        return False
    try:
        return bool(read_json(folder / CONTENT) == _hashes(folder))
    except (RunError, OSError):
        return False


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
