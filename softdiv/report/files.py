"""What the files beside a report are called."""

from __future__ import annotations

import re

from softdiv.plugin.records import Section
from softdiv.storage.names import SECTIONS

TRAINING = f"{SECTIONS}/training"
"""Start of the names of the training curve's files."""


def section_file(number: int, section: Section) -> str:
    """Start of the names of a section's files: ``analysis/2-tokens``, a name any system takes."""
    slug = re.sub(r"[^a-z0-9]+", "-", section.title.lower())[:40].strip("-")
    return f"{SECTIONS}/{number}-{slug or 'section'}"
