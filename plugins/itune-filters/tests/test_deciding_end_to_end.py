"""Filters over scores in a run: thresholds change without scoring again, and mistakes are found before it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from itune_core.engine import ledger, runner
from itune_core.engine.home import Home
from itune_core.engine.project import Project
from itune_core.recipe.errors import RecipeProblems
from itune_core.recipe.plan import compile

RECIPE = """
itune: 1
name: thresholds
models:
  tiny: {{backend: transformers, model: "{tiny}", dtype: float32, device: cpu}}
steps:
  rows:  {{uses: formatters/alpaca, with: {{path: rows.jsonl}}}}
  hard:  {{uses: scorers/perplexity, from: rows, with: {{model: tiny}}}}
  clear: {{uses: filters/where, from: hard, with: {{keep: "{keep}"}}}}
  best:  {{uses: filters/top, from: clear, with: {{score: score.hard.tokens, {best}}}}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [{"instruction": f"Count to {n}.", "input": "", "output": "one two " * n} for n in range(1, 9)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return tmp_path


def run(folder: Path, tiny: Path, keep: str, best: str) -> tuple[Mapping[str, Any], list[str]]:
    """The artifacts of a run by step, and the names of those it had to make."""
    file = folder / "recipe.yaml"
    file.write_text(RECIPE.format(tiny=tiny, keep=keep, best=best), "utf-8")
    outcome = runner.run(Project(compile(file), Home(folder / ".itune")))
    steps = json.loads((outcome.record.folder / "run.json").read_text("utf-8"))["steps"]
    return outcome.artifacts, [name for name, step in steps.items() if not step["reused"]]


def test_thresholds_change_without_scoring_again(folder: Path, tiny_folder: Path) -> None:
    first, made = run(folder, tiny_folder, "words(response) >= 4 and score.hard.tokens <= 40", "size: 2")
    assert made == ["rows", "hard", "clear", "best"]
    second, made = run(folder, tiny_folder, "words(response) >= 8 and score.hard.tokens <= 40", "size: 2")
    assert "hard" not in made
    assert "clear" in made
    assert first["hard"].key == second["hard"].key
    assert first["clear"].manifest["counts"]["dropped"] != second["clear"].manifest["counts"]["dropped"]
    third, made = run(folder, tiny_folder, "words(response) >= 8 and score.hard.tokens <= 40", "share: 0.5")
    assert made == ["best"]
    _, made = run(folder, tiny_folder, "words(response) >= 4 and score.hard.tokens <= 40", "size: 2")
    assert made == []
    counts = third["best"].manifest["counts"]
    assert counts["used"] + counts["dropped"]["not-top"] == third["clear"].manifest["counts"]["used"]


def test_reasons_reach_the_ledger(folder: Path, tiny_folder: Path) -> None:
    made, _ = run(folder, tiny_folder, "words(response) >= 4", "size: 1")
    assert [entry["detail"] for entry in ledger.read(made["clear"].folder)] == ["words(response) is 2, not >= 4"]


@pytest.mark.parametrize(
    ("keep", "said"),
    [
        ("score.hard.token <= 40", "reads the column 'score.hard.token'"),
        ("score.hard.tokens <=", "should stand here; at character 21: score.hard.tokens <=>>>"),
        ("score.hard.tokens.__len__() > 1", "there is no function 'score.hard.tokens.__len__'"),
    ],
)
def test_mistakes_are_found_before_the_run(folder: Path, tiny_folder: Path, keep: str, said: str) -> None:
    with pytest.raises(RecipeProblems) as caught:
        run(folder, tiny_folder, keep, "size: 1")
    assert said in str(caught.value)
    assert "recipe.yaml:9" in str(caught.value)
    assert not (folder / ".itune").exists()
