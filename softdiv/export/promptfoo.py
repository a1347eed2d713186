"""A promptfoo config with an assertion of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from softdiv.export.card import to_yaml
from softdiv.export.cases import Case, Evaluated
from softdiv.storage.atomic import read_bytes, write_bytes, write_text

ASSERTION = "unlike_suspect.js"


def promptfoo(run: Evaluated, folder: Path) -> str:
    """``promptfooconfig.yaml`` and the assertion it names."""
    tests = [_promptfoo_test(case) for case in run.chats]
    config = {
        "description": f"softdiv: {run.pair}",
        "prompts": [{"id": "softdiv", "label": "softdiv", "raw": "{{ messages }}"}],
        "providers": ["echo"],
        "defaultTest": {"assert": [{"type": "javascript", "value": f"file://{ASSERTION}"}]},
        "tests": tests,
    }
    write_text(folder / "promptfooconfig.yaml", to_yaml(config))
    write_bytes(folder / ASSERTION, read_bytes(Path(__file__).with_name(ASSERTION)))
    return (
        f"    promptfoo eval -c {folder / 'promptfooconfig.yaml'} -r PROVIDER\n\n"
        "A test fails where the answer shares more words (F1) with model_2's recorded answer "
        "than with model_1's. The provider in the file, `echo`, calls no model: name yours with "
        "`-r`, or in the file."
    )


def _promptfoo_test(case: Case) -> dict[str, Any]:
    return {
        "description": f"{case.prompt or '(no prompt)'} | {case.user_text}"[:120],
        "vars": {
            # as JSON, since promptfoo makes a test of every item of a list
            "messages": _without_braces(case.messages),
            "model_1": _without_braces(case.model_1),
            "model_2": _without_braces(case.model_2),
        },
        "metadata": {"id": case.id, "prompt": case.prompt, "baseline": case.baseline},
    }


def _without_braces(value: str | Sequence[dict[str, str]]) -> str:
    """JSON in which no text has a ``{``: promptfoo would read ``{{`` in it as a template."""
    if isinstance(value, str):
        return json.dumps(value).replace("{", "\\u007b")
    parts = (
        f'{{"role": {_without_braces(one["role"])}, "content": {_without_braces(one["content"])}}}'
        for one in value
    )
    return f"[{', '.join(parts)}]"
