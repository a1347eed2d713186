"""``softdiv plugins check``: which plugin is meant, what is said, and the exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from softdiv.cli.plugins_check import check
from softdiv.errors import PluginError

SOURCE = """
import attrs
from softdiv import hookimpl

@attrs.frozen(kw_only=True)
class Mean:
    level = "token"
    def __call__(self, rows):
        return (rows.log_probs_2 - rows.log_probs_1).mean(){end}

@hookimpl
def softdiv_register_metrics(register):
    register("mean_gap", Mean)
"""
GOOD, BAD = SOURCE.replace("mean(){end}", "mean(-1)"), SOURCE.replace("{end}", "")
PROJECT = """
[project]
name = "softdiv-gap"
version = "0.3"
[project.entry-points.softdiv]
gap = "softdiv_gap_under_test"
"""


def test_a_file_that_keeps_the_contract_ends_with_0(tmp_path: Path) -> None:
    (tmp_path / "gap.py").write_text(GOOD)
    result = CliRunner().invoke(check, [str(tmp_path / "gap.py")])
    assert result.exit_code == 0, result.output
    assert "mean_gap (metrics): 16 of 16 checks passed" in result.output


def test_a_failure_is_shown_with_its_reason_and_ends_with_1(tmp_path: Path) -> None:
    (tmp_path / "gap.py").write_text(BAD)
    result = CliRunner().invoke(check, [str(tmp_path / "gap.py")])
    assert result.exit_code == 1
    assert "FAIL  check_finite_value_per_row" in result.output
    assert "one value per row, no mean" in result.output


def test_one_cause_of_many_failures_is_said_once(tmp_path: Path) -> None:
    broken = GOOD.replace("return (", 'raise ValueError("no such column")\n        return (')
    (tmp_path / "gap.py").write_text(broken)
    result = CliRunner().invoke(check, [str(tmp_path / "gap.py")])
    assert result.exit_code == 1
    assert result.output.count("no such column") == 1
    failed = [line.split() for line in result.output.splitlines() if line.startswith("  FAIL")]
    assert len(failed) > 3
    assert all(line[2:] == ["as", failed[0][1]] for line in failed[1:])


def test_a_package_folder_is_read_from_its_pyproject(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    (tmp_path / "softdiv_gap_under_test.py").write_text(GOOD)
    result = CliRunner().invoke(check, [str(tmp_path), "--json"])
    (one,) = json.loads(result.output)
    assert one["plugin"] == "'gap' (softdiv-gap 0.3)"
    assert one["passed"] and set(one["checks"].values()) == {"pass"}


def test_a_plugin_with_commands_alone_has_them_named(tmp_path: Path) -> None:
    source = """
import click
from softdiv import hookimpl

@hookimpl
def softdiv_register_commands(register):
    register("draw", click.Command("draw"))
"""
    (tmp_path / "draws.py").write_text(source)
    result = CliRunner().invoke(check, [str(tmp_path / "draws.py")])
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[1:] == ["command draw"]
    (tmp_path / "wrong.py").write_text(source.replace('click.Command("draw")', "print"))
    assert CliRunner().invoke(check, [str(tmp_path / "wrong.py")]).exit_code == 1


def test_a_built_in_plugin_is_checked_by_name() -> None:
    result = CliRunner().invoke(check, ["losses"])
    assert result.exit_code == 0, result.output
    assert "jsd (losses)" in result.output


def test_a_component_that_needs_options_says_where_to_give_them(tmp_path: Path) -> None:
    source = GOOD.replace('level = "token"', 'level = "token"\n    k: int')
    (tmp_path / "gap.py").write_text(source)
    result = CliRunner().invoke(check, [str(tmp_path / "gap.py")])
    assert result.exit_code == 1
    assert "k: is required" in result.output and "SOFTDIV_EXAMPLE_OPTIONS" in result.output
    (tmp_path / "gap.py").write_text(source + 'SOFTDIV_EXAMPLE_OPTIONS = {"mean_gap": {"k": 3}}\n')
    assert CliRunner().invoke(check, [str(tmp_path / "gap.py")]).exit_code == 0


@pytest.mark.parametrize(
    ("target", "message"), [("nowhere", "not installed"), (".", "no plugin package")]
)
def test_nothing_to_check_is_said(
    target: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(check, [target])
    assert isinstance(result.exception, PluginError)
    assert message in str(result.exception)
