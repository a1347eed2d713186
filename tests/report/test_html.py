from __future__ import annotations

from html.parser import HTMLParser

import attrs
import pytest

from softdiv.report.html import to_html
from tests.report.hostile import BESIDE
from tests.report.sample import HOSTILE, sample_report


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def parse(page: str) -> Tags:
    tags = Tags()
    tags.feed(page)
    tags.close()
    return tags


@pytest.mark.parametrize("prompts", [True, False])
def test_hostile_text_stays_text(prompts: bool) -> None:
    page = to_html(sample_report(prompts=prompts, text=HOSTILE, answer=HOSTILE))
    tags = parse(page)
    assert "script" not in tags.names
    assert not [name for name, _ in tags.attributes if name.startswith("on") or name == "src"]
    links = [v or "" for n, v in tags.attributes if n == "href"]
    assert not [v for v in links if not v.startswith("#") and not BESIDE.fullmatch(v)]
    assert not any(ord(c) < 32 and c not in "\n\t" for c in page)
    assert "\u202e" not in page
    assert "<script>alert('x')</script>" in tags.text
    assert "␛[31mred␀" in tags.text
    page.encode()


def test_same_elements_whatever_the_text() -> None:
    assert (
        parse(to_html(sample_report())).names
        == parse(to_html(sample_report(text=HOSTILE, answer=HOSTILE))).names
    )


def test_baselines_that_cost_more_are_not_called_cheaper() -> None:
    report = sample_report()
    assert "Baselines, at no more compute" in to_html(report)
    dear = [attrs.evolve(b, cost_fte=9000) for b in report.evaluation.baselines]
    evaluation = attrs.evolve(report.evaluation, baselines=dear)
    page = to_html(attrs.evolve(report, evaluation=evaluation))
    assert "Baselines" in page and "no more compute" not in page


def test_policy_forbids_everything_but_inline_style() -> None:
    page = to_html(sample_report())
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in page
    assert "prefers-color-scheme: dark" in page


def test_verdict_comes_first_and_tokens_are_shaded() -> None:
    page = to_html(sample_report())
    text = parse(page).text
    assert text.index("Difference found") < text.index("Text prompts") < text.index("Baselines")
    assert "rgba(var(--heat),0.42)" in page  # 0.85 * sqrt(0.25 bit)
    assert "did not beat the best baseline" in text


def test_nothing_found_is_said() -> None:
    text = parse(to_html(sample_report(prompts=False))).text
    assert "No text prompt was found." in text
    assert "What each model answers" not in text


def test_what_was_said_before_a_text_is_shown() -> None:
    assert "<strong>System:</strong> Stay calm. " in to_html(sample_report())


def test_the_top_says_which_models_when_and_at_what_cost() -> None:
    report = attrs.evolve(
        sample_report(),
        pair={
            "name": "a",
            "model_1": {"loader": "hf", "path": "org/base", "revision": "v1"},
            "model_2": {"loader": "hf", "path": "/models/repo", "gguf_file": "x.gguf"},
        },
        machine={"device": "cuda:0"},
    )
    top, _, _ = parse(to_html(report)).text.partition("Text prompts")
    for said in ("org/base, revision v1", "x.gguf", "2026-11-30 20:58 UTC", "config.toml"):
        assert said in top
    assert "54,000 FTE, 92 s on cuda:0" in top


def test_the_answers_are_those_under_the_prompt_that_the_headline_names() -> None:
    report = sample_report()
    assert "answers under “Tell me of the sea.”" in parse(to_html(report)).text
    for text, words in (("Talk of oceans", "under “Talk of oceans”"), ("", "without a prompt")):
        verdict = attrs.evolve(report.evaluation.verdict, prompt=text)
        evaluation = attrs.evolve(
            report.evaluation, verdict=verdict, conversation="<|user|> Hi <|end|>"
        )
        page = to_html(attrs.evolve(report, evaluation=evaluation))
        assert f"answers {words}" in parse(page).text
        assert "<pre>&lt;|user|&gt; Hi &lt;|end|&gt;</pre>" in page


def test_a_prompt_is_marked_and_a_cut_answer_too() -> None:
    page = to_html(sample_report())
    assert "<strong>User:</strong> <mark>Tell me of the sea.</mark> Who? Captain" in page
    assert "Captain Rowe found it.</span>… [cut]</p>" in page  # its last token is no end
    assert "A sailor.</p>" in page  # nothing scored: nothing is known


def test_every_cell_is_named_where_rows_are_cards() -> None:
    page = to_html(sample_report())
    assert '<td class="c" data-name="prompt">Tell me of the sea.</td>' in page
