"""What a launcher says in the environment: which of how many processes this is.

No torch here: the command line asks before anything is imported.
"""

from __future__ import annotations

import os

import attrs

from softdiv.errors import ConfigError

_MEND = "start with torchrun, or unset WORLD_SIZE"


@attrs.frozen(kw_only=True)
class Launch:
    """One process of several. The names are those of torchrun and every launcher like it."""

    rank: int
    world: int
    local_rank: int
    """among those on this machine: which GPU is this process's"""
    host: str
    port: int
    """where rank 0 waits for the others"""

    @classmethod
    def from_environment(cls) -> Launch | None:
        """None where this is the only process, whatever else a shell has left in the environment.

        Raises:
            ConfigError: several processes are announced, and what is said of them is wrong.
        """
        world = world_size()
        if world == 1:
            return None
        rank = _number("RANK", world, limit=world)
        host = os.environ.get("MASTER_ADDR", "").strip()
        if not host:
            raise _missing("MASTER_ADDR", world)
        return cls(
            rank=rank,
            world=world,
            local_rank=_number("LOCAL_RANK", world, limit=world, default=rank),
            host=host,
            port=_number("MASTER_PORT", world, limit=1 << 16),
        )


def leave_launcher() -> Launch | None:
    """This process of several goes on as if it were alone, and is told which it was.

    Raises:
        ConfigError: as :meth:`Launch.from_environment`.
    """
    launch = Launch.from_environment()
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK") if launch else ():
        os.environ.pop(name, None)
    return launch


def world_size() -> int:
    """How many processes are announced, 1 without a launcher. Raises ConfigError."""
    text = os.environ.get("WORLD_SIZE", "").strip()
    if not text:
        return 1
    count = int(text) if text.isdecimal() and len(text) < 9 else 0
    if count < 1:
        raise ConfigError(f"WORLD_SIZE is {text[:20]!r}, expected the number of processes: {_MEND}")
    return count


def rank_label() -> str:
    """This process's rank as text; empty where it is the only one, or nobody can tell."""
    try:
        launch = Launch.from_environment()
    except ConfigError:
        return ""
    return "" if launch is None else str(launch.rank)


def launched_as() -> str:
    """How to start softdiv again as it was: the command's name, with a launcher's before it."""
    world = world_size()
    if world == 1:
        return "softdiv"
    here = os.environ.get("LOCAL_WORLD_SIZE", "")
    per_node = int(here) if here.isdecimal() and 0 < int(here) <= world else world
    nodes = world // per_node
    several = f"--nnodes {nodes} " if nodes > 1 else ""
    return f"torchrun {several}--nproc_per_node {per_node} -m softdiv"


def _number(name: str, world: int, *, limit: int, default: int | None = None) -> int:
    text = os.environ.get(name, "").strip()
    if not text and default is not None:
        return default
    if not text:
        raise _missing(name, world)
    if not (text.isdecimal() and len(text) < 9 and int(text) < limit):
        why = f"WORLD_SIZE is {world} but " if limit == world else ""
        raise ConfigError(f"{why}{name} is {text!r}, expected a number below {limit}: {_MEND}")
    return int(text)


def _missing(name: str, world: int) -> ConfigError:
    return ConfigError(f"WORLD_SIZE is {world} but {name} is not set: {_MEND}")
