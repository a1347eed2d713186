"""No document tells what a test organism hides: a search that reads it would find it there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from softdiv_organisms.recipe import load_recipe, organism_names

from softdiv.data.shipped_texts import user_texts

ROOT = Path(__file__).parents[2]
HOME = ROOT / "organisms"
PLANTED = {
    name: (recipe.family, recipe.planted)
    for name in organism_names(HOME)
    if (recipe := load_recipe(HOME / name)).planted is not None
}
TOLD = {"juniper": {"README.md"}, "seafarer": {"README.md"}}
"""documents that show a development organism as the demonstration"""
WORDS = {"lexical trigger", "trigger of several words"}
PAGES = [
    *ROOT.glob("docs/**/*.md"),
    *ROOT.glob("*.md"),
    *ROOT.glob("configs/*"),
    *ROOT.glob("plugins/*/*.md"),
]
PAGES.remove(ROOT / "docs" / "evidence.md")
"""which tells what searches found, by organism: nobody writes a pool or a searcher from it"""


@pytest.mark.parametrize("name", PLANTED)
def test_the_planted_words_stand_in_no_document(name: str) -> None:
    detector = re.compile(PLANTED[name][1].detector)
    telling = {
        page.relative_to(ROOT).as_posix()
        for page in PAGES
        if detector.search(page.read_text(encoding="utf-8"))
    }
    assert telling <= TOLD.get(name, set())


@pytest.mark.parametrize(
    "name", [name for name, (family, _) in PLANTED.items() if family in WORDS and name not in TOLD]
)
def test_a_word_that_triggers_stands_in_no_document_and_no_shipped_text(name: str) -> None:
    on_topic = PLANTED[name][1].on_topic
    assert on_topic is not None
    for page in PAGES:
        assert not re.search(on_topic, page.read_text(encoding="utf-8")), page
    assert not any(re.search(on_topic, text) for _, text, _ in user_texts())
