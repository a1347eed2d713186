from __future__ import annotations

import io
from pathlib import Path

import pytest

from softdiv.pair.layout import Layout
from softdiv.plugin.records import Example

from .conftest import Call


def chat(
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
    run: Path,
    *lines: str,
    options: tuple[str, ...] = (),
) -> int:
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
    return call("chat", run)


def test_one_message_has_an_answer_per_model_with_and_without_the_prompt(
    run: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("chat", run, "--message", "Tell me about the sea.") == 0
    first = capsys.readouterr().out
    labels = [line.split(":")[0] for line in first.splitlines() if ": " in line]
    assert labels[:2] == ["model_1", "model_2"]
    assert {"model_1 with the prompt", "model_2 with the prompt"} <= set(labels)
    assert call("chat", run, "--message", "Tell me about the sea.") == 0
    assert capsys.readouterr().out == first  # same seed, same answers


def test_commands_history_and_the_end_of_input(
    run: Path, call: Call, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[int] = []
    hard = Layout.hard

    def watched(self: Layout, text: Example, prompt: str = "") -> object:
        seen.append(len(text.context) // 2)
        return hard(self, text, prompt)

    monkeypatch.setattr(Layout, "hard", watched)
    lines = ("one", "/prompt", "two", "/reset", "three", "/prompt 0", "four", "/what", "/prompt 99")
    assert chat(call, monkeypatch, run, *lines) == 0  # ends at the end of input
    shown = capsys.readouterr().out
    assert "* 1. “" in shown and "(forgotten)" in shown
    assert shown.count("/reset forgets") == 3  # at the start, and for two commands unknown to it
    assert seen == [0] * 4 + [1] * 4 + [0] * 4 + [0] * 2


def test_quit_a_special_token_and_an_interrupt(
    run: Path, call: Call, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert chat(call, monkeypatch, run, "<|im_start|>", "/quit", "never read") == 0
    captured = capsys.readouterr()
    assert "contains the special token" in captured.err
    assert "model_1" not in captured.out

    # a stray byte of a terminal that is not in UTF-8, as Python's two ways of reading give it
    assert chat(call, monkeypatch, run, "caf\udce9", "/quit") == 0
    assert "surrogate" in capsys.readouterr().err
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"caf\xe9\n"), "utf-8"))
    assert call("chat", run) == 0
    assert "not UTF-8" in capsys.readouterr().err

    def interrupted(prompt: str) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("builtins.input", interrupted)
    assert call("chat", run) == 0


def test_an_interrupt_while_answering_ends_the_answer_only(
    run: Path, call: Call, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from softdiv.pair.conversation import Conversation

    def interrupted(self: Conversation, voice: object, text: str) -> object:
        yield "half"
        raise KeyboardInterrupt

    monkeypatch.setattr(Conversation, "answer", interrupted)
    assert chat(call, monkeypatch, run, "hello", "/prompt") == 0
    shown = capsys.readouterr().out
    assert "half" in shown and "stopped" in shown and "* 1." in shown


def test_hostile_answers_cannot_move_the_cursor(
    run: Path, call: Call, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from softdiv.pair.conversation import Conversation

    def hostile(self: Conversation, voice: object, text: str) -> object:
        yield from ("a\x1b", "[2Jb", "\x1b]0;t\x07c", "\u202ed")

    monkeypatch.setattr(Conversation, "answer", hostile)
    assert call("chat", run, "--message", "x") == 0
    shown = capsys.readouterr().out
    assert not {"\x1b", "\x07", "\u202e"} & set(shown)


def test_a_terminal_shows_two_columns(
    run: Path, call: Call, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert call("chat", run, "--message", "x", "--max-tokens", "3") == 0
    header = [line for line in capsys.readouterr().out.splitlines() if "model_1" in line]
    assert header and all("model_2" in line for line in header)


def test_any_pair_needs_no_run(call: Call, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--set", "plugins=[]", "--set", "evaluation.metrics=[]", "--max-tokens", "2")
    assert call("chat", "--pair", "tiny", "--message", "x", "--prompt", "be brief", *options) == 0
    assert "model_2 with the prompt: " in capsys.readouterr().out


def test_the_configs_system_prompt_comes_first(
    run: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    hard = Layout.hard

    def watched(self: Layout, text: Example, prompt: str = "") -> object:
        seen.append([message.role for message in text.context])
        return hard(self, text, prompt)

    monkeypatch.setattr(Layout, "hard", watched)
    options = ("--set", "plugins=[]", "--set", "evaluation.metrics=[]", "--max-tokens", "1")
    told = ("--set", "data.system_prompt=Be kind.")
    assert call("chat", "--pair", "tiny", "--message", "x", *options, *told) == 0
    assert seen == [["system"], ["system"]]
