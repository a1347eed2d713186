"""A token that the two models do not share costs its own row, wherever its id is."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.builtin.losses import JsdLoss
from softdiv.divergence import kernels
from softdiv.divergence.chunked import row_values
from softdiv.divergence.rollouts import FROM_MODEL_1, FROM_MODEL_2, amplified, rollout
from softdiv.errors import DataError, PairError
from softdiv.pair.manager import ModelPair
from softdiv.pair.sampling import Sampling, uniform_rows
from softdiv.pair.shared_tokens import shared_tokens
from softdiv.pair.teacher_forcing import both_states, targets_of
from softdiv.pair.wrapper import NEVER
from tests.pair.small_tokenizers import LLAMA_3, byte_level

TURNS = ("<|head|>", "<|/head|>", "<|eot|>")


def at_the_top(*reserved: str) -> Any:
    """Reserved tokens behind the ordinary ones, as in Llama 3."""
    return byte_level(LLAMA_3, size=500, added=(*reserved, *TURNS))


def at_the_bottom(third: str) -> Any:
    """Before them, as in SmolLM."""
    return byte_level(specials=("<|im_start|>", "<|im_end|>", third, "<file>"))


CASES = {
    "at the top": (at_the_top("<res0>", "<res1>"), at_the_top("<fim>", "<res1>"), 500),
    "at the bottom": (at_the_bottom("<repo>"), at_the_bottom("<tool_call>"), 2),
}


def pair_of(tokenizer_1: Any, tokenizer_2: Any) -> ModelPair:
    model_1, _ = TinyLoader().load("cpu")
    model_2, _ = TinyLoader(noise=0.05).load("cpu")
    return ModelPair.of(model_1, model_2, tokenizer_1, tokenizer_2)


@pytest.mark.parametrize("case", CASES)
def test_a_renamed_token_costs_its_own_row(case: str) -> None:
    one, two, renamed = CASES[case]
    pair = pair_of(one, two)
    assert pair.report.left_out == (renamed,)
    assert pair.report.shared_tokens == len(one) - 1
    (note,) = [n for n in pair.report.notes if "do not mean the same" in n]
    names = [t.convert_ids_to_tokens(renamed) for t in (one, two)]
    assert f"{renamed} is '{names[0]}' in model_1 and '{names[1]}' in model_2" in note


@pytest.mark.parametrize("case", CASES)
def test_every_other_probability_is_what_it_is_without_that_row(case: str) -> None:
    one, two, renamed = CASES[case]
    left, whole = pair_of(one, two), pair_of(one, one)
    states = torch.randn(5, 32, generator=torch.Generator().manual_seed(0))
    for wrapper, plain in ((left.model_1, whole.model_1), (left.model_2, whole.model_2)):
        logits = plain.head(states)
        kept = [i for i in range(logits.shape[1]) if i != renamed]
        found = wrapper.log_probs(states)
        assert torch.allclose(found[:, kept], torch.log_softmax(logits[:, kept], -1), atol=1e-6)
        assert (found[:, renamed] == NEVER).all() and (found[:, renamed].exp() == 0).all()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("temperature", [0.0, 0.7, 1000.0])
def test_it_is_never_sampled_and_nothing_is_nan(case: str, temperature: float) -> None:
    one, two, renamed = CASES[case]
    pair, count = pair_of(one, two), 40
    for wrapper in (pair.model_1, pair.model_2):  # were it kept, it would always be the best
        with torch.no_grad():
            wrapper.model.get_output_embeddings().weight[renamed] *= 50
    weights = [FROM_MODEL_1, FROM_MODEL_2, amplified(4.0), (0.5, 0.5)] * (count // 4)
    for top_p in (1.0, 0.9):
        found = rollout(
            pair,
            [pair.layout().hard("Hello.")] * count,
            weights=weights,
            uniforms=uniform_rows([str(n) for n in range(count)], 0, 8),
            sampling=Sampling(temperature=temperature, top_p=top_p),
        )
        sampled = {token for row in range(count) for token in found.answer(row)}
        assert renamed not in sampled and len(sampled) > 5
        for values in (found.bits, found.ratio, found.log_prob_1, found.margin_1, found.margin_2):
            assert values.isfinite().all()
        assert renamed not in {*found.best_1.flatten().tolist(), *found.best_2.flatten().tolist()}


@pytest.mark.parametrize("case", CASES)
def test_the_gradient_is_finite_and_that_of_the_other_rows(case: str) -> None:
    one, two, renamed = CASES[case]
    gradients = []
    for scale in (1.0, 50.0):  # whatever the row holds, it has no part in it
        pair = pair_of(one, two)
        with torch.no_grad():
            pair.model_2.model.get_output_embeddings().weight[renamed] *= scale
        soft = pair.model_1.embedding_table[50:54].detach().clone().requires_grad_()
        states = both_states(pair, [pair.layout().soft("Hello.")], [[40, 41]], soft)
        targets, owners = targets_of([[40, 41]], soft.device)
        row_values(
            JsdLoss(), pair.model_1, pair.model_2, *states, targets, owners
        ).mean().backward()
        assert soft.grad is not None and soft.grad.isfinite().all()
        gradients.append(soft.grad)
    assert float(gradients[0].abs().max()) > 0
    assert torch.equal(*gradients)


def test_every_kernel_takes_a_token_left_out() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 6, generator=generator)
    full = torch.log_softmax(logits, dim=-1)
    wide = torch.cat([full, torch.full((2, 3, 1), NEVER)], dim=-1)
    for kernel in (
        kernels.kl,
        kernels.jsd,
        kernels.symmetric_kl,
        kernels.total_variation,
        kernels.top1_disagreement,
    ):
        assert torch.allclose(kernel(*wide), kernel(*full), atol=1e-7)
    assert torch.allclose(kernels.entropy(wide[0]), kernels.entropy(full[0]))
    naive = (wide[0].exp() * (wide[0] - wide[1])).sum(-1)  # as a plugin may write it
    assert torch.allclose(naive, kernels.kl(*full), atol=1e-6)
    assert math.isfinite(float(naive.sum()))


def test_more_and_moved_tokens_cost_their_own_rows() -> None:
    base = at_the_top("<res0>", "<res1>")
    more = byte_level(LLAMA_3, size=500, added=("<res0>", "<res1>", *TURNS, "<pad>"))
    moved = byte_level(LLAMA_3, size=500, added=("<res1>", "<res0>", *TURNS))
    found = shared_tokens(base, more, (512, 512))
    assert (found.rows, found.left_out, found.unshared) == (505, (), {505})
    found = shared_tokens(base, moved, (512, 512))
    assert (found.rows, found.left_out, found.unshared) == (505, (500, 501), {500, 501})
    found = shared_tokens(more, base, (505, 512))
    assert (found.rows, found.left_out) == (505, ())
    assert shared_tokens(base, base, (512, 512)).notes[0].startswith("heads of 512 and 512 rows")


def test_a_text_that_needs_such_a_token_is_refused() -> None:
    mine = byte_level(LLAMA_3, size=500, added=("newword", *TURNS), special=False)
    theirs = byte_level(LLAMA_3, size=500, added=("other", *TURNS), special=False)
    layout = pair_of(mine, theirs).layout()
    assert layout.hard("other words")
    with pytest.raises(DataError, match="needs the token 'newword'.*same in both models"):
        layout.hard("a newword here")


def test_a_reserved_token_that_no_text_is_made_of_may_be_renamed() -> None:
    """Some vocabularies keep their reserved tokens among the ordinary ones."""

    def named(token: str) -> Any:
        import json

        from tokenizers import Tokenizer
        from transformers import PreTrainedTokenizerFast

        plain = byte_level(size=500)
        core = json.loads(plain.backend_tokenizer.to_str())
        core["model"]["vocab"][token] = 500
        return PreTrainedTokenizerFast(
            tokenizer_object=Tokenizer.from_str(json.dumps(core)),
            eos_token="<|im_end|>",
            chat_template=plain.chat_template,
        )

    one, two = named("[unused7]"), named("[tool]")
    assert "[unused7]" not in one.get_added_vocab()
    assert shared_tokens(one, two, (512, 512)).unshared == {500}


def test_tokens_that_texts_are_made_of_must_be_shared() -> None:
    with pytest.raises(PairError, match="the tokenizers differ in 12 of 512 tokens"):
        shared_tokens(byte_level(), byte_level(size=500), (512, 512))


def test_no_more_tokens_differ_than_there_are() -> None:
    class Other:
        """1512 tokens, none of them another's."""

        def get_vocab(self) -> dict[str, int]:
            return {f"other {i}": i for i in range(1512)}

        def get_added_vocab(self) -> dict[str, int]:
            return {}

    added = len(byte_level().get_added_vocab())
    with pytest.raises(PairError, match=f"differ in {2024 - added} of 2024 tokens"):
        shared_tokens(byte_level(), Other(), (512, 1512))


def test_one_vocabulary_split_differently_is_refused() -> None:
    from tokenizers import pre_tokenizers

    two = byte_level()
    two.backend_tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(use_regex=False)
    with pytest.raises(PairError, match="split text differently"):
        shared_tokens(byte_level(), two, (512, 512))


def test_a_tokenizer_that_adds_a_start_token_is_no_other_tokenizer() -> None:
    from tokenizers import processors

    two = byte_level()
    two.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<|im_start|> $A", special_tokens=[("<|im_start|>", 0)]
    )
    assert two("x")["input_ids"][0] == 0
    assert shared_tokens(byte_level(), two, (512, 512)).unshared == frozenset()
