"""The documentation builds as a site, and a link that leads nowhere stops it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HOME = Path(__file__).parents[1]
BUILD = [str(Path(sys.executable).with_name("zensical")), "build", "--strict"]


def test_every_link_of_the_site_leads_somewhere() -> None:
    subprocess.run([sys.executable, str(HOME / "scripts" / "pages.py")], check=True)
    built = subprocess.run(BUILD, cwd=HOME, capture_output=True, text=True, timeout=120)
    assert built.returncode == 0, built.stdout + built.stderr
    listed = (HOME / "build" / "site" / "llms.txt").read_text("utf-8")
    assert (
        "- [Evidence](docs/evidence.md): What softdiv finds where something was planted" in listed
    )
    page = HOME / "build" / "pages" / "docs" / "cli.md"
    page.write_text(page.read_text("utf-8") + "\n[nowhere](nowhere.md)\n", "utf-8")
    broken = subprocess.run(BUILD, cwd=HOME, capture_output=True, text=True, timeout=120)
    assert broken.returncode != 0
