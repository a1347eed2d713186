"""The rules that keep the rooms small and the doors few."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import softdiv

ROOT = Path(softdiv.__file__).parent
ORDER = (
    "errors",
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
NOT_FOR_BUILTINS = {
    "__main__",
    "evaluation",
    "stored",
    "report",
    "components",
    "stages",
    "pipeline",
    "calibration",
    "sweep",
    "export",
    "testing",
    "cli",
}
ONLY_IN = {
    "deepspeed": ("pair/load_deepspeed.py", "training/deepspeed_engine.py"),
    "peft": ("pair/lora.py",),
    "sentence_transformers": ("builtin/embedding.py",),
    "inspect_ai": ("export/inspect_task.py",),
    "wandb": ("builtin/wandb_observer.py",),
    "pyarrow": ("builtin/sources/columns.py",),
    "datasets": ("builtin/sources/columns.py",),
}
READS_STRANGERS = {"from_pretrained", "from_config", "load_dataset", "SentenceTransformer"}
FILES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py"))
every_file = pytest.mark.parametrize("file", FILES, ids=str)


@functools.cache
def tree(file: Path) -> ast.Module:
    return ast.parse((ROOT / file).read_text(encoding="utf-8"))


def room(file: Path) -> str:
    return file.parts[0].removesuffix(".py")


def imports(file: Path) -> Iterator[tuple[str, int]]:
    """(absolute module, line), wherever the import stands; public names are followed home."""
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                folder = ("softdiv", *file.parts[: len(file.parts) - node.level])
                module = ".".join([*folder, *([module] if module else [])])
            if module == "softdiv":
                names = (alias.name for alias in node.names)
                yield from ((softdiv._PUBLIC.get(n, f"softdiv.{n}"), node.lineno) for n in names)
            else:
                yield module, node.lineno


def test_every_room_has_a_place_in_the_order() -> None:
    assert {room(file) for file in FILES} - {"__init__", "builtin"} <= set(ORDER)


@every_file
def test_rooms_depend_only_on_earlier_ones(file: Path) -> None:
    if file == Path("__init__.py"):
        return
    allowed = (
        {*ORDER, "builtin"} - NOT_FOR_BUILTINS
        if room(file) == "builtin"
        else set(ORDER[: ORDER.index(room(file)) + 1])
    )
    allowed.add("__version__")
    wrong = [
        f"{file}:{line} imports {module}"
        for module, line in imports(file)
        if module.startswith("softdiv.") and module.split(".")[1] not in allowed
    ]
    assert not wrong


@every_file
def test_optional_packages_have_one_door(file: Path) -> None:
    wrong = [
        f"{file}:{line} imports {module}"
        for module, line in imports(file)
        if file.as_posix() not in ONLY_IN.get(module.split(".")[0], (file.as_posix(),))
    ]
    assert not wrong


@every_file
def test_nothing_unpickles_evaluates_or_prints(file: Path) -> None:
    forbidden = {"eval", "exec", "torch.load"} | (set() if room(file) == "cli" else {"print"})
    calls = [node for node in ast.walk(tree(file)) if isinstance(node, ast.Call)]
    wrong = [
        f"{file}:{call.lineno} calls {ast.unparse(call.func)}"
        for call in calls
        if ast.unparse(call.func) in forbidden
    ]
    wrong += [
        f"{file}:{call.lineno} may run a stranger's code"
        for call in calls
        if ast.unparse(call.func).rpartition(".")[2] in READS_STRANGERS
        and not ast.unparse(call.func).startswith("peft.")  # which runs none
        and "trust_remote_code=False" not in ast.unparse(call)
    ]
    wrong += [
        f"{file}:{line} imports {module}"
        for module, line in imports(file)
        if module.split(".")[0] in {"pickle", "dill", "joblib", "marshal", "shelve"}
    ]
    assert not wrong


@every_file
def test_the_pair_is_sampled_in_one_module_only(file: Path) -> None:
    """Below it stand the decoders, the check of a model against itself, and the chat."""
    if file.as_posix() == "divergence/batches.py" or room(file) == "pair":
        return
    sampling = {"rollout", "sample_answers", "start_decoding", "log_likelihood"}
    if file.as_posix() == "divergence/rollouts.py":
        sampling.remove("start_decoding")  # it is how rollouts are made
    wrong = [
        f"{file}:{call.lineno} calls {ast.unparse(call.func)}"
        for call in ast.walk(tree(file))
        if isinstance(call, ast.Call) and ast.unparse(call.func).rpartition(".")[2] in sampling
    ]
    assert not wrong


@every_file
def test_files_stay_small(file: Path) -> None:
    assert len((ROOT / file).read_text(encoding="utf-8").splitlines()) <= 400


@every_file
def test_only_storage_opens_files_for_writing(file: Path) -> None:
    if room(file) == "storage":
        return
    methods = {"write_text", "write_bytes"}
    wrong = []
    for node in ast.walk(tree(file)):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        modes = [
            a.value
            for a in (*node.args, *(k.value for k in node.keywords))
            if isinstance(a, ast.Constant) and isinstance(a.value, str)
        ]
        opens = name == "open" or name.endswith(".open")
        if opens and any(set(mode) <= set("wabxt+") and mode for mode in modes):
            wrong.append(f"{file}:{node.lineno} opens a file for writing")
        if isinstance(node.func, ast.Attribute) and node.func.attr in methods:
            owner = ast.unparse(node.func.value)
            if owner.startswith(("Path(", "path")):
                wrong.append(f"{file}:{node.lineno} writes a file")
    assert not wrong


def test_there_is_no_drawer_for_everything() -> None:
    assert not [f for f in FILES if f.stem in {"utils", "util", "helpers", "misc", "common"}]


def test_importing_softdiv_does_not_import_torch() -> None:
    code = (
        "import sys, softdiv, softdiv.config.load, softdiv.plugin.manager, softdiv.testing; "
        "dir(softdiv); "
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=120)
    assert done.returncode == 0


@pytest.mark.parametrize("name", sorted(softdiv._PUBLIC))
def test_public_names_exist(name: str) -> None:
    assert getattr(softdiv, name).__name__ == name if name != "hookimpl" else softdiv.hookimpl


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nope'"):
        softdiv.nope  # noqa: B018
