"""Line numbers of keys."""

from __future__ import annotations

from softdiv.config.locate import locator, toml_lines, yaml_lines


def test_toml_headers_dotted_keys_and_list_items() -> None:
    lines = toml_lines('a = 1\n\n[t.u]  # c\n"b" = 2\nc.d = 3\n[[list]]\nx = 1\n')
    assert lines == {"a": 1, "t.u": 3, "t.u.b": 4, "t.u.c.d": 5, "list": 6, "list.x": 7}


def test_yaml_follows_indentation() -> None:
    lines = yaml_lines("a:\n  b: 1\n  c:\n    d: 2\ne: 3\n")
    assert lines == {"a": 1, "a.b": 2, "a.c": 3, "a.c.d": 4, "e": 5}


def test_yaml_in_one_line_in_lists_and_named_again() -> None:
    lines = yaml_lines("a: &x {b: 1,\n  c: 2\n}\nl:\n- d: 1\n- e: *x\n")
    assert lines == {"a": 1, "a.b": 1, "a.c": 2, "l": 4, "l.d": 5, "l.e": 6}


def test_the_deepest_known_part_is_the_place() -> None:
    where = locator("f.toml", {"a": 1, "a.b": 2})
    assert where("a.b[3].c") == "f.toml:2"
    assert where("a.z") == "f.toml:1"
    assert where("q") == "f.toml"
