"""Texts a model may write that break careless code."""

from __future__ import annotations

HOSTILE = (
    "<script>alert('x')</script> & \"quoted\"",
    "| a | table | row |\n|---|\n```",
    "{{ template }} {0} %s %(x)s \\n",
    "\x1b[31mred\x07\x00",
    "\u202eback to front\u2028next line",
    "a lone surrogate \ud800",
    " \t\n",
    "🧵" * 40,
)
