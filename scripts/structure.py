"""The structure's facts: circles, arrows upwards, sizes, rooms. Exit code 1 if a rule is broken.

python scripts/structure.py
"""

from __future__ import annotations

import ast
import functools
import graphlib
import statistics
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

HOME = Path(__file__).parents[1]
ROOT = HOME / "softdiv"
ORDER = (
    "errors",
    "plain_text",
    "plugin",
    "storage",
    "config",
    "data",
    "ranks",
    "pair",
    "divergence",
    "training",
    "search",
    "searching",
    "evaluation",
    "analysis",
    "stored",
    "report",
    "components",
    "stages",
    "pipeline",
    "calibration",
    "sweep",
    "export",
    "testing",  # checks components of every kind, and the command line runs it
    "cli",
    "__main__",
)
"""Rooms, each of which imports those before it alone."""
BUILTINS = ("evaluation", "stored", "report", *ORDER[ORDER.index("components") :])
"""Rooms that shipped plugins, as a stranger's, do without."""
MEDIAN, LONGEST = 150, 350
"""Lines of a file."""
SAMPLING = {"rollout", "sample_answers", "start_decoding", "log_likelihood"}
"""Calls that sample the pair or score on it."""
SAMPLER = "divergence/batches.py"
"""Where these are; below it stand the decoders, a model's self-check, and the chat."""

FILES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py"))
Import = tuple[str, int, bool]
"""(absolute name, line, whether it is imported when the module is)"""


@functools.cache
def tree(file: Path) -> ast.Module:
    return ast.parse((ROOT / file).read_text(encoding="utf-8"))


def lines(file: Path) -> int:
    return len((ROOT / file).read_text(encoding="utf-8").splitlines())


def room(file: Path) -> str:
    return file.parts[0].removesuffix(".py")


def module(file: Path) -> str:
    parts = ["softdiv", *file.with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(file: Path) -> Iterator[Import]:
    """Wherever an import stands; public names are followed home."""
    waiting: list[tuple[ast.AST, bool]] = [(tree(file), True)]
    while waiting:
        node, now = waiting.pop()
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno, now) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            folder = ("softdiv", *file.parts[: len(file.parts) - node.level]) if node.level else ()
            source = ".".join([*folder, *([node.module] if node.module else [])])
            names = [f"{source}.{alias.name}" for alias in node.names]
            yield from ((public().get(name, name), node.lineno, now) for name in names)
        late = isinstance(node, ast.FunctionDef) or (
            isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        )
        waiting += [(child, now and not late) for child in ast.iter_child_nodes(node)]


@functools.cache
def public() -> dict[str, str]:
    """Name of the package -> name where it is defined."""
    import softdiv

    return {f"softdiv.{name}": f"{home}.{name}" for name, home in softdiv._PUBLIC.items()}


def arrows_upwards(file: Path) -> list[str]:
    if file == Path("__init__.py"):
        return []
    if room(file) == "builtin":
        allowed = {*ORDER, "builtin"} - set(BUILTINS)
    else:
        allowed = set(ORDER[: ORDER.index(room(file)) + 1])
    allowed.add("__version__")
    return [
        f"{file}:{line} imports {name}"
        for name, line, _ in imports(file)
        if name.startswith("softdiv.") and name.split(".")[1] not in allowed
    ]


def circle(edges: Iterable[tuple[str, str]]) -> list[str]:
    """Names, each of which needs the next; empty where there is no circle."""
    graph: dict[str, set[str]] = {}
    for one, other in edges:
        if one != other:
            graph.setdefault(one, set()).add(other)
    try:
        list(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        found: list[str] = error.args[1]
        return found[::-1]  # each of it is needed by the one behind
    return []


def needed() -> Iterator[tuple[str, str]]:
    """(module, module that is imported with it)"""
    known = {module(file) for file in FILES} - {"softdiv"}
    for file in FILES:
        for name, _, now in imports(file):
            target = name if name in known else name.rpartition(".")[0]
            if now and target in known and module(file) != "softdiv":
                yield module(file), target


def sampling_calls(file: Path) -> list[str]:
    """Outside :data:`SAMPLER` and what stands below it."""
    if file.as_posix() == SAMPLER or room(file) == "pair":
        return []
    # it is how rollouts are made
    own = {"start_decoding"} if file.as_posix() == "divergence/rollouts.py" else set()
    return [
        f"{file}:{call.lineno} calls {ast.unparse(call.func)}"
        for call in ast.walk(tree(file))
        if isinstance(call, ast.Call)
        and ast.unparse(call.func).rpartition(".")[2] in SAMPLING - own
    ]


def facts() -> dict[str, list[str]]:
    """Rule -> where it is broken."""
    sizes = {file: lines(file) for file in FILES}
    long = [f"{file}: {size}" for file, size in sizes.items() if size > LONGEST]
    median = statistics.median(sizes.values())
    pairs = list(needed())
    rooms = [(one.split(".")[1], other.split(".")[1]) for one, other in pairs]
    return {
        "no import circle of modules": [" > ".join(circle(pairs))] if circle(pairs) else [],
        "no import circle of rooms": [" > ".join(circle(rooms))] if circle(rooms) else [],
        "no arrow upwards": [line for file in FILES for line in arrows_upwards(file)],
        f"median file {median:g} lines, at most {MEDIAN}": ["it is not"] * (median > MEDIAN),
        f"longest file {max(sizes.values())} lines, at most {LONGEST}": long,
        f"the pair is sampled in {SAMPLER} alone": [
            line for file in FILES for line in sampling_calls(file)
        ],
    }


def main() -> int:
    rooms: dict[str, list[int]] = {}
    for file in FILES:
        rooms.setdefault(room(file), []).append(lines(file))
    found = facts()
    for rule, broken in found.items():
        print(f"{'BROKEN' if broken else 'holds '}  {rule}")
        for line in broken:
            print(f"        {line}")
    print(f"\n{len(rooms)} rooms, {len(FILES)} files, {sum(map(sum, rooms.values())):,} lines")
    places = {name: place for place, name in enumerate(ORDER)}
    for name in sorted(rooms, key=lambda name: places.get(name, len(places))):
        print(f"  {name:<12} {len(rooms[name]):>3} files {sum(rooms[name]):>6,} lines")
    return int(any(found.values()))


if __name__ == "__main__":
    sys.path.insert(0, str(HOME))
    sys.exit(main())
