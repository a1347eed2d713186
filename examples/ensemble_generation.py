"""Text prompts from several soft prompts at once: each is a different way to set models apart.

python examples/ensemble_generation.py
"""

from __future__ import annotations

from pathlib import Path

from softdiv import DivergenceTrainer, ExperimentConfig, HardPromptGenerator, ModelPairManager
from softdiv.config.schema import PairConfig
from softdiv.data.shipped_texts import user_texts


def config(seed: int) -> ExperimentConfig:
    return ExperimentConfig.from_dict(
        {
            "seed": seed,
            "training": {"num_soft_prompt_tokens": 4, "learning_rate": 0.02},
            "generation": {
                "num_generations_per_prompt": 3,
                "budget_fte": 3000,
                "searchers": [{"name": "soft_answers", "words": 4, "answer_tokens": 6}],
            },
        }
    )


def main(pair_name: str = "tiny", folder: str = "ensemble") -> None:
    pair = ModelPairManager(PairConfig(name=pair_name)).load()
    texts = [text for _, text, _ in user_texts()[:12]]
    checkpoints = []
    for seed in (0, 1):
        trainer = DivergenceTrainer(model_1=pair.model_1, model_2=pair.model_2, config=config(seed))
        for _ in range(3):
            trainer.training_step(texts[:4])
        checkpoints.append(Path(folder) / f"seed-{seed}.safetensors")
        trainer.save_prompt(checkpoints[-1])

    generator = HardPromptGenerator(
        model_1=pair.model_1, model_2=pair.model_2, config=config(seed=0)
    )
    prompts = generator.batch_generate(
        checkpoint_paths=checkpoints, input_texts=texts, min_divergence=0.05
    )
    print(f"{len(prompts)} prompts above 0.05 bits")
    for prompt in prompts:
        print(f"{prompt.validation_bits:.3f} bits: {prompt.text!r} ({prompt.note})")


if __name__ == "__main__":
    main()
