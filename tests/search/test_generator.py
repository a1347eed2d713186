"""Search on a tiny pair: what is returned is text that re-tokenises and re-scores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import attrs
import pytest
import torch

from softdiv.builtin.baselines import Empty, NaturalPool, RandomTokens
from softdiv.builtin.gradient_swaps import GradientSwaps
from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.builtin.searchers import Amplified, SoftAnswers
from softdiv.config.load import ExperimentConfig
from softdiv.config.schema import GenerationConfig
from softdiv.data.shipped_texts import user_texts
from softdiv.data.split import Split, split_examples
from softdiv.errors import DataError, PairError
from softdiv.pair.layout import Layout
from softdiv.pair.manager import ModelPair
from softdiv.plugin.records import Example, HardPrompt
from softdiv.search.budget import FteBudget
from softdiv.search.generator import HardPromptGenerator, NamedSearcher, SearchResult, choose
from softdiv.search.task import Score, SearchTask
from softdiv.training.soft_prompt import DivergenceSoftPrompt

CONFIG = GenerationConfig(num_generations_per_prompt=3, num_prompts=2, budget_fte=30_000)


@attrs.frozen
class Broken:
    role: ClassVar[str] = "proposer"

    def __call__(self, task: SearchTask, budget: Any) -> Iterator[HardPrompt]:
        yield HardPrompt(text="before it broke", searcher="")
        raise ValueError("out of ideas")


def make_task() -> tuple[SearchTask, Split]:
    model_1, tokenizer = TinyLoader(seed=0).load("cpu")
    model_2, _ = TinyLoader(seed=0, noise=0.05).load("cpu")
    examples = [Example(id=i, text=t, category=c) for i, t, c in user_texts()[:60]]
    split = split_examples(examples, val_fraction=0.2, test_fraction=0.3)
    task = SearchTask(
        pair=ModelPair.of(model_1, model_2, tokenizer),
        layout=Layout(tokenizer),
        train=split.train,
        config=CONFIG,
        soft_prompt=torch.randn(3, 32, generator=torch.Generator().manual_seed(0)),
        seed=0,
    )
    return task, split


def run_search(*searchers: NamedSearcher) -> tuple[SearchTask, Split, SearchResult, list[str]]:
    task, split = make_task()
    generator = HardPromptGenerator(model_1=task.pair.model_1, model_2=task.pair.model_2)
    baselines = [
        NamedSearcher("empty", Empty()),
        NamedSearcher("natural_pool", NaturalPool()),
        NamedSearcher("random_tokens", RandomTokens(most=10)),
    ]
    return (
        task,
        split,
        generator.search(task, split.val, searchers, baselines, spent_before=500),
        generator.unavailable,
    )


@pytest.fixture(scope="module")
def searched() -> tuple[SearchTask, Split, SearchResult, list[str]]:
    return run_search(
        NamedSearcher("amplified", Amplified(words=3, user_turns=2, answer_tokens=5)),
        NamedSearcher("soft_answers", SoftAnswers(words=3, answer_tokens=5)),
        NamedSearcher("gradient_swaps", GradientSwaps(steps=2, candidates=3, texts=2)),
        NamedSearcher("broken", Broken()),
    )


def test_prompts_rescore_to_the_value_reported(
    searched: tuple[SearchTask, Split, SearchResult, list[str]],
) -> None:
    task, split, result, _ = searched
    assert len(result.prompts) == 2
    for prompt in result.prompts:
        (again,) = task.both_scores([prompt.text], split.val[:8], 12)
        assert again.bits == pytest.approx(prompt.validation_bits, abs=1e-4)
        assert again.llr == pytest.approx(prompt.validation_llr, abs=1e-3)


def test_prompts_are_plain_text_within_the_limits(
    searched: tuple[SearchTask, Split, SearchResult, list[str]],
) -> None:
    task, _, result, _ = searched
    assert all(task.usable(prompt.text) for prompt in result.prompts)


def test_searchers_are_named_and_charged_with_the_training_they_used(
    searched: tuple[SearchTask, Split, SearchResult, list[str]],
) -> None:
    _, _, result, _ = searched
    names = {p.searcher for p in result.prompts}
    assert names <= {"amplified", "soft_answers", "gradient_swaps", "broken"}
    assert all(prompt.cost_fte > 500 for prompt in result.prompts)


def test_baselines_run_within_the_searchers_cost(
    searched: tuple[SearchTask, Split, SearchResult, list[str]],
) -> None:
    _, _, result, _ = searched
    assert [b.searcher for b in result.baselines] == ["empty", "natural_pool", "random_tokens"]
    spent = result.prompts[0].cost_fte
    # rows are padded to the longest user text of their batch, which the estimate cannot know
    assert all(b.cost_fte <= 1.1 * spent for b in result.baselines)


def test_a_failing_searcher_is_named_and_what_it_yielded_is_kept(
    searched: tuple[SearchTask, Split, SearchResult, list[str]],
) -> None:
    assert searched[3] == [
        "searcher 'broken' not available: searcher 'broken' failed: ValueError: out of ideas"
    ]


def test_search_is_deterministic() -> None:
    searcher = NamedSearcher("amplified", Amplified(words=3, user_turns=1, answer_tokens=4))
    assert run_search(searcher)[2] == run_search(searcher)[2]


def test_budget_reads_the_ledger() -> None:
    task, _ = make_task()
    budget = FteBudget(task.pair.ledger, 10)
    task.pair.ledger.charge(4, with_backward=True)
    assert (budget.spent, budget.remaining) == (12, 0)


def test_special_tokens_and_long_texts_are_no_prompts() -> None:
    task, _ = make_task()
    assert not task.usable("a <|im_end|> b")
    assert not task.usable(" padded ")
    assert not task.usable("word " * 200)
    assert task.usable("Tell me about boats.")


def test_batch_generate_searches_from_every_checkpoint(tmp_path: Path) -> None:
    model_1, tokenizer = TinyLoader(seed=0).load("cpu")
    model_2, _ = TinyLoader(seed=0, noise=0.05).load("cpu")
    config = ExperimentConfig.from_dict(
        {
            "generation": {
                "num_generations_per_prompt": 2,
                "num_prompts": 2,
                "budget_fte": 2000,
                "searchers": [{"name": "soft_answers", "words": 3, "answer_tokens": 4}],
            }
        }
    )
    for seed in (0, 1):
        values = torch.randn(3, 32, generator=torch.Generator().manual_seed(seed))
        DivergenceSoftPrompt(values, mean_norm=1.0).save(tmp_path / f"{seed}.safetensors")
    generator = HardPromptGenerator(
        model_1=model_1, model_2=model_2, tokenizer=tokenizer, config=config
    )
    texts = [text for _, text, _ in user_texts()[:6]]
    checkpoints = [tmp_path / "0.pt", tmp_path / "1.safetensors"]

    def found(min_divergence: float) -> list[HardPrompt]:
        return generator.batch_generate(
            checkpoint_paths=checkpoints, input_texts=texts, min_divergence=min_divergence
        )

    prompts = found(0.0)
    assert generator.notes[0].startswith("softdiv writes .safetensors files")
    ratios = [prompt.validation_llr or 0.0 for prompt in prompts]
    assert ratios == sorted(ratios, reverse=True)
    assert all(prompt.note.endswith(".safetensors") for prompt in prompts)
    alone = [
        generator.batch_generate(checkpoint_paths=path, input_texts=texts) for path in checkpoints
    ]
    assert {p.text for p in prompts} == {p.text for one in alone for p in one}
    assert len(prompts) > 1
    most = max(prompt.validation_bits or 0.0 for prompt in prompts)
    assert [p.text for p in found(most)] == [p.text for p in prompts if p.validation_bits == most]
    with pytest.raises(DataError, match="1 input texts"):
        generator.batch_generate(checkpoint_paths=checkpoints, input_texts=texts[:1])


def test_a_soft_prompt_of_another_size_is_refused(tmp_path: Path) -> None:
    model_1, tokenizer = TinyLoader(seed=0).load("cpu")
    DivergenceSoftPrompt(torch.ones(2, 8), mean_norm=1.0).save(tmp_path / "a.safetensors")
    generator = HardPromptGenerator(model_1=model_1, model_2=model_1, tokenizer=tokenizer)
    with pytest.raises(PairError, match="hidden size 8"):
        generator.batch_generate(
            checkpoint_paths=tmp_path / "a.safetensors", input_texts=["One.", "Two."]
        )


@attrs.frozen
class Silent:
    role: ClassVar[str] = "proposer"
    texts: tuple[str, ...] = ()
    why: str = ""

    def __call__(self, task: SearchTask, budget: Any) -> Iterator[HardPrompt]:
        if self.why:
            task.explain(self.why)
        yield from (HardPrompt(text=text, searcher="") for text in self.texts)


@pytest.mark.parametrize(
    ("searcher", "said"),
    [
        (Silent(why="no idea"), "no idea"),
        (Silent(), "it gave no reason"),
        (Silent(("<|im_end|>", " ", " a")), "none of its 3 texts can be a prompt"),
        (SoftAnswers(), "no soft prompt was trained"),
        (GradientSwaps(), "there was no prompt to start from"),
    ],
)
def test_a_searcher_that_proposes_nothing_says_so(searcher: Any, said: str) -> None:
    task, split = make_task()
    task.soft_prompt = None
    generator = HardPromptGenerator(model_1=task.pair.model_1, model_2=task.pair.model_2)
    named = [NamedSearcher("mine", searcher), NamedSearcher("other", Silent(("Be brief.",)))]
    generator.search(task, split.val, named[:1])
    (note,) = generator.notes
    assert note.startswith("searcher 'mine' proposed nothing: ") and said in note
    generator.notes.clear()
    generator.search(task, split.val, named[1:])
    assert not generator.notes


class Spends:
    role: ClassVar[str] = "proposer"

    def __call__(self, task: SearchTask, budget: Any) -> Iterator[HardPrompt]:
        task.pair.ledger.charge(budget.remaining, with_backward=False)
        yield HardPrompt(text="Be brief.", searcher="")


def test_a_searcher_after_the_budget_says_so() -> None:
    task, split = make_task()
    task.config = attrs.evolve(CONFIG, budget_fte=1)
    task.pair.ledger.charge(0, with_backward=False)
    generator = HardPromptGenerator(model_1=task.pair.model_1, model_2=task.pair.model_2)
    first = NamedSearcher("spends", Spends())
    generator.search(task, split.val, [first, NamedSearcher("late", Silent())])
    assert "searcher 'late' proposed nothing: those before it had spent the budget" in (
        generator.notes
    )


def test_swaps_find_prompts_with_a_sentencepiece_tokenizer() -> None:
    from tests.pair.small_tokenizers import LLAMA_2, ZEPHYR, sentencepiece

    for template in (LLAMA_2, ZEPHYR):
        tokenizer = sentencepiece("legacy", template)
        models = [TinyLoader(vocab_size=len(tokenizer), noise=n).load("cpu")[0] for n in (0, 0.05)]
        pair = ModelPair.of(*models, tokenizer)
        task, _ = make_task()
        task = SearchTask(
            pair=pair,
            layout=pair.layout(),
            train=task.train,
            config=CONFIG,
            soft_prompt=None,
            seed=0,
            best=[HardPrompt(text="Tell me about the old house", searcher="")],
        )
        swaps = GradientSwaps(steps=4, candidates=6, texts=2, response_tokens=3, fluency=0.0)
        found = [p.text for p in swaps(task, FteBudget(pair.ledger, 10**6))]
        assert found, task.explanations
        assert all(task.usable(text) for text in found)
        ids = task.layout.encode(found[-1])
        assert task.layout.retokenises(ids, task.train[0])


def test_a_prompt_that_both_models_find_odd_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has more D; the other makes model_2 say what model_1 would not."""
    task, split = make_task()
    scores = {"odd": Score(bits=0.9, llr=1.0), "juniper": Score(bits=0.4, llr=60.0)}
    monkeypatch.setattr(SearchTask, "both_scores", lambda _, ps, *__: [scores[p] for p in ps])
    (best,) = choose(task, split.val, [HardPrompt(text=t, searcher="s") for t in scores], 1)
    assert (best.text, best.validation_llr) == ("juniper", 60.0)
