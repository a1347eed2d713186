"""A stranger's template: bounded in time and memory, and every failure one line."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Any

import pytest

from softdiv.errors import PairError
from softdiv.pair.rendering import _RENDERER, EndlessTemplate, render

MESSAGES = [{"role": "user", "content": "Hällo \u2028 {{ 1 + 1 }}"}]


def rendered(template: str, advice: str = "do this", **arguments: Any) -> str:
    return render(
        template, MESSAGES, answer=True, arguments=arguments, date="2026-01-31", advice=advice
    )


def test_a_template_is_told_the_messages_the_arguments_and_the_date() -> None:
    assert rendered("{{ messages[0]['content'] }}") == MESSAGES[0]["content"]
    assert rendered("{{ a }}{{ b['c'] }}{{ add_generation_prompt }}", a=1, b={"c": "é"}) == "1éTrue"
    assert rendered("{{ strftime_now('%d %b %Y %H:%M') }}") == "31 Jan 2026 00:00"


def test_what_transformers_templates_may_use_works() -> None:
    template = (
        "{%- for n in range(9) %}{% if n == 2 %}{% break %}{% endif %}"
        "{% generation %}{{ n }}{% endgeneration %}{% endfor %}{{ {'a': '<é>'} | tojson }}"
    )
    assert rendered(template) == '01{"a": "<é>"}'


def test_chance_is_the_same_every_time() -> None:
    template = "{{ range(1000000) | list | length }}{{ 'abcdefghijklmnopq' | list | random }}"
    assert rendered(template.replace("1000000", "10")) == rendered(
        template.replace("1000000", "10")
    )


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{% for m in messages %}", "is not valid Jinja: line 1"),
        ("{{ raise_exception('No\n  system role') }}", 'says "No system role" (do this)'),
        ("{{ who.is.it }}", "lacks something: 'who' is undefined (give it: pair.template_arg"),
        ("{{ 1 / 0 }}", "fails: ZeroDivisionError"),
        ("{{ ''.__class__.__mro__ }}", "fails: SecurityError"),
        ("{% include 'secret' %}", "fails: TypeError"),
        ("{{ (" * 5000, "fails: RecursionError"),
    ],
)
def test_what_is_wrong_with_a_template_is_one_line(template: str, said: str) -> None:
    with pytest.raises(PairError) as caught:
        rendered(template)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value) and caught.value.exit_code == 4
    assert rendered("fine") == "fine"


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ 'a' * 10 ** 10 }}", "memory"),
        (
            "{% set n = namespace(x='abcdefgh') %}{% for i in range(60) %}"
            "{% set n.x = n.x ~ n.x %}{% endfor %}{{ n.x }}",
            "memory|more than 2 seconds",  # whichever a busy machine meets first
        ),
        ("{{ '%1000000000d' | format(1) }}", "memory"),
        ("{{ 'a' * 2500000 }}", "writes 2,500,000 characters"),
    ],
)
def test_no_template_takes_all_memory(template: str, said: str) -> None:
    with pytest.raises(EndlessTemplate, match=said):
        rendered(template)
    assert rendered("fine") == "fine"


def test_no_template_runs_without_end() -> None:
    loop = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    start = time.perf_counter()
    with pytest.raises(EndlessTemplate, match="more than 2 seconds"):
        rendered(loop)
    assert time.perf_counter() - start < 60  # of computing, on a machine that may be busy
    assert rendered("fine") == "fine"


def test_an_answer_that_nobody_waited_for_is_not_the_next_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert rendered("first") == "first"
    child = _RENDERER.start()
    assert child.stdout is not None

    def interrupted() -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(child.stdout, "readline", interrupted, raising=False)
        with pytest.raises(KeyboardInterrupt):
            rendered("second")
    assert rendered("third") == "third"


def test_a_child_that_is_gone_is_replaced() -> None:
    assert rendered("fine") == "fine"
    child = _RENDERER.start()
    child.kill()
    child.wait()
    with pytest.raises(PairError):
        rendered("lost")
    assert rendered("fine") == "fine"


def test_the_child_takes_no_code_from_the_working_folder(tmp_path: Any) -> None:
    for name in ("jinja2", "json", "transformers"):
        (tmp_path / f"{name}.py").write_text("open('ran', 'w')\nraise SystemExit", "utf-8")
    code = (
        "import sys; sys.path[:] = [p for p in sys.path if p]\n"
        "import os; from softdiv.pair.rendering import render\n"
        f"os.chdir({str(tmp_path)!r})\n"
        "print(render('ok', [], answer=True, arguments={}, date='2026-01-31', advice=''))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        timeout=120,
    )
    assert done.stdout.strip() == "ok", done.stderr
    assert not (tmp_path / "ran").exists()
