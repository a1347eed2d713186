"""``softdiv plugins list`` and ``show``: what is said, and what is never imported."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from softdiv import __version__
from softdiv.cli.main import softdiv
from softdiv.errors import PluginError
from tests.cli.installed import MODULE, distribution

METRIC = '''
import attrs
from softdiv import hookimpl

SIZES = (1, 2)

@attrs.frozen(kw_only=True)
class Base:
    depth: int = 3
    """How deep."""

@attrs.frozen(kw_only=True)
class Zero(Base):
    """Always zero.

    More about it.
    """
    level = "token"
    needed: str
    """What must be given."""
    sizes: tuple[int, ...] = SIZES
    word: str = 'a "b"'
    on: bool = True
    nothing: float | None = None
    def __call__(self, rows):
        return rows.log_probs_1[:, 0] * 0

@hookimpl
def softdiv_register_metrics(register):
    register("zero", Zero)
'''


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delenv("SOFTDIV_PLUGINS", raising=False)
    yield tmp_path
    sys.modules.pop(MODULE, None)


def call(*arguments: str) -> Result:
    return CliRunner().invoke(softdiv, list(arguments))


def listed(*arguments: str) -> dict[str, dict[str, Any]]:
    result = call("plugins", "list", "--json", *arguments)
    assert result.exit_code == 0, result.output
    return {row["name"]: row for row in json.loads(result.output)}


def test_an_installed_plugin_is_listed_with_what_its_source_registers(site: Path) -> None:
    distribution(site, "zeros", source=f"raise RuntimeError\n{METRIC}")
    row = listed()["zeros"]
    assert (row["package"], row["version"], row["status"]) == ("dist_a", "1.2", "installed")
    assert row["provides"] == ["metric:zero"]
    assert row["summary"] == "about zeros"
    assert MODULE not in sys.modules


def test_a_kind_is_known_where_the_name_is_not(site: Path) -> None:
    source = "def softdiv_register_losses(register):\n    for n in names: register(n, F)\n"
    distribution(site, "loops", source=source)
    assert listed()["loops"]["provides"] == ["loss"]


def test_a_module_inside_a_package_is_found_without_importing_the_package(site: Path) -> None:
    (site / "softdiv_outer").mkdir()
    (site / "softdiv_outer" / "__init__.py").write_text("raise RuntimeError")
    distribution(site, "nested", module="softdiv_outer.inner", source=None)
    (site / "softdiv_outer" / "inner.py").write_text(METRIC)
    row = listed()["nested"]
    assert row["provides"] == ["metric:zero"]
    assert row["problems"] == []


def test_declared_comes_from_the_environment_and_from_a_config(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distribution(site, "zeros")
    assert listed()["zeros"]["declared"] is False
    monkeypatch.setenv("SOFTDIV_PLUGINS", "other, zeros")
    assert listed()["zeros"]["declared"] is True
    monkeypatch.delenv("SOFTDIV_PLUGINS")
    config = site / "c.toml"
    config.write_text('plugins = ["zeros", "zeroz"]\n')
    rows = listed("--config", str(config))
    assert rows["zeros"]["status"] == "declared"
    assert "not installed (did you mean 'zeros'?)" in rows["zeroz"]["status"]


def test_a_known_package_that_is_missing_is_listed_with_its_pip_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("softdiv.cli.plugin_listing.installed", lambda: ())
    monkeypatch.delenv("SOFTDIV_PLUGINS", raising=False)
    assert "rank-overlap" not in listed()
    row = listed("--all")["rank-overlap"]
    assert row["version"] is None
    assert row["status"] == "not installed: pip install softdiv-rank-overlap"
    monkeypatch.setenv("SOFTDIV_PLUGINS", "rank-overlap")
    assert "declared, but not installed: pip install" in listed()["rank-overlap"]["status"]


def test_built_ins_are_listed_with_all() -> None:
    row = listed("--all")["token_metrics"]
    assert row["builtin"] is True
    assert "metric:jsd" in row["provides"]
    assert "token_metrics" not in listed()


@pytest.mark.parametrize(
    ("requires", "problem"),
    [
        ("softdiv>=99", f"needs softdiv >=99, this is {__version__}: pip install -U dist_a"),
        ("softdiv>=0.1,<1", None),
        ("attrs>=99", None),
    ],
)
def test_a_version_that_does_not_fit_is_a_problem(
    site: Path, requires: str, problem: str | None
) -> None:
    distribution(site, "zeros", requires=requires)
    assert listed()["zeros"]["problems"] == ([problem] if problem else [])


def test_two_packages_with_one_name_and_a_lost_module_are_problems(site: Path) -> None:
    distribution(site, "zeros")
    distribution(site, "zeros", dist="dist_b")
    distribution(site, "lost", dist="dist_c", module="softdiv_nowhere", source=None)
    result = call("plugins", "list")
    assert "dist_b 1.2 has the same name: uninstall one of them" in result.output
    assert "dist_a 1.2 has the same name" in result.output
    assert "its module softdiv_nowhere is not there" in result.output


def test_plain_output_is_one_line_per_plugin_and_inert(site: Path) -> None:
    distribution(site, "zeros")
    metadata = site / "dist_a-1.2.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text().replace("about zeros", "red\x1b[31m [bold]text"))
    (line,) = [row for row in call("plugins", "list").output.splitlines() if "zeros" in row]
    assert "\x1b" not in line
    assert "red [bold]text" in line


def test_show_imports_and_describes_every_option(site: Path) -> None:
    distribution(site, "zeros", source=METRIC)
    result = call("plugins", "show", "zeros")
    assert result.exit_code == 0, result.output
    assert MODULE in sys.modules
    lines = [line.strip() for line in result.output.splitlines()]
    assert lines[0] == "plugin 'zeros' (dist_a 1.2): 1 component"
    assert lines[2:6] == ["metric zero (token)", "Always zero.", "", "More about it."]
    assert lines[6:] == [
        "depth = 3   # int",
        "How deep.",
        "needed = required   # str",
        "What must be given.",
        "sizes = [1, 2]   # tuple[int, ...]",
        'word = "a \\"b\\""   # str',
        "on = true   # bool",
        "nothing = none   # float | None",
    ]


def test_show_names_the_commands_a_plugin_adds(site: Path) -> None:
    source = METRIC + "def softdiv_register_commands(register):\n    register('draw', None)\n"
    distribution(site, "zeros", source=source)
    assert listed()["zeros"]["provides"] == ["metric:zero", "command:draw"]
    assert call("plugins", "show", "zeros").output.endswith(
        "\ncommand softdiv --plugin zeros draw\n"
    )


def test_show_works_for_built_in_plugins_and_components() -> None:
    whole = call("plugins", "show", "token_metrics").output
    assert "metric jsd (token)" in whole
    assert "margin = 0.1   # float" in whole
    one = call("plugins", "show", "jsd").output
    assert "loss jsd" in one and "metric jsd (token)" in one
    assert "kl_1_2" not in one


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("token_metrix", "did you mean 'token_metrics'"),
        ("rank_overlap", "softdiv plugins show rank-overlap"),
    ],
)
def test_show_of_an_unknown_name_says_what_to_do(name: str, advice: str) -> None:
    result = call("plugins", "show", name)
    assert isinstance(result.exception, PluginError)
    assert advice in str(result.exception)


def test_listing_thirty_plugins_imports_none(tmp_path: Path) -> None:
    for number in range(30):
        distribution(
            tmp_path, f"p{number}", dist=f"dist_{number}", module=f"softdiv_listed_{number}"
        )
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from softdiv.cli.main import main\n"
        "for line in ('plugins list', 'plugins list --all', 'plugins list --json', '--help',\n"
        "             'plugins hooks', 'metrics list', 'plugins show jsd'):\n"
        "    try: main(line.split())\n"
        "    except SystemExit as done: assert not done.code, line\n"
        "bad = [name for name in sys.modules if name.startswith('softdiv_listed_')]\n"
        "assert not bad, bad\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("about p29") == 3
