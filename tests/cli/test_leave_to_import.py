"""No code of a third party runs before the project has said yes: proven by plugins whose import writes a file."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Itune = Callable[..., subprocess.CompletedProcess[str]]

MODULE = '''
open({mark!r}, "a").write("ran ")
from itune_core.api import *

class Filters(Filter):
    """Keeps everything. Source: none."""
    inputs = {{"records": Input((Kind.CONVERSATION,))}}
    def decide(self, record):
        return Keep()

class Backends(Backend):
    """Answers nothing. Source: none."""
    class Config(Backend.Config):
        pass
    def generate(self, requests):
        return []

class Extensions:
    """Sees runs begin. Source: none."""
    @hookimpl
    def itune_run_started(self, run): ...
'''

STEPS = """
itune: 1
name: asked
steps:
  rows: {uses: formatters/alpaca, with: {path: rows.jsonl}}
"""
RECIPES = {
    "filters": STEPS + "  kept: {uses: filters/sneaky, from: rows}\n",
    "backends": STEPS + "models: {m: {backend: sneaky, model: x}}\n",
    "extensions": STEPS + "extensions: {sneaky: {}}\n",
}
COMMANDS = (["check"], ["plan"], ["run"], ["fetch"], ["inspect", "rows"], ["cache", "why", "rows"], ["lock"])


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "ran"


@pytest.fixture
def asked(tmp_path: Path, mark: Path, rows: Path, itune: Itune) -> Itune:
    """``itune`` where a distribution nobody allowed is installed; a recipe is put in by the test."""
    site = tmp_path / "site"
    info = site / "acme_sneaky-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "acme_sneaky.py").write_text(MODULE.format(mark=str(mark)))
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: acme-sneaky\nVersion: 1.0\nRequires-Dist: itune-core<1\n"
    )
    points = "".join(f"[itune.{stage}]\nsneaky = acme_sneaky:{stage.title()}\n" for stage in RECIPES)
    (info / "entry_points.txt").write_text(points)
    return lambda *arguments, code=0: itune(*arguments, code=code, PYTHONPATH=str(site))


def with_recipe(command: list[str], *more: str) -> list[str]:
    inner = 2 if command[0] == "cache" else 1
    return [*command[:inner], "recipe.yaml", *command[inner:], *more]


@pytest.mark.parametrize("stage", RECIPES)
def test_commands_on_a_recipe_ask_first(asked: Itune, tmp_path: Path, mark: Path, stage: str) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPES[stage])
    for command in COMMANDS:
        done = asked(*with_recipe(command), code=2)
        said = done.stdout + done.stderr
        assert "E-PLUGIN-010" in said, said
        assert "acme-sneaky 1.0" in said
        assert "itune run RECIPE --allow acme-sneaky" in said
    assert not mark.exists()


def test_commands_on_a_component_ask_first(asked: Itune, mark: Path) -> None:
    assert "no: E-PLUGIN-010" in asked("plugins", "list").stdout
    asked("plugins", "list", "--verify")
    for command in (["plugins", "show"], ["plugins", "schema"], ["try", "--rows", "rows.jsonl"]):
        refusal = asked(*command, "filters/sneaky", code=3).stderr
        assert refusal.startswith("E-PLUGIN-010")
        assert "--allow acme-sneaky" in refusal
    asked("doctor", code=None)
    assert not mark.exists()


def test_what_is_allowed_is_imported(asked: Itune, tmp_path: Path, mark: Path) -> None:
    """The test of the test: with leave, the same file is written; once by each command."""
    (tmp_path / "recipe.yaml").write_text(RECIPES["filters"])
    asked("run", "recipe.yaml", "--allow", "Acme_Sneaky")
    assert mark.read_text() == "ran "
    (tmp_path / "recipe.yaml").write_text(RECIPES["filters"] + "plugins: {allow: [acme-sneaky]}\n")
    asked("run", "recipe.yaml")
    asked("plugins", "show", "filters/sneaky", "--allow", "acme-sneaky")
    assert mark.read_text() == "ran ran ran "


def test_a_plugin_that_nobody_uses_does_no_harm(asked: Itune, tmp_path: Path, mark: Path) -> None:
    (tmp_path / "site" / "acme_sneaky.py").write_text("import sys; sys.exit('never')")
    (tmp_path / "recipe.yaml").write_text(STEPS)
    for command in ("check", "plan", "run", "fetch"):
        asked(command, "recipe.yaml")
    broken = asked("plugins", "show", "filters/sneaky", "--allow", "acme-sneaky", code=3).stderr
    assert broken.startswith("E-PLUGIN-023: filters/sneaky (acme-sneaky 1.0)")


def test_an_update_on_disk_is_seen_at_once(asked: Itune, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPES["filters"])
    assert "acme-sneaky 1.0" in asked("run", "recipe.yaml", code=2).stderr
    info = tmp_path / "site" / "acme_sneaky-1.0.dist-info"
    (info / "METADATA").write_text((info / "METADATA").read_text().replace("1.0", "1.1"))
    (info / "entry_points.txt").write_text("[itune.filters]\nrenamed = acme_sneaky:Filters\n")
    info.rename(info.with_name("acme_sneaky-1.1.dist-info"))
    assert "filters/sneaky is not installed" in asked("run", "recipe.yaml", code=2).stderr
    (tmp_path / "recipe.yaml").write_text(RECIPES["filters"].replace("filters/sneaky", "filters/renamed"))
    assert "acme-sneaky 1.1" in asked("run", "recipe.yaml", code=2).stderr
