from __future__ import annotations

from softdiv.storage.plain import dotted


def test_tables_become_dotted_keys_and_lists_stay_values() -> None:
    table = {"a": {"b": {"c": 1}, "d": [{"e": 2}]}, "f": None, "g": {}}
    assert dotted(table) == {"a.b.c": 1, "a.d": [{"e": 2}], "f": None}
