"""Runs a plugin's module: an installed one by name, or one local file. Never hangs, never exits."""

from __future__ import annotations

import hashlib
import importlib
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

from softdiv.errors import PluginError, SoftdivError
from softdiv.plugin.declared import FILE
from softdiv.plugin.discovery import Installed
from softdiv.plugin.failures import FOREIGN, reason
from softdiv.plugin.watchdog import IMPORT_TIMEOUT, Overdue, TimeLimit, limit_of


@attrs.frozen(kw_only=True)
class LoadedPlugin:
    """What was loaded from where; goes into a run's manifest."""

    name: str
    distribution: str
    """``file`` for a ``--plugin-file``."""
    version: str
    """of the distribution; for a file, the beginning of its sha256"""
    path: str
    """of the module's file; empty where it has none"""
    sha256: str
    """of that file; empty where it has none"""

    @property
    def label(self) -> str:
        """``'name' (distribution version)``, as every message about a plugin says it."""
        return f"'{self.name}' ({self.distribution} {self.version})"


def import_installed(plugin: Installed) -> tuple[Any, LoadedPlugin]:
    """Import an entry point.

    Raises:
        PluginError: it cannot be imported, or is still importing when time is up.
    """
    module_name, _, attribute = plugin.module.partition(":")
    fix = f"mend or uninstall {plugin.distribution}, or take '{plugin.name}' out of plugins"
    with guarded(plugin.label, "failed to import", fix):
        module: Any = importlib.import_module(module_name)
        found = module
        for part in attribute.split(".") if attribute else ():
            found = getattr(found, part)
    path = Path(getattr(module, "__file__", None) or "")
    return found, LoadedPlugin(
        name=plugin.name,
        distribution=plugin.distribution,
        version=plugin.version,
        path=str(path) if path.is_file() else "",
        sha256=_sha256(path.read_bytes()) if path.is_file() else "",
    )


def describe_file(path: Path) -> tuple[bytes, LoadedPlugin]:
    """A local plugin file and its identity, without running it.

    Raises:
        PluginError: it is no readable ``.py`` file.
    """
    if path.suffix != ".py":
        raise PluginError(f"plugin file {path} is not a .py file")
    try:
        source = path.read_bytes()
    except OSError as error:
        raise PluginError(
            f"plugin file {path} cannot be read", why=error.strerror or str(error)
        ) from error
    digest = _sha256(source)
    return source, LoadedPlugin(
        name=path.stem,
        distribution=FILE,
        version=digest[:12],
        path=str(path.resolve()),
        sha256=digest,
    )


def import_file(path: Path) -> tuple[Any, LoadedPlugin]:
    """Run exactly the bytes whose sha256 is recorded; no bytecode is read or left behind.

    Raises:
        PluginError: as :func:`import_installed`.
    """
    source, loaded = describe_file(path)
    name = f"softdiv_plugin_file_{path.stem}_{loaded.version}"
    loader = _FromBytes(name, loaded.path, source)
    spec = importlib.util.spec_from_loader(name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where attrs looks for the names in annotations
    try:
        with guarded(loaded.label, "failed to import", f"mend {path}"):
            loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module, loaded


class _FromBytes(importlib.machinery.SourceFileLoader):
    def __init__(self, name: str, path: str, source: bytes) -> None:
        super().__init__(name, path)
        self._source = source

    def get_data(self, path: str) -> bytes:
        return self._source

    def path_stats(self, path: str) -> Any:
        raise OSError("bytecode is neither read nor written")


@contextmanager
def guarded(label: str, did_what: str, fix: str = "") -> Iterator[None]:
    """Names the plugin whatever its code does here, also when it hangs or exits.

    Raises:
        PluginError: it raised, exited, or took longer than ``SOFTDIV_IMPORT_TIMEOUT``.
    """
    seconds = limit_of(IMPORT_TIMEOUT)
    try:
        with TimeLimit(seconds):
            yield
    except SoftdivError:
        raise
    except Overdue as error:
        raise PluginError(
            f"plugin {label} is still importing after {seconds:g} s",
            fix=f"{fix}; or give it longer with {IMPORT_TIMEOUT}=SECONDS",
        ) from error
    except FOREIGN as error:
        raise PluginError(f"plugin {label} {did_what}", why=reason(error), fix=fix) from error


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
