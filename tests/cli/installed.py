"""Installed distributions as pip leaves them, without pip."""

from __future__ import annotations

from pathlib import Path

MODULE = "softdiv_listed_only"


def distribution(
    folder: Path,
    name: str,
    *,
    dist: str = "dist_a",
    module: str = MODULE,
    source: str | None = "raise RuntimeError('imported although nobody asked')",
    requires: str | None = None,
) -> None:
    """Metadata and, unless ``source`` is None, the module; ``folder`` goes on the path."""
    info = folder / f"{dist}-1.2.dist-info"
    info.mkdir(parents=True)
    needs = f"Requires-Dist: {requires}\n" if requires else ""
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {dist}\nVersion: 1.2\nSummary: about {name}\n{needs}"
    )
    (info / "entry_points.txt").write_text(f"[softdiv]\n{name} = {module}\n")
    if source is not None:
        (folder / f"{module}.py").write_text(source)
