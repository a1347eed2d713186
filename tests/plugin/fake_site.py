"""Installed distributions as pip leaves them, without pip."""

from __future__ import annotations

from pathlib import Path


def install(
    folder: Path, name: str, source: str, *, dist: str = "", version: str = "1.2", entry: str = ""
) -> str:
    """A plugin ``name`` in ``folder``, which is on ``sys.path``; returns its module's name."""
    dist = dist or f"softdiv-{name}"
    module = "fake_" + dist.replace("-", "_")
    info = folder / f"{dist.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[softdiv]\n{name} = {entry or module}\n")
    (folder / f"{module}.py").write_text(source)
    return module


METRIC = """
import attrs
from softdiv import hookimpl

@attrs.frozen(kw_only=True)
class Zero:
    level = "token"
    def __call__(self, rows):
        return rows.log_probs_1[:, 0] * 0

@hookimpl
def softdiv_register_metrics(register):
    register("zero", Zero)
"""
"""Source of a plugin whose one metric ``zero`` is always 0."""

OBSERVER = """
import attrs
from softdiv import hookimpl

@attrs.define(eq=False, kw_only=True)
class Watching:
    {body}

@hookimpl
def softdiv_register_observers(register):
    register("{name}", Watching)
"""


def observer(name: str, body: str) -> str:
    """Source of a plugin whose one observer ``name`` has this class body."""
    return OBSERVER.format(name=name, body=body.strip().replace("\n", "\n    "))
