"""Train a soft prompt in a loop of your own, and look at it while it learns.

python examples/custom_training_loop.py
"""

from __future__ import annotations

from torch.utils.data import DataLoader

from softdiv import DivergenceTrainer, ExperimentConfig, ModelPairManager
from softdiv.config.schema import PairConfig
from softdiv.data.shipped_texts import user_texts


def main(pair_name: str = "tiny") -> None:
    pair = ModelPairManager(PairConfig(name=pair_name)).load()
    config = ExperimentConfig.from_dict(
        {"training": {"num_soft_prompt_tokens": 4, "num_epochs": 2, "learning_rate": 0.02}}
    )
    trainer = DivergenceTrainer(model_1=pair.model_1, model_2=pair.model_2, config=config)
    texts = [text for _, text, _ in user_texts()[:8]]
    dataloader = DataLoader(texts, batch_size=config.training.batch_size, shuffle=False)

    # a loop that was stopped goes on where it was; 0 where there is no checkpoint
    done = trainer.load_checkpoint("my_checkpoints") // len(dataloader)
    for epoch in range(done, config.num_epochs):
        for batch in dataloader:
            loss = trainer.training_step(batch)
            metrics = trainer.compute_all_metrics(batch)
            trainer.log_metrics(metrics)
            print(f"epoch {epoch}: loss {loss:.4f}, divergence {metrics['divergence']:.4f} bits")
        trainer.save_checkpoint("my_checkpoints")

    for example in trainer.generate_examples(texts[:2], num_examples=2):
        print(
            f"{example.text}\n  model_1: {example.response_1!r}\n  model_2: {example.response_2!r}"
        )
    trainer.save_prompt("my_prompt.safetensors")
    print("saved my_prompt.safetensors")


if __name__ == "__main__":
    main()
