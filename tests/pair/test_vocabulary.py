from __future__ import annotations

from pathlib import Path

import pytest
import torch

from softdiv.pair import vocabulary
from softdiv.pair.memory import RowLimit
from softdiv.pair.vocabulary import ROWS, Word, read_together, run_words, word_states
from softdiv.pair.word_difference import word_differences
from softdiv.pair.wrapper import ModelWrapper
from tests.conftest import MakePair

CONTEXT = (40, 41, 42)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SOFTDIV_CACHE", str(tmp_path))
    return tmp_path


def some(wrapper: ModelWrapper, count: int = ROWS + 40) -> list[Word]:
    """Of one token; the last ones of two, several with one beginning."""
    ids = wrapper.ordinary_ids()
    return [(token,) for token in ids[:count]] + [(ids[n % 7], ids[n]) for n in range(30)]


def all_states(wrapper: ModelWrapper, words: list[Word], *names: str) -> dict[str, torch.Tensor]:
    modules = {name: wrapper.model.get_submodule(name) for name in names}
    found: dict[str, torch.Tensor] = {}
    for name, part, states in word_states(wrapper, CONTEXT, words, modules):
        whole = found.setdefault(name, torch.zeros(len(words), states.shape[1]))
        whole[part] = states.float()
    return found


V, GATE = "model.layers.1.self_attn.v_proj", "model.layers.0.mlp.gate_proj"


@pytest.mark.parametrize("largest", [vocabulary.LARGEST, 0])
def test_each_word_is_read_as_in_a_plain_forward_pass(
    make_pair: MakePair, largest: int, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    monkeypatch.setattr(vocabulary, "LARGEST", largest)
    wrapper = make_pair().model_1
    words = some(wrapper)
    before = wrapper.ledger.total
    found = all_states(wrapper, words, V, GATE)
    assert wrapper.ledger.total - before == len(CONTEXT) + len(words) + 7
    assert any(cache.iterdir()) is bool(largest)
    plain: list[torch.Tensor] = []
    watched = wrapper.model.get_submodule(V)
    hook = watched.register_forward_pre_hook(lambda _, args: plain.append(args[0][0, -1]))
    for word in words[::37]:  # of both lengths
        wrapper.model(input_ids=torch.tensor([[*CONTEXT, *word]]))
    hook.remove()
    assert torch.allclose(found[V][::37], torch.stack(plain), atol=4e-3)  # kept in fp16
    assert found[GATE].shape == found[V].shape


def test_what_was_run_once_is_read_and_paid_for_again(
    make_pair: MakePair, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = make_pair().model_1, make_pair().model_1
    words = some(first)
    ran = all_states(first, words, V, GATE)

    def hidden(*_: object) -> None:
        raise AssertionError("it runs again")

    monkeypatch.setattr(ModelWrapper, "hidden", hidden)
    before = second.ledger.total
    again = all_states(second, words, V, GATE)
    assert {name: states.tolist() for name, states in again.items()} == {
        name: states.tolist() for name, states in ran.items()
    }
    assert second.ledger.total - before == len(CONTEXT) + len(words) + 7
    second.model.lm_head.weight.data[0, 0] += 1e-6
    with pytest.raises(AssertionError, match="it runs again"):
        all_states(second, words, V, GATE)


def test_a_cache_that_cannot_be_written_is_done_without(
    make_pair: MakePair, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrapper = make_pair().model_1
    kept = all_states(wrapper, some(wrapper), V)
    (cache / "file").write_text("")
    monkeypatch.setenv("SOFTDIV_CACHE", str(cache / "file"))
    assert torch.equal(all_states(wrapper, some(wrapper), V)[V], kept[V])


def test_nothing_is_watched_afterwards(make_pair: MakePair) -> None:
    wrapper = make_pair().model_1
    with pytest.raises(IndexError):
        all_states(wrapper, [(10**6,)], V)
    assert not wrapper.model.get_submodule(V)._forward_pre_hooks


def test_modules_that_read_the_same_states_are_known(make_pair: MakePair) -> None:
    wrapper = make_pair().model_1
    layer = wrapper.model.model.layers[0]
    modules = {name: getattr(layer.self_attn, f"{name}_proj") for name in "qkvo"}
    modules |= {name: getattr(layer.mlp, f"{name}_proj") for name in ("gate", "up")}
    modules["never"] = torch.nn.Linear(2, 2)
    firsts = {"q": "q", "k": "q", "v": "q", "o": "o", "gate": "gate", "up": "gate"}
    assert read_together(wrapper, CONTEXT, (50,), modules) == firsts


@pytest.mark.parametrize("cached", [True, False])
def test_words_that_do_not_fit_into_memory_are_run_in_smaller_parts(
    make_pair: MakePair, cached: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes: list[str] = []
    found, spent = [], []
    for fit in (1 << 16, 9):
        pair = make_pair()
        pair.model_2.keeps_cache = cached
        hidden = ModelWrapper.hidden

        def limited(self, embeds, *args, hidden=hidden, fit=fit):
            if len(embeds) > fit:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return hidden(self, embeds, *args)

        with monkeypatch.context() as patch:
            patch.setattr(ModelWrapper, "hidden", limited)
            words, limit = some(pair.model_1, 40), RowLimit(told=notes.append)
            moved = word_differences(pair, CONTEXT, words, limit)
            module = {GATE: pair.model_1.model.get_submodule(GATE)}
            parts = [s for _, _, s in run_words(pair.model_1, CONTEXT, words, module, limit)]
        found.append((moved, torch.cat(parts)))
        spent.append(pair.ledger.total)
    assert torch.allclose(found[1][0], found[0][0], atol=1e-5)
    assert torch.allclose(found[1][1], found[0][1], atol=1e-3)  # fp16
    assert spent[0] == spent[1]
    assert notes and all("out of memory" in note for note in notes)
