"""Chat templates rendered in a process of their own, and their failures as one line."""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from softdiv.errors import PairError
from softdiv.pair.render_child import LONGEST, MEMORY, SECONDS

OTHER_TEMPLATE = "give another: pair.chat_template = FILE"
# -I and the parent's own path: neither the working folder nor the environment adds code to it
_BOOT = "import sys; sys.path[:] = sys.argv[1:]; from softdiv.pair.render_child import main; main()"


class EndlessTemplate(PairError):
    """A template that takes more time or memory, or writes more, than any template does."""


class _Renderer:
    """The one child of this process, started at its first use and whenever it has died."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[str] | None = None
        self._owner = 0
        self._lock = threading.Lock()

    def start(self) -> subprocess.Popen[str]:
        """The running child. Its imports take a second, so it is started before it is needed."""
        if self._child is None or self._owner != os.getpid():  # a fork must not share its parent's
            path = [str(Path(entry).resolve()) for entry in sys.path]
            try:
                self._child = subprocess.Popen(  # noqa: S603 (our own file and interpreter)
                    [sys.executable, "-I", "-c", _BOOT, *path],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                    encoding="ascii",
                    env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
                    start_new_session=True,  # an interrupt is for the run, which goes on to save
                )
            except OSError as error:
                raise PairError(
                    "no process can be started to render chat templates", why=str(error.strerror)
                ) from error
            self._owner = os.getpid()
        return self._child

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The child's answer to one request."""
        with self._lock:
            child = self.start()
            assert child.stdin is not None and child.stdout is not None
            try:
                child.stdin.write(f"{json.dumps(request)}\n")
                child.stdin.flush()
                line = child.stdout.readline()
            except BrokenPipeError:
                line = ""
            except BaseException:
                self.stop()  # its answer is still to come, and would be taken for the next one
                raise
            if line:
                answer: dict[str, Any] = json.loads(line)
                return answer
            return {"kind": "Died", "message": str(self.stop()), "line": None}

    def stop(self) -> int:
        """End the child; returns how it ended."""
        child, self._child = self._child, None
        if child is None or self._owner != os.getpid():
            return 0
        for stream in (child.stdin, child.stdout):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue  # it died with our request unread
        try:
            return child.wait(timeout=1)
        except subprocess.TimeoutExpired:
            child.kill()
            return child.wait()


_RENDERER = _Renderer()
atexit.register(_RENDERER.stop)


def start_renderer() -> None:
    """Start the process beforehand."""
    _RENDERER.start()


def render(
    template: str,
    messages: list[dict[str, Any]],
    *,
    answer: bool,
    arguments: Mapping[str, Any],
    date: str,
    advice: str,
) -> str:
    """The conversation as the template writes it.

    Args:
        answer: end in what precedes an assistant's message.
        arguments: further variables of the template.
        date: what ``strftime_now`` tells it, ``YYYY-MM-DD``.
        advice: what to do where the template itself refuses the conversation.

    Raises:
        PairError: it is not valid Jinja, refuses the conversation, or fails.
        EndlessTemplate: it does not end.
    """
    request = {
        "template": template,
        "messages": messages,
        "answer": answer,
        "arguments": dict(arguments),
        "date": date,
    }
    found = _RENDERER.ask(request)
    if "text" in found:
        text: str = found["text"]
        return text
    raise _failure(found["kind"], found["message"], found["line"], advice)


def _failure(kind: str, message: str, line: int | None, advice: str) -> PairError:
    said = " ".join(message.split())
    if kind == "TemplateSyntaxError":
        where = f"line {line}: " if line else ""
        return PairError(
            "the chat template is not valid Jinja", why=f"{where}{said}", fix=OTHER_TEMPLATE
        )
    if kind == "TemplateError":  # raise_exception("...") of the template itself
        return PairError(f'the chat template says "{said}"', fix=advice)
    if kind == "UndefinedError":
        return PairError(
            f"the chat template lacks something: {said}",
            fix="give it: pair.template_arguments = { NAME = VALUE }",
        )
    if kind == "Died" and said == str(-signal.SIGPROF):
        why = f"a conversation takes it more than {SECONDS} seconds"
    elif kind in ("Died", "MemoryError"):
        why = f"it needs more than {MEMORY >> 20} MB of memory"
        why += f", or its process broke ({said})" if kind == "Died" else ""
    elif kind == "TooLong":
        why = f"it writes {said}, more than {LONGEST:,}"
    else:
        why = f"{kind}: {said}"
        return PairError("the chat template fails", why=why, fix=OTHER_TEMPLATE)
    return EndlessTemplate("the chat template cannot be used", why=why, fix=OTHER_TEMPLATE)
