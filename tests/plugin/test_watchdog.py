from __future__ import annotations

import signal
import threading
import time

import pytest

from softdiv.plugin.watchdog import Overdue, TimeLimit

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="POSIX timers")


def test_it_interrupts_even_code_that_swallows_everything_once() -> None:
    with pytest.raises(Overdue, match=r"no end after 0\.05 s"), TimeLimit(0.05):
        try:
            time.sleep(30)
        except BaseException:
            time.sleep(30)


def test_handler_and_a_timer_that_ran_before_go_on() -> None:
    heard: list[int] = []
    previous = signal.signal(signal.SIGALRM, lambda number, frame: heard.append(number))
    left = signal.setitimer(signal.ITIMER_REAL, 200.0)
    try:
        with TimeLimit(100.0):
            assert 90 < signal.getitimer(signal.ITIMER_REAL)[0] <= 100
        assert 190 < signal.getitimer(signal.ITIMER_REAL)[0] <= 200
        with pytest.raises(Overdue), TimeLimit(0.01):
            time.sleep(30)
        signal.raise_signal(signal.SIGALRM)
        assert heard == [signal.SIGALRM]
    finally:
        signal.signal(signal.SIGALRM, previous)
        signal.setitimer(signal.ITIMER_REAL, *left)


def test_no_limit_and_other_threads_are_left_alone() -> None:
    armed: list[float] = []

    def look() -> None:
        with TimeLimit(50.0):
            armed.append(signal.getitimer(signal.ITIMER_REAL)[0])

    before = signal.getitimer(signal.ITIMER_REAL)[0]
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    with TimeLimit(0):
        armed.append(signal.getitimer(signal.ITIMER_REAL)[0])
    # whatever runs already (the test's own timeout) is neither replaced nor shortened
    assert all(value == pytest.approx(before, abs=5) for value in armed)


def test_time_starts_anew_where_work_was_done() -> None:
    seen = iter((0, 1, 2, 2))
    with pytest.raises(Overdue), TimeLimit(0.05, lambda: next(seen)):
        time.sleep(30)
    assert not list(seen), "it ended when nothing had changed, not before"
