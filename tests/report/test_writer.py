from __future__ import annotations

import json
import re
from pathlib import Path

from softdiv.report.writer import write_report
from softdiv.storage.atomic import sha256_file
from softdiv.storage.run import open_run
from tests.report.sample import HOSTILE, sample_report


def test_the_report_and_every_section_s_numbers_with_their_hashes(tmp_path: Path) -> None:
    with open_run({"seed": 0}, "seed = 0\n", name="a", parent=tmp_path) as run:
        files = write_report(sample_report(text=HOSTILE, answer=HOSTILE), run)
        assert set(files) == {
            *("report.json", "report.md", "report.html"),
            *("analysis/1-tokens.json", "analysis/1-tokens-1.csv", "analysis/1-tokens-1.svg"),
            *("analysis/training.json", "analysis/training-1.svg"),
        }
        assert {name: sha256_file(run.path / name) for name in files} == files
        for page, link in (("report.html", r'href="([^#"]+)"'), ("report.md", r"\]\(([^)]+)\)")):
            text = (run.path / page).read_text()
            linked = set(re.findall(link, text.replace("[l](javascript", "")))
            figures = {name for name in files if name.endswith((".svg", ".csv"))}
            assert linked - {"config.toml"} == figures
        assert json.loads((run.path / "report.json").read_text())["schema_version"] == 1
