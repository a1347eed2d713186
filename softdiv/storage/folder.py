"""A run folder is data, perhaps a stranger's: nothing in it may lead out of it."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from softdiv.errors import RunError
from softdiv.storage.refusal import refusal

TEMPORARY = ".softdiv-tmp"
"""What the name of a file under way ends with, until it is renamed; a kill leaves it behind."""


def is_plain(name: str) -> bool:
    """Whether a name from a file is a relative path below the folder it was found in."""
    parts = name.split("/")
    return name.isprintable() and not {*parts} & {"", ".", ".."} and not {*name} & {"\\", ":"}


def is_leftover(name: str) -> bool:
    """Whether a file of this name is one under way, or was when its writer was killed."""
    return name.startswith(".") and name.endswith(TEMPORARY)


def refuse_strange(folder: Path) -> None:
    """Refuse a folder that holds a link out of itself, a pipe, a socket or a device.

    A link to what is inside passes: trackers make such.

    Raises:
        RunError: with the first of them.
    """
    root = Path(os.path.realpath(folder))
    for place, folders, files in os.walk(folder):
        for entry in (Path(place, name) for name in (*folders, *files)):
            try:
                mode = entry.lstat().st_mode
            except FileNotFoundError:
                continue  # a run under way renames its files
            if stat.S_ISLNK(mode):
                if not Path(os.path.realpath(entry)).is_relative_to(root):
                    raise RunError(f"{entry} is a link out of {folder}", fix="remove the link")
            elif not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise RunError(f"{entry} is neither a file nor a folder", fix="remove it")


def remove(path: Path) -> None:
    """A file, or a folder with all it holds; a link itself, never what it names.

    Raises:
        DiskError: the system refuses.
    """
    with refusal(path, "removed"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """What killed writers left. Call it under the folder's lock. Raises DiskError."""
    for path in folder.rglob(f".*{TEMPORARY}"):
        remove(path)
