"""Files, dictionaries and ``--set`` to an :class:`ExperimentConfig`, all errors at once."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import attrs

from softdiv.config.component import ComponentConfig
from softdiv.config.limits import out_of_limits
from softdiv.config.locate import locator, toml_lines, yaml_lines
from softdiv.config.read import is_yaml, parse, read_text
from softdiv.config.schema import SECTIONS, Schema
from softdiv.errors import ConfigError
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
        text = read_text(path)
        table = parse(text, path)
        lines = yaml_lines(text) if is_yaml(path) else toml_lines(text)
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
        in_file = locator(source, lines)
        if problem := out_of_limits(table):
            raise ConfigError(_line(problem, in_file(problem.path)))
        merged, touched = _override(table, overrides)

        def where(path: str) -> str:
            given = any(f"{path}.".startswith((f"{key}.", f"{key}[")) for key in touched)
            return "--set" if given else in_file(path)

        if problem := out_of_limits(merged):
            raise ConfigError(_line(problem, where(problem.path) if problem.path else "--set"))
        made = structure(cls, merged)
        if isinstance(made, list):
            raise ConfigError([_line(problem, where(problem.path)) for problem in made])
        return made

    @property
    def num_epochs(self) -> int:
        """``training.num_epochs``, for a loop of one's own."""
        return self.training.num_epochs

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
        target[parts[-1]] = toml_value(raw.strip())
        touched.add(".".join(parts))
    return merged, touched


def toml_value(raw: str) -> Any:
    """TOML syntax; a bare word is text, so ``--set output_dir=runs/x`` needs no quotes."""
    try:
        table = tomllib.loads(f"v = {raw}")
    except (ValueError, RecursionError):
        return raw
    return table["v"] if len(table) == 1 else raw


def _copy(table: Any) -> Any:
    if isinstance(table, Mapping):
        return {key: _copy(value) for key, value in table.items()}
    if isinstance(table, (list, tuple)):
        return [_copy(value) for value in table]
    return table


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
