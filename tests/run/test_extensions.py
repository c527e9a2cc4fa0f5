"""Extensions in a real run: wrappers change results and keys, observers neither."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]

MODULE = '''
from pydantic import Field
from itune_core.api import ComponentConfig, Drop, hookimpl


class Strict:
    """Drops every second row that a filter keeps."""

    class Config(ComponentConfig):
        every: int = Field(2, description="Which row goes.")

    def __init__(self, config):
        self.config = config

    @hookimpl(wrapper=True)
    def itune_filter(self, inputs, context):
        verdicts = yield
        return (Drop("strict") if n % self.config.every else v for n, v in enumerate(verdicts))


class Watch:
    """Writes down what it sees, then fails."""

    @hookimpl
    def itune_step_finished(self, step, manifest):
        with open("seen.txt", "a") as stream:
            stream.write(f"{step} {manifest['reused']}\\n")
        raise ValueError("the pager is down")


class Broken:
    """Loses the result."""

    @hookimpl(wrapper=True)
    def itune_filter(self):
        yield


class Raises:
    """Raises in the middle of the rows."""

    @hookimpl(wrapper=True)
    def itune_filter(self):
        verdicts = yield
        def half():
            for n, verdict in enumerate(verdicts):
                if n == 5:
                    raise ValueError("five")
                yield verdict
        return half()
'''

RECIPE = """
itune: 1
name: extended
steps:
  rows:  {uses: formatters/alpaca, with: {path: rows.jsonl}}
  once:  {uses: filters/exact-duplicates, from: rows}
  count: {uses: scorers/length, from: once}
"""


@pytest.fixture
def extended(tmp_path: Path, rows: Path, itune: Run) -> Run:
    """``itune`` with a distribution of four extensions installed."""
    site = tmp_path / "site"
    info = site / "acme_itune-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "acme_itune.py").write_text(MODULE)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: acme-itune\nVersion: 1.0\nRequires-Dist: itune-core>=0.1,<1\n"
    )
    names = ("Strict", "Watch", "Broken", "Raises")
    entries = "".join(f"{name.lower()} = acme_itune:{name}\n" for name in names)
    (info / "entry_points.txt").write_text(f"[itune.extensions]\n{entries}")
    (info / "RECORD").write_text("")

    def run(extensions: str, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        (tmp_path / "recipe.yaml").write_text(RECIPE + extensions)
        return itune("run", "recipe.yaml", "--allow", "acme-itune", *arguments, code=code, PYTHONPATH=str(site))

    return run


def _steps(run: subprocess.CompletedProcess[str]) -> dict[str, dict[str, object]]:
    return dict(json.loads(run.stdout)["steps"])


def test_a_wrapper_changes_the_result_and_the_key_of_its_stage_only(extended: Run) -> None:
    plain = _steps(extended("", "--json"))
    wrapped = _steps(extended("extensions: {strict: {}}\n", "--json"))
    assert wrapped["rows"]["key"] == plain["rows"]["key"]
    assert wrapped["once"]["key"] != plain["once"]["key"]
    assert wrapped["once"]["counts"]["dropped"] == {"strict": 20}  # type: ignore[index]
    other = _steps(extended("extensions: {strict: {every: 4}}\n", "--json"))
    assert other["once"]["key"] != wrapped["once"]["key"]
    again = _steps(extended("extensions: {strict: {every: 2}}\n", "--json"))
    assert all(step["reused"] for step in again.values())


def test_an_observer_sees_all_and_stops_nothing(extended: Run, tmp_path: Path) -> None:
    first = _steps(extended("", "--json"))
    watched = extended("extensions: {watch: {}}\n", "--json")
    assert {name: step["key"] for name, step in _steps(watched).items()} == {n: s["key"] for n, s in first.items()}
    assert (tmp_path / "seen.txt").read_text().splitlines() == ["rows True", "once True", "count True"]
    assert "the pager is down" in watched.stderr


def test_a_lost_result_names_the_component(extended: Run) -> None:
    assert "E-PLUGIN-050" in extended("extensions: {broken: {}}\n", code=3).stderr


def test_what_foreign_code_raises_while_rows_are_read_is_told(extended: Run, tmp_path: Path) -> None:
    done = extended("extensions: {raises: {}}\n", code=4)
    assert "E-RUN-004" in done.stderr
    assert "ValueError: five" in done.stderr
    (run,) = (tmp_path / ".itune" / "runs").glob("*/run.json")
    assert json.loads(run.read_text())["state"] == "failed"


def test_wrong_settings_are_told_by_name(extended: Run) -> None:
    done = extended("extensions: {strict: {evry: 3}}\n", code=2)
    assert "evry" in done.stderr
