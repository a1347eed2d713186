from __future__ import annotations

import pytest
import torch

from softdiv.pair.vocabulary import ROWS, read_together, run_words
from tests.conftest import MakePair

CONTEXT = (40, 41, 42)


def test_each_word_is_read_as_in_a_plain_forward_pass(make_pair: MakePair) -> None:
    wrapper = make_pair().model_1
    watched = wrapper.model.model.layers[1].self_attn.v_proj
    words = wrapper.ordinary_ids()[50 : 50 + ROWS // 8]
    read: dict[int, torch.Tensor] = {}
    before = wrapper.ledger.total
    (part,) = run_words(wrapper, CONTEXT, words, [watched], read.__setitem__)
    assert part == slice(0, len(words))
    assert wrapper.ledger.total - before == len(CONTEXT) + len(words)
    plain = []
    hook = watched.register_forward_pre_hook(lambda _, args: plain.append(args[0][0, -1]))
    for word in words:
        wrapper.model(input_ids=torch.tensor([[*CONTEXT, word]]))
    hook.remove()
    assert torch.allclose(read[0], torch.stack(plain), atol=1e-5)


def test_nothing_is_watched_afterwards(make_pair: MakePair) -> None:
    wrapper = make_pair().model_1
    watched = wrapper.model.model.layers[0].self_attn.v_proj

    def broken(place: int, states: torch.Tensor) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        list(run_words(wrapper, CONTEXT, [50], [watched], broken))
    assert not watched._forward_pre_hooks


def test_modules_that_read_the_same_states_are_known(make_pair: MakePair) -> None:
    wrapper = make_pair().model_1
    layer = wrapper.model.model.layers[0]
    names = ("q_proj", "k_proj", "v_proj", "o_proj")
    modules = [getattr(layer.self_attn, name) for name in names]
    modules += [layer.mlp.gate_proj, layer.mlp.up_proj]
    assert read_together(wrapper, CONTEXT, 50, modules) == [0, 0, 0, 3, 4, 4]
