"""``softdiv chat``: both models' answers side by side, with and without a prompt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from softdiv.cli.options import FOLDER, config_options, configured, refuse_options
from softdiv.cli.terminal import console, say, stream
from softdiv.errors import DataError
from softdiv.plain_text import one_line, strip_hidden

if TYPE_CHECKING:
    from rich.console import Console

    from softdiv.config.load import ExperimentConfig
    from softdiv.pair.conversation import Conversation

HELP = "/prompt lists the prompts, /prompt N takes one (0: none), /reset forgets, /quit ends"


@click.command()
@click.argument("run", metavar="[RUN]", required=False, type=FOLDER)
@config_options
@click.option("--prompt", metavar="TEXT", help="Instead of the run's best prompt.")
@click.option("--message", metavar="TEXT", help="One message, its answers, and the end.")
@click.option("--max-tokens", type=click.IntRange(min=1), help="Per answer [from the config].")
@click.option("--temperature", type=click.FloatRange(min=0), help="0 is greedy [from the config].")
def chat(
    run: Path | None,
    prompt: str | None,
    message: str | None,
    max_tokens: int | None,
    temperature: float | None,
    **options: Any,
) -> None:
    """Talk to both models at once: the pair of RUN with its best prompt, or any pair.

    Every answer is drawn with the same random numbers; each column remembers its own answers.
    """
    told = {"max_length": max_tokens, "temperature": temperature}
    config = _config(run, options).with_overrides(
        *(f"generation.{key}={value}" for key, value in told.items() if value is not None)
    )
    prompts = ([prompt] if prompt else []) + (_found(run) if run else [])

    conversation = _conversation(config, options["plugin_files"])
    conversation.reset(prompts[0] if prompts else "")
    terminal = console()
    if message is not None:
        _answer(terminal, conversation, message)
        return
    if prompts:
        say(f"prompt: “{one_line(prompts[0])}”")
    say(HELP)
    while True:
        try:
            text = input("you: ").strip()
        except (EOFError, KeyboardInterrupt):
            say()
            return
        except UnicodeDecodeError:
            say("error: that was not UTF-8 text", err=True)
            continue
        if text == "/quit":
            return
        try:
            if text.startswith("/"):
                _command(conversation, text, prompts)
            elif text:
                _answer(terminal, conversation, text)
        except DataError as error:
            say(f"error: {one_line(str(error))}", err=True)
        except KeyboardInterrupt:
            say()
            say("(stopped; this turn is forgotten where it was not complete)")


def _config(run: Path | None, options: dict[str, Any]) -> ExperimentConfig:
    if run is None:
        return configured(None, options)
    from softdiv.config.of_run import config_of_run

    refuse_options(options, run)
    return config_of_run(run, options["plugins"])


def _found(run: Path) -> list[str]:
    """The run's prompts, best first: by the evaluation where there is one."""
    from softdiv import stored
    from softdiv.storage.run_files import RunFiles

    files = RunFiles.of(run)
    if files.done("evaluate"):
        return [found.text for found in stored.evaluation(files).prompts]
    return [one.text for one in stored.prompts(files).prompts] if files.done("generate") else []


def _conversation(config: ExperimentConfig, plugin_files: tuple[Path, ...]) -> Conversation:
    from softdiv.components import Prepared
    from softdiv.pair.conversation import Conversation
    from softdiv.pair.manager import ModelPairManager
    from softdiv.pair.sampling import Sampling

    prepared = Prepared.of(config, plugin_files)
    config = prepared.config
    pair = ModelPairManager(config.pair, prepared.registry, config.device).load()
    return Conversation(
        pair=pair,
        layout=pair.layout(config.training.placement),
        sampling=Sampling.of(config.generation),
        max_tokens=config.generation.max_length,
        seed=config.seed,
        system_prompt=config.data.system_prompt,
    )


def _command(conversation: Conversation, text: str, prompts: Sequence[str]) -> None:
    name, _, argument = text.partition(" ")
    current = conversation.voices[-1].prompt
    if name == "/reset":
        conversation.reset(current)
        say("(forgotten)")
    elif name == "/prompt" and not argument:
        for number, prompt in enumerate(prompts, 1):
            say(f"{'*' if prompt == current else ' '} {number}. “{one_line(prompt)}”")
        if not prompts:
            say("(no prompts; give a RUN or --prompt)")
    elif name == "/prompt" and argument in [str(number) for number in range(len(prompts) + 1)]:
        chosen = prompts[int(argument) - 1] if int(argument) else ""
        conversation.reset(chosen)
        say(f"prompt: “{one_line(chosen)}” (forgotten what was said)")
    else:
        say(HELP)


def _answer(terminal: Console, conversation: Conversation, text: str) -> None:
    conversation.layout.check_plain(text)
    if terminal.is_terminal:
        _side_by_side(terminal, conversation, text)
        return
    for voice in conversation.voices:
        stream(f"{voice.label}: ")
        for piece in conversation.answer(voice, text):
            stream(piece)
        say()


def _side_by_side(terminal: Console, conversation: Conversation, text: str) -> None:
    """Both models in columns, with and without the prompt in rows, all growing at once."""
    from rich.live import Live
    from rich.table import Table
    from rich.text import Text

    voices = conversation.voices
    said = ["" for _ in voices]

    def table() -> Table:
        grid = Table("model_1", "model_2", expand=True, show_lines=True)
        for row in range(0, len(voices), 2):
            cells = [Text(strip_hidden(answer)) for answer in said[row : row + 2]]
            if voices[row].prompt:
                cells = [Text("with the prompt\n", style="dim") + cell for cell in cells]
            grid.add_row(*cells)
        return grid

    streams = {place: conversation.answer(voice, text) for place, voice in enumerate(voices)}
    with Live(table(), console=terminal, refresh_per_second=8) as live:
        while streams:
            for place in list(streams):
                piece = next(streams[place], None)
                if piece is None:
                    del streams[place]
                else:
                    said[place] += piece
            live.update(table())
