"""trackio reads where it keeps its database when it is first imported: set it before that."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

FOLDER = tempfile.TemporaryDirectory(prefix="softdiv-trackio-")
os.environ["TRACKIO_DIR"] = str(Path(FOLDER.name) / "trackio")
