"""Where the files of a name are: an installed package's folder, or a copy from the hub."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from softdiv.errors import PairError, did_you_mean
from softdiv.pair.foreign import plain_reason

REASONS = {
    "GatedRepoError": ("its authors ask for their terms to be accepted", "hf auth login"),
    "RepositoryNotFoundError": ("the hub has none of this name, or it is private", "hf auth login"),
    "RevisionNotFoundError": ("it has no such revision", "give a branch, tag or commit of it"),
    "LocalEntryNotFoundError": (
        "it is not on this machine, and the hub is not asked or cannot be reached",
        "give an existing folder, or a hub id that can be reached",
    ),
    "HFValidationError": ("no folder, and no hub id", "give an existing folder, or a hub id"),
}
"""Why and what to do, by the class of huggingface_hub's error."""
FILES = {
    "adapter": "the folder with adapter_config.json",
    "model": "the folder with config.json, or a .gguf file",
    "tokenizer": "the folder with the tokenizer's files",
}
"""What to give in place of a file."""


def package_folder(name: str) -> Path | None:
    """The folder of an installed package or of a folder inside it (``a.b`` is ``b`` of ``a``).

    Nothing is imported: for ``a.b``, ``importlib`` would import ``a``.
    """
    package, *inside = name.split(".")
    if not all(part.isidentifier() for part in (package, *inside)):
        return None
    try:
        spec = importlib.util.find_spec(package)
    except ValueError:  # it is loaded and says not from where
        return None
    for location in (spec and spec.submodule_search_locations) or ():
        folder = Path(location).joinpath(*inside)
        if folder.is_dir():
            return folder
    return None


def hub_folder(what: str, name: str, revision: str | None, patterns: Sequence[str]) -> Path:
    """Files of a hub id that match ``patterns``, downloaded once.

    Args:
        what: e.g. ``"model"``, for the message.

    Raises:
        PairError: no such folder or hub id, or it cannot be reached.
    """
    folder = Path(name)
    if not name.strip():
        raise PairError(f"the {what} is an empty name", fix="give a folder, or a hub id")
    if folder.is_file() or folder.suffix == ".gguf":
        state = "is a file" if folder.is_file() else "does not exist"
        raise PairError(f"{what} {name} {state}", fix=f"give {FILES[what]}")
    beside = [path.name for path in folder.parent.glob("*/")] if "/" in name else []
    if folder.is_absolute() or name.count("/") > 1 or name.startswith(".") or beside:
        fix = did_you_mean(folder.name, beside)
        if not beside:
            fix = "give an existing folder with config.json, or a hub id"
        state = "is no folder" if folder.exists() else "does not exist"
        raise PairError(f"{what} folder {name} {state}", fix=fix)
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(patterns)))
    except Exception as error:  # errors of the network have no common class
        kinds = [kind.__name__ for kind in type(error).__mro__]
        known = next((REASONS[kind] for kind in kinds if kind in REASONS), None)
        why, fix = known or (plain_reason(error), "try again, or give an existing folder")
        raise PairError(f"no {what} at '{name}'", why=why, fix=fix) from error
