"""Where registry.toml and the configs are: inside a wheel's package, beside a checkout's."""

from __future__ import annotations

from pathlib import Path

from softdiv.errors import ConfigError, did_you_mean

_PACKAGE = Path(__file__).resolve().parent.parent


def home() -> Path:
    """The folder that holds ``registry.toml`` and ``configs/``."""
    inside = _PACKAGE / "shipped"
    return inside if inside.is_dir() else _PACKAGE.parent


def config_path(name: str) -> Path:
    """The shipped config of this name, e.g. ``quickstart``. Raises ConfigError."""
    path = home() / "configs" / f"{name}.toml"
    if not path.is_file():
        known = [p.stem for p in path.parent.glob("*.toml")]
        raise ConfigError(f"no shipped config '{name}'", fix=did_you_mean(name, known))
    return path


def resolve_shipped(path: str) -> str:
    """A path of registry.toml: as given if it exists, else relative to that file's folder."""
    beside = home() / path
    return str(beside) if not Path(path).exists() and beside.exists() else path
