"""What hands a column on is not made anew when another scorer fills it; who reads the column is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from itune_core.engine import runner
from itune_core.engine.home import Home
from itune_core.engine.project import Project
from itune_core.recipe.plan import compile

RECIPE = """
itune: 1
name: columns
models:
  tiny: {{backend: transformers, model: "{tiny}", dtype: float32, device: cpu}}
steps:
  rows:   {{uses: formatters/alpaca, with: {{path: rows.jsonl}}}}
  {name}: {{uses: scorers/perplexity, from: rows, with: {{model: tiny, condition: {condition}}}}}
  unlike: {{uses: filters/exact-duplicates, from: {name}}}
  mixed:  {{uses: mixers/proportional, from: unlike}}
  order:  {{uses: mixers/curriculum, from: mixed, with: {{score: score.{name}.mean_nll, steps: 2}}}}
"""


def keys(folder: Path, **given: object) -> Mapping[str, str]:
    """Keys of a run's artifacts, by step."""
    file = folder / "recipe.yaml"
    file.write_text(RECIPE.format(**given), "utf-8")
    made = runner.run(Project(compile(file), Home(folder / ".itune"))).artifacts
    return {name: artifact.key for name, artifact in made.items()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [{"instruction": f"Count to {n}.", "input": "", "output": "one two " * n} for n in range(1, 6)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return tmp_path


def test_other_scores_reach_who_reads_them_behind_others(folder: Path, tiny_folder: Path) -> None:
    first = keys(folder, tiny=tiny_folder, name="hard", condition="prompt")
    other = keys(folder, tiny=tiny_folder, name="hard", condition="none")
    assert {name for name in first if first[name] != other[name]} == {"hard", "order"}


def test_a_scorer_by_another_name_is_found_behind_others(folder: Path, tiny_folder: Path) -> None:
    first = keys(folder, tiny=tiny_folder, name="hard", condition="prompt")
    other = keys(folder, tiny=tiny_folder, name="long", condition="prompt")
    assert {name for name in first if name in other and first[name] == other[name]} == {"rows", "unlike", "mixed"}
