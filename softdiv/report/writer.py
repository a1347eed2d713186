"""The report's files, all from one :class:`~softdiv.report.model.Report`."""

from __future__ import annotations

from softdiv.analysis.figures import figures_of, svg
from softdiv.plugin.records import Section
from softdiv.report.contract import plain, to_contract
from softdiv.report.csv_table import to_csv
from softdiv.report.formatting import TRAINING, section_file
from softdiv.report.html import to_html
from softdiv.report.markdown import to_markdown
from softdiv.report.model import Report
from softdiv.storage.names import REPORT, REPORT_HTML, REPORT_MD
from softdiv.storage.run import RunFolder


def write_report(report: Report, run: RunFolder) -> dict[str, str]:
    """Write ``report.json``, ``.md`` and ``.html``, and every section into ``analysis/``.

    Returns:
        File name -> sha256, for :meth:`RunFolder.complete`.
    """
    files = {
        **run.write_json(REPORT, to_contract(report)),
        **run.write_text(REPORT_MD, to_markdown(report)),
        **run.write_text(REPORT_HTML, to_html(report)),
    }
    for number, section in enumerate(report.sections, 1):
        files |= _write_section(section_file(number, section), section, run)
    if report.training_curve:
        training = Section(
            title="training", summary="Soft prompt training.", curves=(report.training_curve,)
        )
        files |= _write_section(TRAINING, training, run)
    return files


def _write_section(name: str, section: Section, run: RunFolder) -> dict[str, str]:
    """``NAME.json`` with every number, ``NAME-1.svg`` per figure, ``NAME-1.csv`` per table."""
    files = run.write_json(f"{name}.json", plain(section))
    for number, figure in enumerate(figures_of(section), 1):
        drawn = svg(figure)
        if drawn is not None:
            files |= run.write_text(f"{name}-{number}.svg", drawn)
    for number, table in enumerate(section.tables, 1):
        files |= run.write_text(f"{name}-{number}.csv", to_csv(table))
    return files
