"""The whole plugin contract, as the timeline of a run.

A plugin registers *components* (things a config names and the core calls) and
*observers* (things the core tells). No hook returns a value, so there is no
merge order to guess. Every lifecycle hook receives one event object that may
grow new attributes; existing ones never change meaning within an API version.

An observer may change a run in three ways only: ``event.log``, ``event.stop`` and
``event.scale_gradient``. Events are read-only, tensors in them are copies, and the working
directory, the random numbers and torch's global switches are put back after every call. One that
raises, exits or hangs is named and set aside; the run goes on. One that ends the whole process
(``os._exit``, a crash in native code) ends the run too; the same command continues it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import pluggy

if TYPE_CHECKING:
    from softdiv.plugin import events
    from softdiv.plugin.interfaces import (
        Analyzer,
        Loss,
        ModelLoader,
        Processor,
        ResponseMetric,
        Searcher,
        TokenMetric,
    )
    from softdiv.plugin.registry import Register

PROJECT = "softdiv"
API_VERSION = 1
"""A plugin may set ``SOFTDIV_API_VERSION``; another number is refused when it is loaded."""

Event = TypeVar("Event")
"""What a lifecycle hook is told."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class Hooks:
    """Typed view of every hook; ``cast(Hooks, manager.hook)`` lets mypy check each call."""

    # --- registration: once, right after the plugin is imported, on every rank -----------

    @hookspec
    def softdiv_register_models(self, register: Register[ModelLoader]) -> None:
        """Call ``register("name", Factory)`` for each model loader."""

    @hookspec
    def softdiv_register_processors(self, register: Register[Processor]) -> None:
        """Call ``register("name", Factory)`` for each data source or filter."""

    @hookspec
    def softdiv_register_losses(self, register: Register[Loss]) -> None:
        """Call ``register("name", Factory)`` for each loss (maximised, per response token)."""

    @hookspec
    def softdiv_register_metrics(self, register: Register[TokenMetric | ResponseMetric]) -> None:
        """Call ``register("name", Factory)`` for each token or response metric."""

    @hookspec
    def softdiv_register_searchers(self, register: Register[Searcher]) -> None:
        """Call ``register("name", Factory)`` for each searcher or baseline."""

    @hookspec
    def softdiv_register_analyzers(self, register: Register[Analyzer]) -> None:
        """Call ``register("name", Factory)`` for each analyzer of findings."""

    @hookspec
    def softdiv_register_observers(self, register: Register[object]) -> None:
        """Call ``register("name", Factory)`` for each observer (an object with the hooks below)."""

    @hookspec
    def softdiv_register_commands(self, register: Callable[[str, Any], None]) -> None:
        """Call ``register("name", command)`` for each click command.

        Called by the command line alone, when ``SOFTDIV_PLUGINS`` or ``softdiv --plugin NAME``
        names the plugin: the command is then ``softdiv name``. Built-in names are taken.
        """

    # --- lifecycle: told to the config's observers, in the config's order, on every rank ---

    @hookspec
    def softdiv_run_start(self, event: events.RunEvent) -> None:
        """The run folder exists and the configuration is final; no model is loaded yet."""

    @hookspec
    def softdiv_train_start(self, event: events.TrainEvent) -> None:
        """Models, data and soft prompt are ready; ``event.step`` is the step training starts at."""

    @hookspec
    def softdiv_before_step(self, event: events.TrainEvent) -> None:
        """Before the forward pass of ``event.step``."""

    @hookspec
    def softdiv_gradient_ready(self, event: events.TrainEvent) -> None:
        """After the backward passes of a step, summed over ranks; before clipping.

        ``event.prompt.grad`` is a copy of the gradient, ``[k, H]``. May call
        ``event.scale_gradient(factor)``.
        """

    @hookspec
    def softdiv_step_end(self, event: events.TrainEvent) -> None:
        """After the optimizer step; ``event.metrics`` holds this step's numbers.

        May call ``event.log(name, value)`` and ``event.stop(reason)``.
        """

    @hookspec
    def softdiv_evaluation_end(self, event: events.EvaluationEvent) -> None:
        """After each validation (soft prompt in place), and after the held-out scoring."""

    @hookspec
    def softdiv_train_end(self, event: events.TrainEvent) -> None:
        """Training is over; the best prompt by validation is in the run folder."""

    @hookspec
    def softdiv_search_step(self, event: events.SearchEvent) -> None:
        """After each stage of the search: proposals, halving, refinement, each baseline."""

    @hookspec
    def softdiv_prompts_found(self, event: events.PromptsEvent) -> None:
        """The searchers and baselines are done; nothing has been scored on held-out texts yet."""

    @hookspec
    def softdiv_report_ready(self, event: events.ReportEvent) -> None:
        """The report is written; ``event.report`` is the object all its files come from."""

    @hookspec
    def softdiv_run_end(self, event: events.RunEvent) -> None:
        """Always, also after a failure: ``event.error`` is then the exception, else None."""


def register_hook(kind: str) -> str:
    """The name of the registration hook of a component kind, e.g. ``softdiv_register_losses``."""
    return f"softdiv_register_{kind}"


def registration_hooks() -> tuple[str, ...]:
    """Names of the hooks in which a plugin registers what it brings."""
    return tuple(name for name in vars(Hooks) if name.startswith("softdiv_register_"))


def lifecycle_hooks() -> tuple[str, ...]:
    """Names of the lifecycle hooks in the order in which a run calls them."""
    return tuple(
        name
        for name in vars(Hooks)
        if name.startswith("softdiv_") and not name.startswith("softdiv_register_")
    )
