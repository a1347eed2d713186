from __future__ import annotations

from click.testing import CliRunner

from softdiv.cli.main import softdiv


def test_pairs_are_listed_with_their_description() -> None:
    result = CliRunner().invoke(softdiv, ["pairs", "list"])
    assert result.exit_code == 0
    assert "smollm2-vs-itself" in result.output
    assert "circuit-breakers-llama3-8b" in result.output
