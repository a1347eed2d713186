"""One bit of one file of a run folder changes: nothing that is reported does, or it is said."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from random import Random

from judge import Trials
from warm import Ended, call

from softdiv.training.checkpoint import Checkpoints


def states(root: Path) -> dict[str, Path]:
    """Run folders to begin with: finished, between the stages, and in the middle of training."""
    found = {"finished": root / "true"}
    folder = root / "state"
    config = root / "config.toml"
    ended = call(["train", config, "--quiet", "--output-dir", folder], _die_after_two_checkpoints)
    assert ended.code == 9, ended.err
    found["training"] = Path(shutil.copytree(folder, root / "state-training"))
    for stage in ("train", "generate", "evaluate", "analyze"):
        ended = call([stage, folder, "--quiet"])
        assert ended.code == 0, ended.err
        found[stage] = Path(shutil.copytree(folder, root / f"state-{stage}"))
    return found


def flip(root: Path, count: int, seed: int) -> Trials:
    """Flip ``count`` bits, each in a fresh copy; the states take turns."""
    rng, trials, begin = Random(seed), Trials.of(root), states(root)
    true = root / "true"
    shown = _shown(call(["run", root / "config.toml", "--output-dir", true]), true)
    for number in range(count):
        state = list(begin)[number % len(begin)]
        folder = Path(shutil.copytree(begin[state], root / f"flip-{seed}-{number}"))
        file = rng.choice([path for path in sorted(folder.rglob("*")) if _has_bits(path)])
        bit = rng.randrange(8 * file.stat().st_size)
        data = bytearray(file.read_bytes())
        data[bit // 8] ^= 1 << bit % 8
        file.write_bytes(data)
        what = f"{state}: bit {bit} of {file.relative_to(folder)}"
        _judge(trials, what, root, folder, shown)
        shutil.rmtree(folder)
    return trials


def _judge(trials: Trials, what: str, root: Path, folder: Path, shown: str) -> None:
    trials.tried += 1
    ended = call(["run", root / "config.toml", "--output-dir", folder])
    before = trials.wrong + trials.tracebacks
    trials.refused_in_one_line(what, ended)
    if ended.code == 0:
        verified = call(["runs", "verify", folder])
        trials.refused_in_one_line(f"{what}, verify", Ended(0, verified.out, verified.err))
        wrong = [] if _shown(ended, folder) == shown else [f"shown: {_shown(ended, folder)}"]
        if verified.code == 0:
            wrong += trials.differences(folder)
        trials.wrong += bool(wrong)
        trials.lines += [f"{what}: {line}" for line in wrong]
    compared = call(["compare", folder, root / "true"])
    trials.refused_in_one_line(f"{what}, compare", compared)
    trials.survived += trials.wrong + trials.tracebacks == before


def _shown(ended: Ended, folder: Path) -> str:
    """The verdict and the numbers on standard output, without the run's seconds and notes."""
    text = ended.out.replace(str(folder), "RUN")
    return re.sub(r"(?m), \d+ s$|^Note: .*\n", "", text)


def _has_bits(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _die_after_two_checkpoints() -> None:
    save, saved = Checkpoints.save, []

    def dying(*args: object) -> None:
        save(*args)  # type: ignore[arg-type]
        saved.append(1)
        if len(saved) == 2:
            os._exit(9)

    Checkpoints.save = dying  # type: ignore[assignment,method-assign]
