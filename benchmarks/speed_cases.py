"""What is timed: softdiv's own path beside the least that its arithmetic takes, and beside what
one writes with transformers alone. Every function of a case does the same work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import torch
from torch import Tensor

from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.builtin.token_metrics import Jsd
from softdiv.components import Prepared
from softdiv.config.load import ExperimentConfig
from softdiv.config.schema import GenerationConfig, TrainingConfig
from softdiv.config.shipped import config_path
from softdiv.data.shipped_texts import user_texts
from softdiv.divergence.kernels import jsd
from softdiv.divergence.rollouts import FROM_MODEL_2, rollout
from softdiv.pair.decoder import start_decoding
from softdiv.pair.inputs import Frame
from softdiv.pair.layers import body_of
from softdiv.pair.layout import Layout
from softdiv.pair.manager import ModelPair, ModelPairManager
from softdiv.pair.sampling import Sampling
from softdiv.pair.teacher_forcing import both_states, response_states
from softdiv.plugin.records import Example
from softdiv.search.task import SearchTask
from softdiv.training.clock import Clock
from softdiv.training.objective import Objective

TEXTS, ANSWER, SOFT = 8, 16, 6
"""Rows of a training step, tokens of an answer, tokens of the soft prompt."""
ROLLOUT_TOKENS = 24
CANDIDATES, ON_TEXTS, SCORED = 64, 4, 8
"""Prompts, texts, and tokens of an answer, of a round of halving."""
Work = Callable[[], Any]
Case = Mapping[str, Work]
"""Named ways to do one thing."""


@attrs.frozen(eq=False)
class Bench:
    """A pair and the texts that it is timed on."""

    pair: ModelPair
    layout: Layout
    examples: Sequence[Example]

    @classmethod
    def smollm2(cls, dtype: str, **adapted: Any) -> Bench:
        """The quickstart's pair. ``adapted`` are further options of model_2."""
        prepared = Prepared.of(ExperimentConfig.from_file(config_path("quickstart")))
        table = prepared.config.to_dict()["pair"]
        table["model_1"] |= {"dtype": dtype}
        table["model_2"] |= {"dtype": dtype, **adapted}
        config = ExperimentConfig.from_dict({"pair": table})
        return cls.of(ModelPairManager(config.pair, prepared.registry, "cpu").load())

    @classmethod
    def random(cls, vocabulary: int) -> Bench:
        """Eight random layers below a head of ``vocabulary`` tokens."""
        options: dict[str, Any] = {"hidden_size": 512, "layers": 12, "scale": 0.04}
        loaders = [TinyLoader(vocab_size=512, **options, noise=noise) for noise in (0.0, 0.01)]
        models, tokenizer = [], None
        for loader in loaders:
            model, tokenizer = loader.load("cpu")
            model.resize_token_embeddings(vocabulary, mean_resizing=False)
            models.append(model)
        return cls.of(ModelPair.of(models[0], models[1], tokenizer))

    @classmethod
    def of(cls, pair: ModelPair) -> Bench:
        examples = [Example(id=i, text=t, category=c) for i, t, c in user_texts()[:64]]
        return cls(pair, pair.layout(), examples)

    @property
    def soft(self) -> Tensor:
        return self.pair.model_1.embedding_table[:SOFT].detach().float().clone()

    def answers(self, count: int, tokens: int = ANSWER) -> list[list[int]]:
        """Fixed ids; which ones is of no matter to the time."""
        return [[100 + (7 * row + place) % 300 for place in range(tokens)] for row in range(count)]


def step(bench: Bench) -> Case:
    """Forward and backward of one training step; ``limit``: of the two bodies alone;
    ``with_heads``: and of each head once, which no way to compute D can leave out; ``naive``:
    transformers' own logits of every position and autograd."""
    pair, layout, soft = bench.pair, bench.layout, bench.soft
    config = TrainingConfig(batch_size=TEXTS)
    clock = Clock(pair.model_1.device)
    objective = Objective(pair, layout, Jsd(), config, clock)
    batch = list(zip(bench.examples[:TEXTS], bench.answers(TEXTS), strict=True))
    contexts = [layout.soft(example) for example, _ in batch]
    responses = [answer for _, answer in batch]

    def ours() -> Tensor:
        return objective.partial(soft, batch, TEXTS * ANSWER).gradient

    def bodies(heads: bool) -> Tensor:
        leaf, total = soft.clone().requires_grad_(), torch.zeros_like(soft)
        for model in pair.models:
            states = response_states(model, contexts, responses, leaf)
            slope = torch.ones_like(states)
            if heads:
                end = states.detach().requires_grad_()
                logits = model.head(end)
                (slope,) = torch.autograd.grad(logits, end, torch.ones_like(logits))
            total += torch.autograd.grad(states, leaf, slope)[0]
        return total

    def naive() -> Tensor:
        leaf = soft.clone().requires_grad_()
        found = []
        for wrapper in pair.models:
            rows = [
                torch.cat(
                    [
                        wrapper.embed(torch.tensor(context.before)),
                        leaf.to(wrapper.embedding_table.dtype),
                        wrapper.embed(torch.tensor([*context.after, *answer])),
                    ]
                )
                for context, answer in zip(contexts, responses, strict=True)
            ]
            longest = max(map(len, rows))
            embeds = torch.stack(
                [torch.nn.functional.pad(row, (0, 0, longest - len(row), 0)) for row in rows]
            )
            mask = torch.tensor([[0] * (longest - len(r)) + [1] * len(r) for r in rows])
            logits = wrapper.model(inputs_embeds=embeds, attention_mask=mask).logits
            found.append(logits[:, -ANSWER - 1 : -1].float().log_softmax(-1).flatten(0, 1))
        return torch.autograd.grad(jsd(found[0], found[1]).mean(), leaf)[0]

    return {
        "ours": ours,
        "limit": lambda: bodies(False),
        "with_heads": lambda: bodies(True),
        "naive": naive,
    }


