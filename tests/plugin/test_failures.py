from __future__ import annotations

from softdiv.plugin.failures import reason


def test_a_plugins_words_cannot_move_a_terminal() -> None:
    said = reason(ValueError("boom \x1b[31mred\n second\u202e <b>line</b> é"))
    assert said == "ValueError: boom �[31mred second� <b>line</b> é"
    assert reason(KeyError()) == "KeyError"
