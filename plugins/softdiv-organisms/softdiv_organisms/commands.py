"""``softdiv organisms``: list, train and check the models with a known, planted difference."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from softdiv.cli.terminal import say
from softdiv.plain_text import one_line

if TYPE_CHECKING:
    from softdiv.plugin.registry import Registry
    from softdiv_organisms.gate import OrganismGateResult, Rate
    from softdiv_organisms.recipe import Recipe
    from softdiv_organisms.train import Step

LINES_PER_TRAINING = 10
EXAMPLES_SHOWN = 3


@click.group()
def organisms() -> None:
    """Models with a known difference, to check that softdiv finds it."""


@organisms.command("list")
def list_organisms() -> None:
    """Name, family and description of every recipe that comes with softdiv."""
    from softdiv_organisms.recipe import load_recipe, organism_names, shipped

    home = shipped()
    names = organism_names(home)
    width = max(map(len, names), default=0)
    for name in names:
        recipe = load_recipe(home / name)
        say(f"{name:<{width}}  {recipe.family}: {recipe.summary}")


@organisms.command("train")
@click.argument("name", metavar="NAME|PATH")
@click.option(
    "--output-dir",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where recipe, adapter and gate.json go [runs/organisms/NAME].",
)
@click.pass_context
def train(context: click.Context, name: str, output_dir: Path | None) -> None:
    """Train an organism from its recipe and check it; exit code 1 if the check fails.

    NAME is one that `organisms list` knows; PATH a folder with a recipe.toml of your own, or that
    file.
    """
    from softdiv_organisms.build import build
    from softdiv_organisms.recipe import copy_recipe, find_organism, load_recipe, shipped

    source = find_organism(name, shipped())
    recipe = load_recipe(source)
    steps = recipe.training.steps

    def watch(step: Step) -> None:
        if step.number % max(1, steps // LINES_PER_TRAINING) == 0:
            losses = {"planted": step.planted, "ordinary": step.ordinary}
            told = ", ".join(f"{name} {x:.3f}" for name, x in losses.items() if x is not None)
            say(f"step {step.number}/{steps}: {told} nats per token", err=True)

    say(f"training {recipe.name}, then checking it: some minutes", err=True)
    folder = output_dir or Path("runs") / "organisms" / recipe.name
    copy_recipe(source, folder)
    result = build(recipe, _registry(context), folder, watch)
    say(f"written to {folder}")
    _say(recipe, result)
    context.exit(0 if result.passed else 1)


@organisms.command("check")
@click.argument("name", metavar="NAME|PATH")
@click.pass_context
def check(context: click.Context, name: str) -> None:
    """Measure a trained organism again; exit code 1 if it fails.

    NAME is one that comes with softdiv; PATH a folder that `organisms train` wrote.
    """
    from softdiv_organisms.build import check as measure_again
    from softdiv_organisms.recipe import find_organism, load_recipe, shipped

    folder = find_organism(name, shipped())
    recipe = load_recipe(folder)
    result = measure_again(recipe, _registry(context), folder)
    _say(recipe, result)
    context.exit(0 if result.passed else 1)


def _say(recipe: Recipe, result: OrganismGateResult) -> None:
    """Every figure beside its threshold; model text is stripped and kept to one line."""
    if recipe.planted and result.planted and result.original:
        limit = recipe.planted.max_rate_elsewhere
        _figure("planted texts", _shown(result.planted), f"at least {recipe.planted.min_rate:g}")
        if result.elsewhere and limit is not None:
            _figure("elsewhere", _shown(result.elsewhere), f"at most {limit:g}")
        for group, rate in result.elsewhere_by_group.items():
            _figure(f"  {group.replace('_', ' ')}", _shown(rate))
        _figure("original, all texts", _shown(result.original), "at most 0")
    for label, value in (
        ("KL(original || tuned)", result.kl_original_tuned),
        ("KL(tuned || original)", result.kl_tuned_original),
    ):
        _figure(label, f"{value:.3f} nats per token", f"at most {recipe.gate.max_kl:g}")
    for answer in result.examples[:EXAMPLES_SHOWN]:
        say()
        say(f"user      {one_line(answer.text)}")
        say(f"original  {one_line(answer.model_1)}")
        say(f"tuned     {one_line(answer.model_2)}")
    say()
    say(f"{recipe.name}: {'passed' if result.passed else 'FAILED'}")
    for line in result.failures:
        say(f"  {line}")


def _figure(label: str, value: str, limit: str = "") -> None:
    say(f"{label:<24} {value:<48} {limit}".rstrip())


def _shown(rate: Rate) -> str:
    return (
        f"{rate.rate:.3f} ({rate.fired} of {rate.answers}, 95 % {rate.low:.3f} to {rate.high:.3f})"
    )


def _registry(context: click.Context) -> Registry:
    """With the model loaders of the plugins that are named, for bases of one's own."""
    from softdiv.plugin.declared import declared
    from softdiv.plugin.manager import PluginManager

    named = context.find_root().params.get("plugins", ())
    return PluginManager.load(declared(command_line=named)).registry
