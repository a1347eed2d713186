"""Does a plugin or an observer keep to the hooks there are? Checked before anything is called."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator

import pluggy

from softdiv.errors import PluginError, did_you_mean
from softdiv.plugin.hookspecs import (
    API_VERSION,
    PROJECT,
    Hooks,
    lifecycle_hooks,
    registration_hooks,
)

PREFIX = "softdiv_"


def check_version(plugin: object, label: str) -> None:
    """Raises PluginError if the plugin was written for another API."""
    version = getattr(plugin, "SOFTDIV_API_VERSION", API_VERSION)
    if version != API_VERSION:
        raise PluginError(
            f"plugin {label} was written for plugin API {version}",
            why=f"this softdiv has API {API_VERSION}",
            fix="install a version of the plugin made for it",
        )


def check_plugin(plugin: object, label: str) -> None:
    """A plugin implements registration hooks, at least one, and spells them right.

    Raises:
        PluginError: it does not.
    """
    hooks = _checked(plugin, f"plugin {label}")
    watching = sorted(hooks & set(lifecycle_hooks()))
    if watching:
        raise PluginError(
            f"plugin {label} breaks the contract",
            why=f"{watching[0]} is told to observers, never to a plugin itself",
            fix="put it in a class and register that in softdiv_register_observers",
        )
    if not hooks:
        raise PluginError(f"plugin {label} registers nothing", fix=_unmarked(plugin))


def check_observer(observer: object, label: str) -> None:
    """An observer implements lifecycle hooks, at least one, and spells them right.

    Raises:
        PluginError: it does not.
    """
    if not _checked(observer, label) & set(lifecycle_hooks()):
        raise PluginError(
            f"{label} implements no hook",
            fix="mark its methods with @softdiv.hookimpl, and pass an instance, not a class",
        )


def hook_callers(plugin: object, name: str, label: str) -> dict[str, pluggy.HookCaller]:
    """The hooks that a plugin implements, by name, each calling this one plugin: a manager of its
    own, for one that fails is named and keeps no other from its turn.

    Raises:
        PluginError: pluggy refuses it.
    """
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(Hooks)
    try:
        manager.register(plugin, name=name)
        manager.check_pending()
    except (pluggy.PluginValidationError, ValueError, TypeError) as error:
        why = " ".join(str(error).split())
        raise PluginError(f"{label} breaks the contract", why=why) from error
    return {caller.name: caller for caller in manager.get_hookcallers(plugin) or ()}


def _checked(plugin: object, label: str) -> set[str]:
    known = {*registration_hooks(), *lifecycle_hooks()}
    found = set()
    for name, function in _implementations(plugin):
        if name not in known:
            raise PluginError(
                f"{label} breaks the contract",
                why=f"there is no hook {name}",
                fix=did_you_mean(name, known),
            )
        _check_signature(name, function, label)
        found.add(name)
    return found


def _check_signature(name: str, function: object, label: str) -> None:
    expected = list(inspect.signature(getattr(Hooks, name)).parameters)[1:]  # without self
    try:
        taken = list(inspect.signature(function).parameters.values())  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return  # no signature to look at; pluggy has the last word
    wrong = [
        p.name
        for p in taken
        if p.name not in expected
        or p.kind is not inspect.Parameter.POSITIONAL_OR_KEYWORD
        or p.default is not inspect.Parameter.empty
    ]
    if wrong:
        given = ", ".join(str(p) for p in taken)
        raise PluginError(
            f"{label} breaks the contract",
            why=f"{name} takes ({', '.join(expected)}), not ({given})",
            fix="use exactly the arguments of docs/hooks.md, without defaults",
        )


def _implementations(plugin: object) -> Iterator[tuple[str, object]]:
    for name in dir(plugin):
        try:
            member = inspect.getattr_static(plugin, name)  # a property is not run
        except AttributeError:
            continue
        marked = getattr(member, "__func__", member)
        if hasattr(marked, f"{PROJECT}_impl"):
            yield name, getattr(plugin, name)


def _unmarked(plugin: object) -> str:
    known: Collection[str] = registration_hooks()
    forgotten = [name for name in dir(plugin) if name in known]
    if forgotten:
        return f"mark {forgotten[0]} with @softdiv.hookimpl"
    near = [name for name in dir(plugin) if name.startswith(PREFIX)]
    if near:
        return f"{near[0]} is no hook; {did_you_mean(near[0], known)}"
    return "write e.g. softdiv_register_metrics(register), marked with @softdiv.hookimpl"