def rollouts(bench: Bench, rows: int = 16) -> Case:
    """Answers of model_2 with both models' distributions at every token; ``generate``: the same
    from transformers, which then reads the answers once more with each model."""
    pair = bench.pair
    contexts = [bench.layout.hard(example) for example in bench.examples[:rows]]
    uniforms = torch.rand(rows, ROLLOUT_TOKENS, generator=torch.Generator().manual_seed(0))
    sampling = Sampling.of(GenerationConfig(temperature=0.7))
    longest = max(map(len, contexts))
    pad = pair.tokenizer.pad_token_id or 0
    ids = torch.tensor([[pad] * (longest - len(c)) + list(c.before) for c in contexts])
    mask = torch.tensor([[0] * (longest - len(c)) + [1] * len(c) for c in contexts])

    def ours() -> Any:
        weights = [FROM_MODEL_2] * rows
        return rollout(pair, contexts, weights=weights, uniforms=uniforms, sampling=sampling)

    @torch.no_grad()
    def generate() -> Tensor:
        torch.manual_seed(0)
        whole = pair.model_2.model.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=ROLLOUT_TOKENS,
            do_sample=True,
            temperature=0.7,
            pad_token_id=pad,
        )
        seen = torch.nn.functional.pad(mask, (0, whole.shape[1] - longest), value=1)
        found = []
        for wrapper in pair.models:
            logits = wrapper.model(input_ids=whole, attention_mask=seen).logits
            found.append(logits[:, longest - 1 : -1].float().log_softmax(-1).flatten(0, 1))
        return jsd(found[0], found[1])

    return {"ours": ours, "generate": generate}


def scoring(bench: Bench, candidates: int = CANDIDATES) -> Case:
    """D of prompts on fresh answers; ``limit``: the same decoding of both bodies, without heads."""
    task = task_of(bench)
    prompts = [f"Tell me about number {n}." for n in range(candidates)]
    texts = bench.examples[:ON_TEXTS]
    contexts = [bench.layout.hard(e, p) for p in prompts for e in texts]

    @torch.no_grad()
    def limit() -> None:
        size = task.config.batch_rows
        for start in range(0, len(contexts), size):
            part = contexts[start : start + size]
            frame = Frame.of(part, None)
            decoders = [start_decoding(model, part, None, frame) for model in bench.pair.models]
            for place in range(SCORED - 1):
                for decoder in decoders:
                    decoder.advance(torch.full((len(part),), 100 + place))

    return {
        "ours": lambda: task.score(prompts, texts, SCORED),
        "limit": limit,
        "one_by_one": lambda: [task.score([prompt], texts, SCORED) for prompt in prompts],
    }


def forced(bench: Bench, trials: int) -> Case:
    """D of given answers under ``trials`` prompts; ``limit``: both bodies alone."""
    sampler = task_of(bench).sampler
    prompts = [f"Tell me about number {n}." for n in range(trials)]
    contexts = [bench.layout.hard(bench.examples[n % ON_TEXTS], p) for n, p in enumerate(prompts)]
    answers = bench.answers(trials)

    @torch.no_grad()
    def limit() -> Any:
        return both_states(bench.pair, contexts, answers)

    return {"ours": lambda: sampler.answer_bits(contexts, answers), "limit": limit}


def task_of(bench: Bench) -> SearchTask:
    return SearchTask(
        pair=bench.pair,
        layout=bench.layout,
        train=list(bench.examples),
        config=GenerationConfig(temperature=0.7),
        soft_prompt=None,
        seed=0,
    )


def hooks_count(pair: ModelPair, work: Work) -> tuple[int, int]:
    """Positions that went through the two bodies, counted by hooks, and what the ledger says of
    forward passes of the same work."""
    seen = 0

    def count(module: Any, positional: tuple[Any, ...], named: dict[str, Any]) -> None:
        nonlocal seen
        given = named.get("inputs_embeds")
        if given is None:
            given = named.get("input_ids", positional[0] if positional else None)
        seen += int(given.shape[0] * given.shape[1])

    bodies = {id(body_of(m.model)): body_of(m.model) for m in pair.models}.values()
    handles = [body.register_forward_pre_hook(count, with_kwargs=True) for body in bodies]
    for model in pair.models:
        model.forget_prefixes()
    before = pair.ledger.total
    try:
        work()
    finally:
        for handle in handles:
            handle.remove()
    return seen, pair.ledger.total - before
