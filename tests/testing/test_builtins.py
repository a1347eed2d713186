"""Every built-in component passes the conformance kit, check by check."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from softdiv.plugin.interfaces import KINDS
from softdiv.plugin.manager import PluginManager
from softdiv.plugin.options import build_options
from softdiv.plugin.registry import Entry
from softdiv.testing.kit import Check, Kit, Subject, kit_for, run_check

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning",
    "ignore::FutureWarning",  # wandb's, datasets' and peft's own
)

REGISTRY = PluginManager.load().registry
ENTRIES = [entry for kind in KINDS for entry in REGISTRY.entries(kind)]
CASES = [
    pytest.param(entry, kit, check, id=f"{entry.name}-{check.__name__}")
    for entry in ENTRIES
    for kit in [kit_for(entry.kind, entry.factory)]
    for check in kit.checks
]
SMALL: dict[str, dict[str, Any]] = {
    "amplified": {"words": 3, "user_turns": 3, "answer_tokens": 6},
    "soft_answers": {"words": 3, "answer_tokens": 6},
    "ensemble": {"arms": ("amplified", "contrastive", "gradient_swaps"), "prompts": 3},
    "ppl_gap": {"continuations": 16, "tokens": 6, "phrases": 3},
    "contrastive": {"draws": 1, "tokens": 6, "phrases": 3},
    "template_leak": {"turns": 8, "tokens": 6, "prompts": 3},
    "gcg": {"length": 3, "candidates": 5, "response_tokens": 3, "patience": 1},
    "epo": {"length": 3, "children": 3, "prices": (0.01, 0.0), "response_tokens": 3, "rounds": 2},
    "beam": {"length": 2, "width": 2, "fewest": 4, "most": 8, "response_tokens": 3},
    "weight_lens": {"words": 4, "extended": (2,), "continuations": (3,), "texts": 2, "pairs": 2},
    "cache_lens": {"words": 4, "extended": (2,), "continuations": (3,), "texts": 2, "pairs": 2},
    "soft_targets": {
        "words": 4,
        "extended": (2,),
        "continuations": (3,),
        "texts": 2,
        "pairs": 2,
        "target_tokens": 3,
    },
    "verbalise": {"rounds": 2, "steps": 1, "readings": 2, "reading_tokens": 4},
    "gradient_swaps": {"steps": 2, "candidates": 3, "texts": 2, "response_tokens": 3},
}
RECORDS = [
    {"text": f"Tell me about {word}.", "question": f"Do you like {word}?", "category": "made up"}
    for word in ("boats", "bread", "snow")
]


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One small file per format that a source reads, and a model folder."""
    folder = tmp_path_factory.mktemp("files")
    lines = [json.dumps(record) for record in RECORDS]
    (folder / "texts.jsonl").write_text("\n".join(lines))
    (folder / "texts.txt").write_text("\n".join(record["text"] for record in RECORDS))
    (folder / "texts.csv").write_text(
        "text,category\n" + "\n".join(f"{r['text']},made up" for r in RECORDS)
    )
    chats = [{"messages": [{"role": "user", "content": record["text"]}]} for record in RECORDS]
    (folder / "chat.jsonl").write_text("\n".join(map(json.dumps, chats)))
    (folder / "set").mkdir()
    (folder / "set" / "train.jsonl").write_text("\n".join(lines))
    written = folder / "persona"
    written.mkdir()
    statements = [
        {"question": r["question"], "statement": r["text"], "answer_matching_behavior": " Yes"}
        | {"answer_not_matching_behavior": " No"}
        for r in RECORDS
    ]
    (written / "made-up.jsonl").write_text("\n".join(map(json.dumps, statements)))
    table = pytest.importorskip("pyarrow").Table.from_pylist(RECORDS)
    pytest.importorskip("pyarrow.parquet").write_table(table, folder / "texts.parquet")
    model, tokenizer = REGISTRY.build("models", "tiny", {}).load("cpu")
    model.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    return folder


def options(entry: Entry, files: Path) -> dict[str, Any]:
    if entry.name == "hub":
        pytest.importorskip("datasets")
    places = {
        "hf": {"path": str(files / "model")},
        "jsonl": {"data_path": str(files / "texts.jsonl")},
        "text": {"data_path": str(files / "texts.txt")},
        "csv": {"data_path": str(files / "texts.csv")},
        "parquet": {"data_path": str(files / "texts.parquet")},
        "chat": {"data_path": str(files / "chat.jsonl")},
        "model-written-evals": {"data_path": str(files)},
        "template": {"template": "Please: {text}"},
        "hub": {"data_path": str(files / "set")},
    }
    return {**places.get(entry.name, {}), **SMALL.get(entry.name, {})}


@pytest.mark.parametrize(("entry", "kit", "check"), CASES)
def test_built_in(entry: Entry, kit: Kit, check: Check, files: Path) -> None:
    chosen = options(entry, files)
    run_check(check, Subject(kit, lambda: build_options(entry.factory, chosen, where=entry.name)))
