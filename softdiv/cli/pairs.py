"""``softdiv pairs list | check``: the pairs there are, and can two models be compared?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from softdiv.cli.options import FOLDER, config_options, configured, json_option
from softdiv.cli.terminal import only_ours, say, say_json, say_rows
from softdiv.errors import ConfigError, PairError

if TYPE_CHECKING:
    from softdiv.config.schema import PairConfig
    from softdiv.pair.manager import ModelPair


@click.group()
def pairs() -> None:
    """List known pairs, and check whether two models can be compared."""


@pairs.command("list")
@json_option
def list_pairs(as_json: bool) -> None:
    """Name and description of every pair, ready for ``softdiv run --pair NAME``."""
    from softdiv.config.catalogue import ModelRegistry

    entries = ModelRegistry.load().pairs
    if as_json:
        from softdiv.config.redact import redacted

        say_json(
            [
                {
                    "name": entry.name,
                    "description": entry.description,
                    "model_1": redacted(entry.model_1.to_dict()),
                    "model_2": redacted(entry.model_2.to_dict()),
                    "organism": entry.organism,
                }
                for entry in entries
            ]
        )
        return
    if not entries:
        say("registry.toml lists no pair")
        return
    width = max(len(entry.name) for entry in entries)
    for entry in entries:
        say(f"{entry.name:<{width}}  {entry.description}")


@pairs.command()
@click.argument("name", required=False)
@click.option("--config", "config_path", type=FOLDER, help="A config's pair.")
@config_options
@json_option
@click.pass_context
def check(
    context: click.Context,
    /,
    name: str | None,
    config_path: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Load both models of a pair (NAME of `softdiv pairs list`) and report what would matter.

    Tokenizers, vocabularies, chat templates, heads, number formats, shared memory, how closely a
    run's path gives each model's own answers, and whether the gradient of the divergence reaches a
    soft prompt and no parameter. Exit code 4: the pair cannot be compared.
    """
    if name is not None:
        if options["pair"] is not None:
            raise ConfigError("NAME and --pair are the same thing", fix="give one of them")
        options["pair"] = name
    config = configured(config_path, options)

    from softdiv.components import Prepared
    from softdiv.pair.facts import model_facts
    from softdiv.pair.manager import ModelPairManager
    from softdiv.stages.texts import layout_notes
    from softdiv.training.probe import probe_gradient

    with only_ours():
        prepared = Prepared.of(config)
        config = prepared.config
        pair = ModelPairManager(config.pair, prepared.registry, config.device).load()
        probe = probe_gradient(pair, config.training.placement)
    both = (pair.model_1, pair.model_2)
    rows = [("pair", pair.name)]
    for wrapper, other in zip(both, reversed(both), strict=True):
        facts = model_facts(wrapper, other)
        rows += [(f"{wrapper.name} {label}", value) for label, value in facts]
    for wrapper, measured in zip(both, pair.self_checks, strict=True):
        rows.append((f"{wrapper.name} self-check", measured.line))
    rows.append(("vocabulary", f"{pair.report.shared_tokens:,} tokens that both models share"))
    rows.append(("chat template", _template(config.pair, pair)))
    ends = ", ".join(f"{token!r} ({i})" for token, i in pair.report.ends)
    rows.append(("answers end with", ends or "nothing: at their longest"))
    rows.append(("weights", "identical" if pair.report.identical else "differ"))
    notes = [*pair.report.notes, *layout_notes(pair.layout(config.training.placement))]
    rows += [("note", note) for note in notes]
    reached = f"norm {probe.norm:.3g} at {probe.bits:.3g} bits" if probe.finite else "not finite"
    rows.append(("gradient", reached))
    if probe.norm == 0 and not pair.report.identical:
        beyond = "no gradient reaches a prompt there: a text may stand beyond their windows"
        rows.append(("note", beyond))
    rows.append(("parameters", ", ".join(probe.leaks) or "none receives a gradient"))
    sound = probe.finite and not probe.leaks
    rows.append(("verdict", "can be compared" if sound else "do not use"))
    say_rows(rows, width=19, as_json=as_json, comparable=sound)
    context.exit(0 if sound else PairError.exit_code)


def _template(config: PairConfig, pair: ModelPair) -> str:
    if pair.template is None or pair.template.source is None:
        return "none: plain continuation"
    told = "".join(f", {key} = {value!r}" for key, value in config.template_arguments.items())
    return f"{config.chat_template or config.template_of}{told}"
