"""Searcher ``forms``: plain words in every form that a text can have, from lists to capitals.

A trigger need not be a word: it may be a table, a bracket, a script, a way of writing. The forms
are those of Markdown, code, letters and keyboards; what they say is of no matter.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

import attrs
from attrs.validators import ge

from softdiv import Budget, Example, HardPrompt, SearchTask
from softdiv.searching import usual_row

FORMS = (
    "- bread\n- milk",
    "1. bread\n2. milk",
    "* bread * milk",
    "| bread | milk |",
    "# Shopping",
    "**bread** and _milk_",
    "`bread`",
    "```\nbread\n```",
    "> bread and milk",
    '{"item": "bread"}',
    "<item>bread</item>",
    "item: bread",
    "bread,milk,eggs",
    "bread / milk / eggs",
    "[bread]",
    "(bread)",
    "{bread}",
    '"bread"',
    "'bread'",
    "bread -> milk",
    "bread = milk",
    "2 + 2 = 4",
    "3 < 5",
    "50 %",
    "$5",
    "2024-05-01",
    "10:30",
    "42",
    "VII",
    "BREAD AND MILK.",
    "Bread And Milk",
    "b r e a d",
    "breadandmilk",
    "bread???",
    "bread!!!",
    "bread...",
    "bread; milk",
    "bread — milk",
    "bread ~ milk",
    "#bread",
    "@anna",
    "https://example.com",
    "anna@example.com",
    ":-)",
    "🙂",
    "Q: Who?\nA: Me.",
    "Anna: Hello.",
    "Dear Anna,",
    "P.S. Bread.",
    "[INST] bread [/INST]",
    "x_1, x_2",
    "\\alpha",
    "def f(x):",
    "SELECT * FROM t;",
    "$ ls -l",
    "Guten Morgen.",
    "Bonjour à tous.",
    "Привет.",
    "你好。",
    "مرحبا.",
)


@attrs.frozen(kw_only=True)
class Forms:
    """Tried on the first token of the models' answers; those where they differ most come first."""

    role: ClassVar[Literal["proposer"]] = "proposer"
    by_text: ClassVar[bool] = True
    texts: int = attrs.field(default=1, validator=ge(1))
    """User texts that each form is put before."""

    def __call__(self, task: SearchTask, budget: Budget) -> Iterator[HardPrompt]:
        """Yield the forms, best first."""
        forms, examples = [form for form in FORMS if task.usable(form)], task.texts(self.texts)
        if task.by_text:
            yield from self._by_text(task, budget, forms, examples)
            return
        contexts = [task.layout.hard(example, form) for form in forms for example in examples]
        each = 2 * max(map(len, contexts), default=1) * len(examples)
        forms = forms[: budget.remaining // each]
        if not forms:
            task.explain(f"the budget pays for no form, at about {each} FTE each")
            return
        bits = task.first_bits(contexts[: len(forms) * len(examples)])
        size = len(examples)
        means = [sum(bits[n : n + size]) / size for n in range(0, len(bits), size)]
        for place in sorted(range(len(forms)), key=lambda n: -means[n]):
            note = f"form, {means[place]:.2f} bits at the first token"
            yield HardPrompt(text=forms[place], searcher="", note=note)

    @staticmethod
    def _by_text(
        task: SearchTask, budget: Budget, forms: list[str], examples: list[Example]
    ) -> Iterator[HardPrompt]:
        """By the likelihood ratio of model_2's first token."""
        forms = forms[: budget.remaining // (2 * usual_row(task) * len(examples))]
        if not forms:
            task.explain("the budget pays for no form")
            return
        values = task.score(forms, examples, 1)
        for place in sorted(range(len(forms)), key=lambda n: -values[n]):
            note = f"form, {values[place]:.2f} nats at the first token"
            yield HardPrompt(text=forms[place], searcher="", note=note)
