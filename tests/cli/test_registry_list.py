from __future__ import annotations

from click.testing import CliRunner

from softdiv.cli.main import softdiv
from softdiv.plugin.discovery import installed


def test_pairs_are_listed_with_their_description() -> None:
    result = CliRunner().invoke(softdiv, ["pairs", "list"])
    assert result.exit_code == 0
    assert "smollm2-vs-itself" in result.output
    assert "circuit-breakers-llama3-8b" in result.output


def test_plugins_are_those_installed() -> None:
    result = CliRunner().invoke(softdiv, ["plugins", "list"])
    assert result.exit_code == 0
    for plugin in installed():
        assert plugin.distribution in result.output
    assert len(result.output.splitlines()) == max(1, len(installed()))
