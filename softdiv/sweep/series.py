"""Search every member of a series, then score all their prompts on all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from softdiv.config.load import ExperimentConfig
from softdiv.errors import ConfigError
from softdiv.evaluation.results import Evaluation
from softdiv.pipeline import DivergencePipeline
from softdiv.plugin.records import HardPrompt
from softdiv.search.generator import SearchResult
from softdiv.storage.atomic import to_json
from softdiv.sweep.members import Member, Series
from softdiv.sweep.table import MemberScore, Row, SweepTable, scores_of

SEARCHED, SCORED = "search", "scored"
EMPTY = HardPrompt(text="", searcher="empty")

Open = Callable[[ExperimentConfig, Path, SearchResult | None], DivergencePipeline]


def sweep(
    series: Series,
    members: Sequence[Member],
    folder: Path,
    *,
    prompts: SearchResult | None = None,
    opened: Open,
    told: Callable[[str, Member, bool], None] = lambda what, member, before: None,
) -> SweepTable:
    """Every member is a run of its own under ``folder``: what has finished is kept, and the same
    call goes on where another was stopped.

    Args:
        prompts: known prompts, scored in place of any search.
        opened: makes the pipeline of a config in a run folder, with given prompts or none.
        told: hears of each finished run: ``search`` or ``scored``, whose, and whether it had
            finished before.

    Raises:
        SoftdivError: as a run does.
    """
    if any(member.config.pair.by == "text" for member in members):
        raise ConfigError("pair.by: a sweep needs pairs that share their tokens")
    searched: dict[str, Evaluation] = {}
    found_on: dict[str, str] = {}
    if prompts is None:
        for member in members:
            pipeline = opened(member.config, folder / SEARCHED / member.name, None)
            searched[member.name] = pipeline.run().report.evaluation
            told(SEARCHED, member, pipeline.nothing_to_do)
            for result in searched[member.name].prompts:
                if result.text:
                    found_on.setdefault(result.text, member.name)
        texts = tuple(found_on)
    else:
        texts = tuple(p.text for p in (*prompts.prompts, *prompts.baselines) if p.text)
    # other prompts are other runs: those of a shorter series stay beside these
    place = folder / SCORED / hashlib.sha256(to_json(sorted(texts)).encode()).hexdigest()[:12]
    given = SearchResult(
        tuple(HardPrompt(text=text, searcher=_of(text, found_on)) for text in texts), (EMPTY,)
    )
    rows = []
    for member in members:
        config = member.config.with_overrides("analysis.analyzers=[]")
        pipeline = opened(config, place / member.name, given)
        evaluation = pipeline.run().report.evaluation
        told(SCORED, member, pipeline.nothing_to_do)
        rows.append(_row(member, searched.get(member.name), scores_of(evaluation, texts)))
    table = SweepTable(
        key=series.key, numbered=series.numbered, rows=tuple(rows), found_on=found_on
    )
    table.write(folder)
    return table


def _of(text: str, found_on: dict[str, str]) -> str:
    return f"found on {found_on[text]}" if text in found_on else "given"


def _row(member: Member, own: Evaluation | None, scores: tuple[MemberScore, ...]) -> Row:
    return Row(
        name=member.name,
        value=str(member.value),
        place=member.place,
        verdict=own.verdict.outcome if own else None,
        best=MemberScore.of(own.prompts[0]) if own and own.prompts else None,
        soft_bits=own.soft_bits if own else None,
        scores=scores,
    )
