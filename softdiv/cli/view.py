"""``softdiv view RUN``: every answer in the browser, from this machine alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import click

from softdiv.cli.options import FOLDER
from softdiv.cli.terminal import say
from softdiv.errors import RunError

HERE = "127.0.0.1"
HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""The page may run and fetch nothing, whatever a model wrote."""


@click.command()
@click.argument("run", metavar="RUN", type=FOLDER)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="[any free one]")
def view(run: Path, port: int) -> None:
    """Browse every held-out answer, filtered and compared word for word, on 127.0.0.1."""
    from softdiv import stored
    from softdiv.config.load import ExperimentConfig
    from softdiv.report.viewer import to_view
    from softdiv.storage.names import CONFIG
    from softdiv.storage.run_files import RunFiles

    files = RunFiles.of(run)
    evaluation, name = stored.evaluation(files), stored.pair_facts(files).name
    place = ExperimentConfig.from_file(files.file(CONFIG)).training.placement
    with server(lambda query: to_view(name, evaluation, place, query), port) as served:
        say(f"http://{HERE}:{served.server_port}/ (Ctrl-C ends)")
        try:
            served.serve_forever()
        except KeyboardInterrupt:
            say()


def server(page: Callable[[Mapping[str, str]], str], port: int = 0) -> ThreadingHTTPServer:
    """Answers ``/`` with ``page(query)``, and only to a browser that asked for this machine.

    Raises:
        RunError: the port is taken.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked, port = urlsplit(self.path), served.server_port
            # another site's name may be made to point here; its pages must not read this one
            if self.headers.get("Host") not in (f"{HERE}:{port}", f"localhost:{port}"):
                self.send_error(403)
            elif asked.path != "/":
                self.send_error(404)
            else:
                body = page(dict(parse_qsl(asked.query))).encode()
                self.send_response(200)
                for name, value in HEADERS.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: a page's address holds what was looked for."""

    try:
        served = ThreadingHTTPServer((HERE, port), Handler)
    except OSError as error:
        raise RunError(
            f"port {port} cannot be used", why=error.strerror or "", fix="choose another --port"
        ) from error
    return served
