"""Files, dictionaries and ``--set`` to an :class:`ExperimentConfig`, all errors at once."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import attrs

from softdiv.config.component import ComponentConfig
from softdiv.config.locate import locator, toml_lines, yaml_lines
from softdiv.config.schema import SECTIONS, Schema
from softdiv.errors import ConfigError, did_you_mean
from softdiv.plugin.options import Problem, structure

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

C = TypeVar("C", bound="ExperimentConfig")


@attrs.frozen
class ExperimentConfig(Schema):
    """One experiment, frozen. Build it from a file, a dictionary, or another config."""

    @classmethod
    def from_file(cls: type[C], path: str | Path, overrides: Iterable[str] = ()) -> C:
        """TOML or YAML by the file's ending.

        Args:
            overrides: ``"training.num_epochs=3"``, values in TOML syntax.

        Raises:
            ConfigError: every problem, each as ``file:line: key: what is wrong``.
        """
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise ConfigError(f"config {path} does not exist", fix=_neighbours(path)) from error
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"config {path} cannot be read: {error}") from error
        if path.suffix in (".yaml", ".yml"):
            table, lines = _parse_yaml(text, path), yaml_lines(text)
        else:
            table, lines = _parse_toml(text, path), toml_lines(text)
        return cls._build(table, str(path), lines, overrides)

    @classmethod
    def from_toml(cls: type[C], path: str | Path, overrides: Iterable[str] = ()) -> C:
        """Same as :meth:`from_file`."""
        return cls.from_file(path, overrides)

    @classmethod
    def from_yaml(cls: type[C], path: str | Path, overrides: Iterable[str] = ()) -> C:
        """Same as :meth:`from_file`; YAML is read by the safe loader, into the same schema."""
        return cls.from_file(path, overrides)

    @classmethod
    def from_dict(cls: type[C], table: Mapping[str, Any], overrides: Iterable[str] = ()) -> C:
        """From nested tables as a TOML file has them. Raises ConfigError."""
        return cls._build(table, "config", {}, overrides)

    def with_overrides(self: C, *overrides: str) -> C:
        """A copy with ``"training.num_epochs=3"`` and the like applied. Raises ConfigError."""
        return type(self)._build(self.to_dict(), "config", {}, overrides)

    @classmethod
    def _build(
        cls: type[C],
        table: Mapping[str, Any],
        source: str,
        lines: Mapping[str, int],
        overrides: Iterable[str],
    ) -> C:
        merged, touched = _override(table, overrides)
        made = structure(cls, merged)
        if isinstance(made, list):
            in_file = locator(source, lines)

            def where(path: str) -> str:
                given = any(f"{path}.".startswith((f"{key}.", f"{key}[")) for key in touched)
                return "--set" if given else in_file(path)

            raise ConfigError([_line(problem, where(problem.path)) for problem in made])
        return made

    def to_dict(self) -> dict[str, Any]:
        """Nested plain tables, every default filled in; keys that are unset are left out."""
        return _plain(self)  # type: ignore[no-any-return]  # a table for an attrs class

    def to_toml(self) -> str:
        """The resolved config as TOML; loading it gives an equal config."""
        import tomlkit

        return tomlkit.dumps(self.to_dict())


def _plain(value: Any) -> Any:
    if isinstance(value, ComponentConfig):
        return value.to_dict()
    if attrs.has(type(value)):
        fields = [f.name for f in attrs.fields(type(value))]
        pairs = ((name, _plain(getattr(value, name))) for name in fields)
        return {name: item for name, item in pairs if item is not None}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _override(
    table: Mapping[str, Any], overrides: Iterable[str]
) -> tuple[dict[str, Any], set[str]]:
    merged = _copy(table)
    touched = set()
    for text in overrides:
        key, equals, raw = text.partition("=")
        parts = [part.strip() for part in key.split(".")]
        if not equals or not all(parts):
            raise ConfigError(f"--set {text}: expected KEY=VALUE, e.g. training.num_epochs=3")
        target = merged
        for part in parts[:-1]:
            target = target.setdefault(part, {})
            if not isinstance(target, dict):
                raise ConfigError(f"--set {text}: '{part}' is not a table")
        target[parts[-1]] = _value(raw.strip())
        touched.add(".".join(parts))
    return merged, touched


def _value(raw: str) -> Any:
    """TOML syntax; a bare word is text, so ``--set output_dir=runs/x`` needs no quotes."""
    try:
        return tomllib.loads(f"v = {raw}")["v"]
    except tomllib.TOMLDecodeError:
        return raw


def _copy(table: Any) -> Any:
    if isinstance(table, Mapping):
        return {key: _copy(value) for key, value in table.items()}
    if isinstance(table, (list, tuple)):
        return [_copy(value) for value in table]
    return table


def _parse_toml(text: str, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error


def _parse_yaml(text: str, path: Path) -> dict[str, Any]:
    import yaml

    try:
        table = yaml.load(text, _safe_loader())  # noqa: S506 (a SafeLoader with 1e-4 as a number)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: expected a table at the top level")
    return table


def _safe_loader() -> Any:
    """YAML 1.1 reads ``1e-4`` as text (it wants ``1.0e-4``); people write the former."""
    import re

    import yaml

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"),
        list("-+0123456789"),
    )
    return Loader


def _line(problem: Problem, where: str) -> str:
    message = problem.message
    section = _section_of(problem.path)
    if message.startswith("unknown key") and section:
        message += f" (it is a key of [{section}])"
    return f"{where}: {problem.path}: {message}" if problem.path else f"{where}: {message}"


def _section_of(path: str) -> str | None:
    """The section an unknown key belongs to, when it was written in the wrong one."""
    key = path.rpartition(".")[2]
    for name in SECTIONS:
        kind = type(getattr(Schema(), name))
        if any(field.name == key for field in attrs.fields(kind)) and f"{name}.{key}" != path:
            return name
    return None


def _neighbours(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"folder {folder} does not exist either"
    return did_you_mean(path.name, [p.name for p in folder.glob("*") if p.suffix in _ENDINGS])


_ENDINGS = (".toml", ".yaml", ".yml")
