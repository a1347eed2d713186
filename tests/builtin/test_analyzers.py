from __future__ import annotations

import attrs
import pytest

from softdiv.analysis.selection import of_best_prompt
from softdiv.builtin.analyzers import (
    Attention,
    Clusters,
    DivergenceByPosition,
    SemanticDifferences,
    TokenDisagreements,
)
from softdiv.builtin.analyzers.attention import prompt_span
from softdiv.builtin.loaders.tiny import TinyLoader
from softdiv.pair.layout import Layout
from softdiv.pair.manager import ModelPair
from softdiv.plugin.records import Section, Table
from tests.analysis.answers import finding, planted_and_ordinary, token


def column(table: Table, name: str) -> list[object]:
    return [row[list(table.columns).index(name)] for row in table.rows]


def test_every_analyzer_takes_no_findings() -> None:
    for analyzer in (
        DivergenceByPosition(), TokenDisagreements(), SemanticDifferences(), Clusters(), Attention()
    ):  # fmt: skip
        assert isinstance(analyzer([]), Section)


def test_positions_are_means_of_the_best_prompt_and_never_padded_with_values() -> None:
    short = attrs.evolve(planted_and_ordinary()[0], tokens_2=(token("a", bits=0.2),))
    longer = attrs.evolve(
        planted_and_ordinary()[1], tokens_2=(token("a", bits=0.4), token("b", bits=0.9))
    )
    section = DivergenceByPosition()([short, longer])
    (curve,) = section.curves
    assert curve.series["model_2's answers"] == pytest.approx([0.3, 0.9])
    assert curve.series["model_1's answers"][1] != curve.series["model_1's answers"][1]  # NaN
    assert "response token 2" in section.summary


def test_positions_without_a_prompt_and_by_category() -> None:
    section = DivergenceByPosition()(planted_and_ordinary())
    assert "model_2's answers, no prompt" in section.curves[0].series
    by_prompt, by_category = section.tables
    assert column(by_prompt, "prompt") == ["sea", "(empty prompt)"]
    assert column(by_prompt, "mean bits") == pytest.approx([0.4, 0.1])
    assert sum(column(by_category, "texts")) == 10  # type: ignore[arg-type]


def test_disagreements_count_preferences_with_margins_and_positions() -> None:
    text = attrs.evolve(
        finding("bread", response_1="x", response_2="y"),
        tokens_2=(
            token("The"),
            token("captain", swap="baker", bits=0.6),
            token("near", swap="tie", margin=0.01),
            token("captain", swap="baker", bits=0.2),
        ),
    )
    surprising, preferred, by_text = TokenDisagreements()([text]).tables
    assert surprising.rows[0] == ("captain", 2, 6.0, 3.0, "2–4, median 3", "baker")
    assert list(preferred.rows) == [("baker", "captain", 2, "2–4, median 3", 1.0, 1.0)]
    assert by_text.rows[0][1:4] == (2, 4, 2)  # parting, tokens, first at
    assert by_text.rows[0][4] == "'baker' or 'captain', at 2"


def test_only_the_best_prompt_is_looked_at() -> None:
    findings = planted_and_ordinary()
    assert {f.prompt for f in of_best_prompt([*findings, findings[0]])} == {"sea"}
    assert len(of_best_prompt([*findings, findings[0]])) == 10
    tokens = column(TokenDisagreements()(findings).tables[0], "token")
    assert "Captain" in tokens and "daerb0" not in tokens


def test_planted_changes_point_the_same_way_and_ordinary_ones_do_not() -> None:
    table, widest = SemanticDifferences(top=3)(planted_and_ordinary()).tables
    planted, ordinary = column(table, "same direction")
    assert planted > 0.5 > ordinary  # type: ignore[operator]
    assert len(widest.rows) == 3
    assert all(0 <= d <= 2 for d in column(widest, "distance"))  # type: ignore[operator]


def test_clusters_are_described_and_mapped() -> None:
    section = Clusters(n_clusters=2)(planted_and_ordinary())
    groups, typical, by_prompt = section.tables
    planted = next(row for row in groups.rows if "rowe" in str(row[0]))
    assert planted[1] == 10 and planted[3] == pytest.approx(0.4)
    assert any("Captain Rowe" in str(cell) for cell in column(typical, "model_2"))
    at = list(by_prompt.columns).index(planted[0])  # type: ignore[arg-type]
    assert [row[at] for row in by_prompt.rows] == [10, 0]
    assert sum(len(points) for points in section.scatters[0].groups.values()) == 20
    with pytest.raises(ValueError, match="hdbscan finds the number itself"):
        Clusters(method="hdbscan", n_clusters=3)


def pair_and_layout(noise: float) -> tuple[ModelPair, Layout]:
    model_1, tokenizer = TinyLoader().load("cpu")
    model_2, _ = TinyLoader(noise=noise).load("cpu")
    return ModelPair.of(model_1, model_2, tokenizer), Layout(tokenizer, "user_start")


def test_attention_to_the_prompt_is_zero_apart_between_equal_models() -> None:
    findings = [finding("bread", prompt="Tell me", response_1="a", response_2="some words here")]
    for noise, equal in ((0.0, True), (0.3, False)):
        pair, layout = pair_and_layout(noise)
        before = pair.ledger.total
        section = Attention().with_models(findings, pair, layout)
        assert (set(column(section.tables[0], "difference")) == {0.0}) is equal
        assert pair.ledger.total > before  # the passes are paid for
        assert pair.model_1.model.config._attn_implementation == "sdpa"  # and put back
        names = column(section.tables[0], "token")
        assert "".join(map(str, names)).strip() == "Tell me"
        assert [len(h.values) for h in section.heatmaps] == [len(section.heatmaps[0].y)] * 3


@pytest.mark.parametrize("placement", ["prefix", "system", "user_start", "user_end"])
def test_the_prompt_is_found_wherever_it_sits(placement: str) -> None:
    _, tokenizer = TinyLoader().load("cpu")
    layout = Layout(tokenizer, placement)  # type: ignore[arg-type]
    found = finding("bread", prompt="Tell me", response_1="a", response_2="b")
    context = layout.hard(found.example.text, found.prompt).before
    assert tokenizer.decode(list(context[prompt_span(context, found, layout)])).strip() == "Tell me"


def test_without_models_or_prompt_attention_says_so() -> None:
    pair, layout = pair_and_layout(0.1)
    plain = planted_and_ordinary()[10:]
    assert "no prompt" in Attention().with_models(plain, pair, layout).summary
    assert "not available" in Attention()(plain).summary
