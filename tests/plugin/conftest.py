from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on ``sys.path`` for fake distributions, which are forgotten afterwards."""
    folder = tmp_path / "site"
    folder.mkdir()
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(folder))
    for variable in ("SOFTDIV_PLUGINS", "SOFTDIV_DISABLE_PLUGINS"):
        monkeypatch.delenv(variable, raising=False)
    yield folder
    for name in set(sys.modules) - before:
        if name.startswith(("fake_", "softdiv_plugin_file_")):
            del sys.modules[name]
