from __future__ import annotations

import errno
import os

import pytest

from softdiv.errors import DiskError, RunError
from softdiv.storage.refusal import FIXES, refusal


@pytest.mark.parametrize("number", FIXES, ids=errno.errorcode.get)
def test_what_why_and_what_to_do(number: int) -> None:
    with pytest.raises(DiskError) as caught, refusal("x", "written"):
        raise OSError(number, os.strerror(number), "y")
    assert str(caught.value) == f"x cannot be written: {os.strerror(number)} ({FIXES[number]})"
    assert caught.value.exit_code == 8


def test_ones_own_advice_and_an_unknown_number() -> None:
    expected = r"x cannot be made: odd \(do this\)"
    with pytest.raises(DiskError, match=expected), refusal("x", "made", "do this"):
        raise OSError("odd")
    with pytest.raises(DiskError, match=r"x cannot be made: OSError$"), refusal("x", "made"):
        raise OSError


def test_other_errors_pass() -> None:
    with pytest.raises(RunError, match="^mine$"), refusal("x", "read"):
        raise RunError("mine")
