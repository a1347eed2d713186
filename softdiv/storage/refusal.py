"""What the operating system refuses, as what / why / fix instead of an errno."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from softdiv.errors import DiskError

_ROOM = "make room, then give the same command again"
_PLACE = "mend its permissions, or choose another folder"
_FAILING = "check the disk or its connection, then give the same command again"
_WHOLE_PATH = "a file stands where a folder is needed, or the reverse: choose another path"
_OPEN_FILES = "close some, or raise the limit: ulimit -n 4096"
_AGAIN = "give the same command again"
FIXES = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: _ROOM,
    errno.EACCES: _PLACE,
    errno.EPERM: _PLACE,
    errno.EROFS: "its file system is read-only: choose another folder",
    errno.EIO: _FAILING,
    errno.ENXIO: _FAILING,
    errno.ENODEV: _FAILING,
    errno.ESTALE: _FAILING,
    errno.ETIMEDOUT: _FAILING,
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ENOTDIR: _WHOLE_PATH,
    errno.EISDIR: _WHOLE_PATH,
    errno.EEXIST: _WHOLE_PATH,
    errno.ELOOP: "a link stands there: choose another path",
    errno.EMFILE: _OPEN_FILES,
    errno.ENFILE: _OPEN_FILES,
    errno.EINTR: _AGAIN,
    errno.EAGAIN: _AGAIN,
    errno.EBUSY: _AGAIN,
    errno.ENOLCK: "its file system locks no files: choose a folder on another",
    errno.ENOSYS: "its file system cannot do that: choose a folder on another",
    errno.EOPNOTSUPP: "its file system cannot do that: choose a folder on another",
}
"""What to do, by errno. An error that is not among them may be a mistake of softdiv's."""


@contextmanager
def refusal(what: str | Path, verb: str, fix: str = "") -> Iterator[None]:
    """Name what the system refuses: ``with refusal(path, "written"): ...``.

    Args:
        fix: in place of the general advice.

    Raises:
        DiskError: the block ended in an OSError.
    """
    try:
        yield
    except OSError as error:
        raise disk_error(f"{what} cannot be {verb}", error, fix) from error


def disk_error(what: str, error: OSError, fix: str = "") -> DiskError:
    """One line for an error of the system."""
    why = error.strerror or str(error) or type(error).__name__
    return DiskError(what, why=why, fix=fix or FIXES.get(error.errno or 0, ""))
