"""No text of a model, a plugin or a data set does anything but be read."""

from __future__ import annotations

import csv
import http.server
import io
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from softdiv.analysis.figures import for_page, svg
from softdiv.plain_text import one_line
from softdiv.plugin.records import Curve, Heatmap, Scatter, Table
from softdiv.report.contract import to_contract
from softdiv.report.csv_table import to_csv
from softdiv.report.html import to_html
from softdiv.report.markdown import to_markdown
from softdiv.report.writer import write_report
from softdiv.storage.run import open_run
from tests.report.hostile import BESIDE, CANARY, HOSTILE_TEXTS, report_of

every_text = pytest.mark.parametrize("text", HOSTILE_TEXTS, ids=range(len(HOSTILE_TEXTS)))
FETCHING = {"src", "href", "xlink:href", "action", "data", "srcset", "poster", "formaction"}
ELEMENTS = {"script", "iframe", "object", "embed", "base", "link", "form", "img", "video", "input"}


class Elements(HTMLParser):
    """What a browser would see, as far as it matters."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]


def elements(page: str) -> Elements:
    parser = Elements()
    parser.feed(page)
    parser.close()
    return parser


def assert_inert(found: Elements) -> None:
    assert not ELEMENTS & set(found.tags)
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    reached = [value for name, value in found.attributes if name in FETCHING]
    assert not [v for v in reached if not v.startswith(("#", "data:image/png;base64,"))
                and not BESIDE.fullmatch(v)]  # fmt: skip
    styles = [value for name, value in found.attributes if name == "style"]
    assert not [s for s in styles if re.search(r"url\((?!#)|http|@import", s)]
    refresh = [v for n, v in found.attributes if n == "http-equiv"]
    assert refresh == ["Content-Security-Policy"] or not refresh


def test_there_are_fifty_different_ones() -> None:
    assert len(set(HOSTILE_TEXTS)) == 50


@every_text
def test_a_page_has_the_same_elements_whatever_the_text(text: str) -> None:
    page = to_html(report_of(text, figures=False))
    found = elements(page)
    assert_inert(found)
    # only a table too long to stand open may differ, and none here is
    assert found.tags == elements(to_html(report_of("plain", figures=False))).tags
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", page)
    assert len(page.encode()) < 2_000_000


@every_text
def test_a_label_of_a_figure_stays_a_label(text: str) -> None:
    drawn = [
        svg(Curve(title=text, x_label=text, y_label=text, x=[0, 1], series={text: [0.0, 1.0]})),
        svg(Scatter(title=text, x_label=text, y_label=text, groups={text: [(0.0, 1.0)]})),
        svg(Heatmap(title=text, x_label=text, y_label=text, x=[text], y=[text], values=[[1.0]],
                    unit=text)),
    ]  # fmt: skip
    for document in drawn:
        assert document is not None
        found = elements(for_page(document))
        assert_inert(found)
        assert set(found.tags) <= {"svg", "defs", "style", "g", "path", "use", "text", "clippath",
                                   "rect", "image"}  # fmt: skip


def test_a_whole_report_with_figures_is_inert_and_below_two_megabytes(tmp_path: Path) -> None:
    with open_run({"seed": 0}, "seed = 0\n", name="a", parent=tmp_path) as run:
        files = write_report(report_of(HOSTILE_TEXTS[-1], figures=True), run)
        page = (run.path / "report.html").read_text()
        assert all((run.path / name).resolve().is_relative_to(run.path.resolve()) for name in files)
    assert_inert(elements(page))
    assert "<svg" in page
    assert len(page.encode()) < 2_000_000


@every_text
def test_json_and_markdown_survive(text: str) -> None:
    report = report_of(text[:5000], figures=True)
    json.loads(json.dumps(to_contract(report), allow_nan=False).encode())
    document = to_markdown(report)
    document.encode()
    prose = re.sub(r"^(`{3,})\n.*?\n\1$", "", document, flags=re.DOTALL | re.MULTILINE)
    assert not re.search(
        r"(?<!\\)<[a-zA-Z/!]|(?<!\\)\]\((?!analysis/[a-z0-9-]+\.(?:svg|csv)\))|^ *`{3}",
        prose,
        flags=re.MULTILINE,
    )
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", document)


@every_text
def test_no_cell_of_a_csv_is_a_formula(text: str) -> None:
    text = text[:5000]  # the reader's own limit on a cell is 131,072
    table = Table(columns=(text, "n"), rows=[(text, -1.5), (f" {text}", None)])
    rows = list(csv.reader(io.StringIO(to_csv(table))))
    assert [len(row) for row in rows] == [2, 2, 2]
    assert rows[1][1] == "-1.5"
    assert not [row[0] for row in rows if row[0].lstrip().startswith(tuple("=+-@"))]


@every_text
def test_a_terminal_gets_no_escape(text: str) -> None:
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", one_line(text, 400))


@pytest.fixture
def canary() -> Iterator[tuple[str, list[str]]]:
    """A server's address, and the paths it was asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/canary", asked
    server.shutdown()
    server.server_close()
    thread.join()


def browse(chromium: str, page: Path, profile: Path) -> str:
    command = [
        *(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"),
        *(f"--user-data-dir={profile}", "--virtual-time-budget=1500", page.as_uri()),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_browser_runs_nothing_and_fetches_nothing(
    tmp_path: Path, canary: tuple[str, list[str]]
) -> None:
    """Needs Chromium, as the ordinary tests do not: they parse the same pages."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    assert chromium, "no Chromium: install one, or leave out the slow tests"
    address, asked = canary
    page = tmp_path / "page.html"

    control = HOSTILE_TEXTS[0].replace(CANARY, address)
    page.write_text(f"<!doctype html><title>safe</title>{control}<img src={address}>")
    assert "<title>PWNED</title>" in browse(chromium, page, tmp_path / "profile")
    assert "/canary" in asked  # both traps work where nothing protects
    asked.clear()

    for start in range(0, len(HOSTILE_TEXTS), 5):
        for joined in ("", "\n"):  # alone, and where one text may open what another closes
            texts = HOSTILE_TEXTS[start : start + 5]
            for text in [joined.join(texts)] if joined else texts:
                report = report_of(text.replace(CANARY, address), figures=start % 25 == 0)
                page.write_text(to_html(report), encoding="utf-8")
                dom = browse(chromium, page, tmp_path / "profile")
                assert "<title>PWNED" not in dom
                assert "<script" not in dom
                assert not asked
