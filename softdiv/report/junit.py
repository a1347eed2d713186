"""Gates as JUnit XML, which every CI server shows."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from softdiv.evaluation.gate import GateResult
from softdiv.evaluation.results import Evaluation
from softdiv.plain_text import encodable, one_line


def to_junit(pair: str, evaluation: Evaluation, results: Sequence[GateResult]) -> str:
    """One test case per gate, with each prompt's value where it failed; the verdict beside them."""
    failed = sum(not result.passed for result in results)
    suite = ElementTree.Element(
        "testsuite",
        name=_plain(f"softdiv {pair}"),
        tests=str(len(results)),
        failures=str(failed),
        errors="0",
    )
    for result in results:
        gate = result.gate
        case = ElementTree.SubElement(
            suite,
            "testcase",
            classname=_plain(f"softdiv.{pair}"),
            name=_plain(f"{gate.metric} not {gate.side} {gate.limit:g} ({result.across})"),
        )
        if not result.passed:
            failure = ElementTree.SubElement(case, "failure", message=_plain(str(result)))
            lines = [f"{value:.4g}  {text or '(no prompt)'}" for text, value in result.values]
            failure.text = "\n".join(map(_plain, lines))
    verdict = evaluation.verdict
    said = ElementTree.SubElement(suite, "system-out")
    said.text = _plain(f"{verdict.outcome}: {verdict.headline}")
    ElementTree.indent(suite)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(
        suite, encoding="unicode"
    )


def _plain(text: str) -> str:
    """XML has no control characters and no half ones, not even escaped."""
    return encodable(one_line(text))
