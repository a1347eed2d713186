"""The rules that keep the rooms small and the doors few."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import softdiv

ROOT = Path(softdiv.__file__).parent
_SPEC = importlib.util.spec_from_file_location(
    "structure", ROOT.parent / "scripts" / "structure.py"
)
assert _SPEC and _SPEC.loader
structure: Any = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(structure)
FILES: list[Path] = structure.FILES
room, tree = structure.room, structure.tree
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
every_file = pytest.mark.parametrize("file", FILES, ids=str)


def test_every_room_has_a_place_in_the_order() -> None:
    assert {room(file) for file in FILES} - {"__init__", "builtin"} <= set(structure.ORDER)


def test_the_rules_of_the_structure_hold() -> None:
    assert not {rule: broken for rule, broken in structure.facts().items() if broken}


def test_a_circle_is_seen() -> None:
    edges = [("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")]
    assert set(structure.circle(edges)) == {"a", "b", "c"}
    assert not structure.circle(edges[:2])


@every_file
def test_optional_packages_have_one_door(file: Path) -> None:
    wrong = [
        f"{file}:{line} imports {module}"
        for module, line, _ in structure.imports(file)
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
        for module, line, _ in structure.imports(file)
        if module.split(".")[0] in {"pickle", "dill", "joblib", "marshal", "shelve"}
    ]
    assert not wrong


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


def test_one_name_is_one_thing() -> None:
    """No class name, nor a name given to a type, is defined twice."""
    places: dict[str, list[str]] = {}
    for file in FILES:
        for node in ast.walk(tree(file)):
            names = [node.name] if isinstance(node, ast.ClassDef) else []
            if isinstance(node, ast.Assign) and node in tree(file).body:
                given = [target.id for target in node.targets if isinstance(target, ast.Name)]
                names = [name for name in given if name[0].isupper() and not name.isupper()]
            for name in names:
                places.setdefault(name, []).append(f"{file}:{node.lineno}")
    assert not {name: where for name, where in places.items() if len(where) > 1}


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
