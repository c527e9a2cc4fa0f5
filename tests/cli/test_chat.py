"""``itune chat``: what answers, and a recipe that was changed since the run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from typer.testing import CliRunner, Result

from itune_core.cli import main as shell

Call = Callable[..., Result]


def test_each_line_is_a_turn(trained: Path) -> None:
    done = CliRunner().invoke(shell.app, ["chat", "sft", "--max-tokens", "4"], input="Count to 2.\nAnd to 3?\n")
    assert done.exit_code == 0, done.output
    assert done.stdout.count("> ") == 3, "two questions, and the end"


def test_a_recipe_that_lost_a_step_still_has_the_others(trained: Path, call: Call) -> None:
    recipe = trained / "recipe.yaml"
    recipe.write_text(recipe.read_text().partition("  full:")[0])
    call("chat", "sft")
    said = call("chat", "full", code=1).output
    assert "E-STORE-004" in said
    assert "one of: base, sft" in " ".join(said.split())


def test_of_what_was_removed_only_the_model_matters(trained: Path, call: Call) -> None:
    made = {path.parent for path in (trained / ".itune" / "store").glob("*/model")}
    for folder in {path.parent for path in (trained / ".itune" / "store").glob("*/artifact.json")} - made:
        shutil.rmtree(folder)
    call("chat", "sft")
    for folder in made:
        shutil.rmtree(folder)
    assert "E-STORE-003" in call("chat", "sft", code=1).output
