"""Derived files worth keeping between runs, in one folder of the user's cache, keyed by content."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import filelock

from softdiv.errors import DiskError, RunError
from softdiv.storage.atomic import read_json, sha256_file, write_json
from softdiv.storage.folder import remove
from softdiv.storage.refusal import FIXES, disk_error, refusal

CACHE = "SOFTDIV_CACHE"
"""Environment variable: the folder, in place of the user's cache."""
CONTENT = ".content.json"
"""Names and sha256 of the files of a cached folder, written last."""
_FIX = f"set {CACHE} to a folder that can be written"


def cache_root() -> Path:
    """``$SOFTDIV_CACHE``, else ``$XDG_CACHE_HOME/softdiv``, else ``~/.cache/softdiv``.

    Raises:
        DiskError: this user has no home folder.
    """
    if chosen := os.environ.get(CACHE):
        return Path(chosen)
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "softdiv"
    try:
        return Path.home() / ".cache" / "softdiv"
    except RuntimeError as error:
        raise DiskError("there is no cache folder", why="HOME is not set", fix=_FIX) from error


def cached_folder(key: str, build: Callable[[Path], None]) -> Path:
    """The folder for ``key``; ``build`` fills an empty one the first time.

    It appears under its name only when complete, and two processes build it once. What stands
    there is compared with the hashes of what was built each time, and built anew if it differs.

    Raises:
        DiskError: the cache cannot be made, written or locked.
    """
    final = cache_root() / key
    with refusal(f"the cache folder {final.parent}", "made", _FIX):
        final.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(f"{final}.lock")
    with refusal(f"the cache folder {final.parent}", "written", _FIX):
        lock.acquire()
    try:
        if not _intact(final):
            _build(final, build)
    finally:
        lock.release()
    return final


def _build(final: Path, build: Callable[[Path], None]) -> None:
    prefix = f".building-{final.name}-"
    for killed in final.parent.glob(f"{prefix}*"):
        shutil.rmtree(killed, ignore_errors=True)
    with refusal(f"the cache folder {final.parent}", "written", _FIX):
        temporary = Path(tempfile.mkdtemp(dir=final.parent, prefix=prefix))
    try:
        build(temporary)
        write_json(temporary / CONTENT, _hashes(temporary))
        remove(final)
        temporary.rename(final)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, OSError) and error.errno in FIXES:
            raise disk_error(f"{final} cannot be written", error, _FIX) from error
        raise


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
