"""The report's three files, all from one :class:`~softdiv.report.model.Report`."""

from __future__ import annotations

from softdiv.report.contract import to_contract
from softdiv.report.html import to_html
from softdiv.report.markdown import to_markdown
from softdiv.report.model import Report
from softdiv.storage.run import RunFolder


def write_report(report: Report, run: RunFolder) -> dict[str, str]:
    """Write ``report.json``, ``report.md`` and ``report.html`` into the run folder.

    Returns:
        File name -> sha256, for :meth:`RunFolder.complete`.
    """
    return {
        **run.write_json("report.json", to_contract(report)),
        **run.write_text("report.md", to_markdown(report)),
        **run.write_text("report.html", to_html(report)),
    }
