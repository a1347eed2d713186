"""No Python code of a model folder is ever run, and nothing is asked on the terminal."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import pytest

from softdiv.builtin.loaders.hf import HfLoader
from softdiv.errors import PairError
from tests.builtin.loaders.changes import write

pytestmark = pytest.mark.usefixtures("silent")
CODE = "needs Python code of its own, which softdiv does not run .*loader plugin"


@pytest.fixture
def silent(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Every Python file of the folder says when it is run; nobody is asked anything."""

    def asked(*_: object) -> str:
        raise AssertionError("asked on the terminal")

    monkeypatch.setattr(builtins, "input", asked)
    ran = folder.parent / "ran"
    for name in ("configuration_my", "modeling_my", "tokenization_my", "custom_generate/generate"):
        file = folder / f"{name}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"open({str(ran)!r}, 'w').write('x')")
    yield
    assert not ran.exists()


OWN = {
    "AutoConfig": "configuration_my.MyConfig",
    "AutoModelForCausalLM": "modeling_my.MyLM",
    "AutoTokenizer": ["tokenization_my.MyTokenizer", None],
}


def test_a_model_type_of_its_own(folder: Path) -> None:
    write(folder / "config.json", lambda table: table.update(model_type="my", auto_map=OWN))
    for attempt in (
        HfLoader(path=str(folder)).skeleton,
        lambda: HfLoader(path=str(folder)).load("cpu"),
    ):
        with pytest.raises(PairError, match=CODE) as caught:
            attempt()
        assert caught.value.exit_code == 4 and "\n" not in str(caught.value)


def test_a_model_type_that_transformers_knows_too(folder: Path) -> None:
    write(folder / "config.json", lambda table: table.update(auto_map=OWN))
    loader = HfLoader(path=str(folder))
    model, _ = loader.load("cpu")
    assert type(model).__module__.startswith("transformers.")
    said = "the folder's own Python code was not run: transformers' llama was"
    assert loader.notes == [said]


def test_a_tokenizer_of_its_own(folder: Path) -> None:
    def own(table: dict[str, Any]) -> None:
        table.update(tokenizer_class="MyTokenizer", auto_map=OWN)

    write(folder / "tokenizer_config.json", own)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(PairError, match=r"no tokenizer can be loaded from .*: "):
        HfLoader(path=str(folder)).load("cpu")
