from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator, Mapping
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from softdiv.cli.view import server

from .conftest import Call


@pytest.fixture
def served() -> Iterator[ThreadingHTTPServer]:
    def page(query: Mapping[str, str]) -> str:
        return f"words: {query.get('words')}"

    with server(page) as made:
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def get(port: int, path: str = "/", host: str = "") -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path, headers={"Host": host or f"127.0.0.1:{port}"})
    return connection.getresponse()


def test_the_page_is_served_to_this_machine_alone(served: ThreadingHTTPServer) -> None:
    assert served.server_address[0] == "127.0.0.1"
    answer = get(served.server_port, "/?words=a%20b")
    assert answer.read() == b"words: a b"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert get(served.server_port, host=f"localhost:{served.server_port}").status == 200
    assert get(served.server_port, "/config.toml").status == 404
    for host in ("evil.example", f"evil.example:{served.server_port}", "127.0.0.1:1"):
        assert get(served.server_port, host=host).status == 403


def test_a_port_that_is_taken_is_named(
    served: ThreadingHTTPServer, run: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("view", run, "--port", served.server_port) == 5
    assert f"port {served.server_port} cannot be used" in capsys.readouterr().err


def test_a_run_is_shown(
    run: Path, call: Call, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pages: list[str] = []

    def once(self: ThreadingHTTPServer) -> None:
        thread = threading.Thread(target=self.handle_request)
        thread.start()
        pages.append(get(self.server_port).read().decode())
        thread.join()
        raise KeyboardInterrupt

    monkeypatch.setattr(ThreadingHTTPServer, "serve_forever", once)
    assert call("view", run) == 0
    assert "every held-out answer" in pages[0] and '<div class="model_2">' in pages[0]
    assert capsys.readouterr().out.startswith("http://127.0.0.1:")


def test_a_run_without_answers_says_what_to_do(
    tmp_path: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("view", tmp_path) == 5
    assert "is not a softdiv run" in capsys.readouterr().err
