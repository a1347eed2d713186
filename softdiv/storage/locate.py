"""Files a user names the way other tools write them: patterns, ``*.pt``, run folders."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterable
from pathlib import Path

from softdiv.errors import RunError, did_you_mean
from softdiv.storage.folder import refuse_strange
from softdiv.storage.names import BEST

PICKLES = {".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle"}
Note = Callable[[str], None]


def as_safetensors(paths: str | Path | Iterable[str | Path], note: Note) -> list[Path]:
    """Soft prompt files: named, by pattern, or the best prompt of a run folder.

    Args:
        note: told once if ``.safetensors`` files stand in for the ``.pt`` files asked for.

    Raises:
        RunError: nothing is there, or only a pickle.
    """
    return _resolved(paths, ".safetensors", note)


def as_jsonl(path: str | Path, note: Note) -> Path:
    """A file of text prompts; for ``prompts.pt`` the ``prompts.jsonl`` beside it.

    Raises:
        RunError: nothing is there, or only a pickle.
    """
    return _resolved(path, ".jsonl", note)[0]


def _resolved(paths: str | Path | Iterable[str | Path], ending: str, note: Note) -> list[Path]:
    asked = [paths] if isinstance(paths, (str, Path)) else list(paths)
    if not asked:
        raise RunError("no file is given", fix=f"name one or more {ending} files")
    found: list[Path] = []
    replaced = False
    for path in map(Path, asked):
        is_pickle = path.suffix in PICKLES
        wanted = path.with_suffix(ending) if is_pickle else path
        matches = _matches(wanted, ending)
        if not matches:
            raise _nothing(path, ending, is_pickle)
        replaced = replaced or is_pickle
        found += matches
    if replaced:
        note(f"softdiv writes {ending} files, never pickles: those were taken instead")
    return list(dict.fromkeys(found))


def _matches(path: Path, ending: str) -> list[Path]:
    if path.is_dir() and ending == Path(BEST).suffix:
        refuse_strange(path)
        return [path / BEST] if (path / BEST).is_file() else []
    if path.is_file():
        return [path]
    # what a shell hands over when its own pattern matched nothing
    return sorted(found for found in _glob(path) if found.is_file())


def _glob(path: Path) -> list[Path]:
    return [Path(name) for name in glob.glob(str(path))]  # noqa: PTH207 (it may be absolute)


def _nothing(path: Path, ending: str, is_pickle: bool) -> RunError:
    if is_pickle and (path.exists() or _glob(path)):
        return RunError(
            f"{path} is a pickle, and softdiv opens none",
            why="loading a pickle runs whatever code is in it",
            fix=f"give a {ending} file",
        )
    nearby = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    return RunError(f"{path} does not exist", fix=did_you_mean(path.name, nearby))
