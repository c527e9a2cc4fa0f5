"""``itune plugins``: what is installed, whether it works, what it takes and gives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from itune_core.api import ComponentConfig, InputFile, ModelRef, Runtime
from itune_core.cli.typenames import field_type

Run = Callable[..., subprocess.CompletedProcess[str]]

WORKING = '''
from pydantic import Field
from itune_core.api import *

class Shout(Filter):
    """Drops answers in [red]capitals[/red]\x1b[2J.

    Source: a style guide.
    """
    inputs = {"records": Input((Kind.CONVERSATION,)), "words": Input(required=False, many=True)}
    outputs = ("quiet", "loud")
    class Config(ComponentConfig):
        share: float = Field(0.5, ge=0, le=1, description="Share of [bold]capitals[/bold].")
        judge: ModelRef = Field(description="Who decides.")
        seen: list[str] = Field(default_factory=list, description="What was seen.")
    def decide(self, record):
        return Keep()

class Watch:
    """Sees runs begin."""
    @hookimpl
    def itune_run_started(self, run): ...
    @hookimpl(wrapper=True)
    def itune_train(self):
        return (yield)
'''


def install(site: Path, name: str, points: str, module: str, requires: str) -> None:
    info = site / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nRequires-Dist: {requires}\n")
    (info / "entry_points.txt").write_text(points)
    (info / "RECORD").write_text("")
    (site / f"{name.replace('-', '_')}.py").write_text(module)


@pytest.fixture
def plugins(tmp_path: Path) -> Run:
    """``itune plugins`` where a working, a broken and an unbounded distribution are installed."""
    site = tmp_path / "site"
    shout = "[itune.filters]\nshout = acme_good:Shout\n[itune.extensions]\nwatch = acme_good:Watch\n"
    install(site, "acme-good", shout, WORKING, "itune-core<1")
    install(site, "acme-bad", "[itune.filters]\nbad = acme_bad:X\n", "import sys; sys.exit(0)", "itune-core<1")
    install(site, "acme-loose", "[itune.filters]\nloose = acme_loose:X\n", "", "itune-core")

    def run(*arguments: str, code: int = 0, trust: bool = True) -> subprocess.CompletedProcess[str]:
        allow = [part for name in ("good", "bad", "loose", "twin") for part in ("--allow", f"acme-{name}") if trust]
        done = subprocess.run(
            [sys.executable, "-m", "itune_core.cli.main", "plugins", *arguments, *allow],
            env={**os.environ, "PYTHONPATH": str(site), "COLUMNS": "100"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return run


def listed(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    return {row["name"]: row for row in json.loads(done.stdout)}


def test_listing_shows_owner_version_and_verdict(plugins: Run) -> None:
    lines = [line.split() for line in plugins("list", "filters").stdout.splitlines()]
    assert lines[0] == ["STAGE", "NAME", "DISTRIBUTION", "VERSION", "ALLOWED"]
    assert ["filters", "shout", "acme-good", "1.0", "yes"] in lines
    assert ["filters", "bad", "acme-bad", "1.0", "yes"] in lines, "nothing was imported: nobody knows that it is broken"
    assert ["filters", "loose", "acme-loose", "1.0", "no:", "E-PLUGIN-012"] in lines
    assert {line[0] for line in lines[1:] if len(line) == 5} == {"filters"}


def test_nobody_is_trusted_unasked(plugins: Run, tmp_path: Path) -> None:
    (tmp_path / "site" / "acme_good.py").write_text("open('ran', 'w')\n" + WORKING)
    rows = listed(plugins("list", "filters", "--verify", "--json", trust=False))
    assert rows["shout"]["problem"]["code"] == rows["bad"]["problem"]["code"] == "E-PLUGIN-010"
    assert rows["length"]["problem"] is None
    for command in ("show", "schema"):
        refusal = plugins(command, "filters/shout", code=3, trust=False).stderr
        assert "itune run RECIPE --allow acme-good" in refusal
    assert not (tmp_path / "ran").exists()
    plugins("show", "filters/shout")
    assert (tmp_path / "ran").exists()


def test_listing_without_a_stage_lists_all(plugins: Run) -> None:
    rows = json.loads(plugins("list", "--json").stdout)
    assert {"filters/shout", "extensions/watch", "trainers/sft"} <= {f"{row['stage']}/{row['name']}" for row in rows}


def test_verifying_loads_and_says_what_is_broken(plugins: Run) -> None:
    rows = listed(plugins("list", "filters", "extensions", "--verify", "--json", code=1))
    assert rows["shout"]["problem"] is None
    assert rows["watch"]["problem"] is None
    assert rows["bad"]["problem"]["code"] == "E-PLUGIN-023"
    assert rows["loose"]["problem"]["code"] == "E-PLUGIN-012"
    text = plugins("list", "filters", "--verify", code=1).stdout
    assert "no: E-PLUGIN-023" in text
    assert "fix: report it to its authors" in text


def test_a_name_claimed_twice_is_marked(plugins: Run, tmp_path: Path) -> None:
    points = "[itune.filters]\naaa = acme_twin:A\nshout = acme_twin:X\n"
    install(tmp_path / "site", "acme-twin", points, "", "itune-core<1")
    done = plugins("list", "filters")
    assert len([line for line in done.stdout.splitlines() if line.endswith("no: E-PLUGIN-002")]) == 2
    assert "acme-good 1.0 (acme_good:Shout)" in done.stdout
    assert "acme-twin 1.0 (acme_twin:X)" in done.stdout


def test_an_unknown_stage_is_told(plugins: Run) -> None:
    assert "did you mean filters?" in plugins("list", "filter", code=3).stderr


def test_a_component_is_described(plugins: Run) -> None:
    text = plugins("show", "filters/shout").stdout
    assert "filters/shout  acme-good 1.0" in text
    assert "Drops answers in [red]capitals[/red]\\x1b[2J." in text, "documentation is text, not markup"
    assert "input records: conversation\n" in text
    assert "input words: any kind (several, optional)" in text
    assert "outputs: quiet, loud" in text
    rows = [" ".join(line.split()) for line in text.splitlines()]
    assert "share float ≥ 0 ≤ 1 0.5 Share of [bold]capitals[/bold]." in rows
    assert "judge model reference required Who decides." in rows
    assert "seen list of text [] What was seen." in rows


def test_an_extension_is_described(plugins: Run) -> None:
    text = plugins("show", "extensions/watch").stdout
    assert "hooks: itune_run_started, itune_train" in text
    assert "no settings" in text


def test_a_description_is_data_too(plugins: Run) -> None:
    shown = json.loads(plugins("show", "filters/shout", "--json").stdout)
    kinds = ["conversation", "prompt", "preference", "ranking", "feedback", "text"]
    assert shown["inputs"]["words"] == {"kinds": kinds, "many": True, "required": False}
    assert shown["outputs"] == ["quiet", "loud"]
    assert json.loads(plugins("schema", "filters/shout").stdout) == shown["schema"]
    assert shown["schema"]["required"] == ["judge"]
    assert shown["schema"]["additionalProperties"] is False


def test_the_columns_of_a_scorer_are_described(plugins: Run) -> None:
    columns = json.loads(plugins("show", "scorers/length", "--json").stdout)["columns"]
    assert columns
    assert all(column.startswith("score.<step>") for column in columns)


@pytest.mark.parametrize("command", ["show", "schema"])
def test_what_is_not_there_is_told(plugins: Run, command: str) -> None:
    assert "did you mean filters/shout" in plugins(command, "filters/shoot", code=3).stderr
    assert "E-PLUGIN-004" in plugins(command, "shout", code=3).stderr


def test_labels_are_completed_without_importing_a_plugin(plugins: Run, tmp_path: Path) -> None:
    script = """
import sys
from itune_core.cli.main import main
try:
    main()
finally:
    print([name for name in sys.modules if name.startswith(("acme", "torch"))])
"""
    environment = {
        "PYTHONPATH": str(tmp_path / "site"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "_ITUNE_COMPLETE": "complete_bash",
        "COMP_WORDS": "itune plugins show filters/sh",
        "COMP_CWORD": "3",
    }
    done = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == ["filters/shout", "[]"], done.stderr


class Settings(ComponentConfig):
    path: InputFile | list[InputFile] = Field(description="a file")
    model: ModelRef | None = Field(None, description="a model")
    workers: Runtime[int] = Field(1, ge=1, description="workers")
    mode: bool | dict[str, float] = Field(True, description="a mode")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("path", "input file or list of input file"),
        ("model", "model reference or none"),
        ("workers", "int ≥ 1"),
        ("mode", "bool or mapping of text to float"),
    ],
)
def test_the_type_of_a_setting_is_told_in_words(name: str, shown: str) -> None:
    assert field_type(Settings.model_fields[name]) == shown
