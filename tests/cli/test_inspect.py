"""``itune inspect``: what it says where there is nothing to see yet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from typer.testing import Result

Call = Callable[..., Result]


def test_a_model_that_is_not_made_is_named(trained: Path, call: Call) -> None:
    assert "Count to 1." in call("inspect", "recipe.yaml", "again", "--prompt", "0").stdout
    recipe = trained / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("learning_rate: 0.001", "learning_rate: 0.002"))
    said = call("inspect", "recipe.yaml", "again", "--tokens", code=1).output
    assert "E-STORE-005" in said
    assert "--only full" in said, "the rows are there; the model that the step starts from is not"
