"""Source ``model-written-evals``: a copy of https://github.com/anthropics/evals.

Perez et al. 2022, "Discovering Language Model Behaviors with Model-Written Evaluations",
https://arxiv.org/abs/2212.09251.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from softdiv import BaseDataProcessor, Example
from softdiv.data.lines import BadLines, OnBadLines, json_objects
from softdiv.data.records import Columns
from softdiv.errors import DataError, did_you_mean

TEXT_KEYS = {
    "persona": "statement",
    "advanced-ai-risk": "question",
    "sycophancy": "question",
    "winogenerated": "sentence_with_blank",
}
"""Category (the folder's name) -> key of the user text in its files."""


@attrs.frozen(kw_only=True)
class ModelWrittenEvals(BaseDataProcessor):
    """Anthropic's model-written evaluations.

    ``data_path`` is the repository's folder, or one of its category folders. A text's category is
    its folder (``persona``, ``sycophancy``, …: choose with ``data.categories``) and its metadata
    hold the file's name as ``subject``.
    """

    subjects: tuple[str, ...] = ()
    """Only these files, by name without ``.jsonl``; empty takes all."""
    on_bad_lines: OnBadLines = "error"
    """error refuses the file and lists them; skip leaves them out and notes how many and where."""

    def load_texts(self, data_path: str, **kwargs: Any) -> Iterator[Example]:
        """Raises DataError: not such a folder, or ``file:line`` of every line that is bad."""
        try:
            files = self._files(Path(data_path))
        except (OSError, ValueError) as error:  # no permission, a name too long, a NUL in it
            raise DataError(f"data folder {data_path} cannot be read", why=str(error)) from error
        known = {path.stem for path, _ in files}
        for subject in self.subjects:
            if subject not in known:
                raise DataError(
                    f"{data_path} has no file {subject}.jsonl", fix=did_you_mean(subject, known)
                )
        bad = BadLines(self.on_bad_lines, self.notes)
        for path, category in files:
            if self.subjects and path.stem not in self.subjects:
                continue
            columns = Columns(TEXT_KEYS[category])
            for where, record in json_objects(str(path), bad):
                # an id of the file's own would clash with another file's
                record = {columns.text: record.get(columns.text), "category": category}
                yield from columns.examples(record, where, bad, subject=path.stem)
        bad.settle()

    def _files(self, folder: Path) -> list[tuple[Path, str]]:
        """(file, category), sorted."""
        if not folder.is_dir():
            raise DataError(f"data folder {folder} does not exist", fix=_CLONE)
        groups = {name: folder / name for name in TEXT_KEYS if (folder / name).is_dir()}
        if not groups and folder.resolve().name in TEXT_KEYS:
            groups = {folder.resolve().name: folder}
        # occupations.jsonl and the like beside the sentences hold no user text
        found = [
            (path, name)
            for name, group in groups.items()
            for path in sorted(group.rglob("*.jsonl"))
            if name != "winogenerated" or path.stem == "winogenerated_examples"
        ]
        if not found:
            raise DataError(
                f"{folder} holds none of the folders {', '.join(TEXT_KEYS)} with .jsonl files",
                fix=_CLONE,
            )
        return found


_CLONE = "git clone https://github.com/anthropics/evals, and give that folder as data_path"
