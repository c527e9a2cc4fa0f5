"""Tasks in a run: a formatter that counts tokens names a model, which the plan knows of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from itune_core.engine import runner
from itune_core.engine.home import Home
from itune_core.engine.project import Project
from itune_core.recipe.plan import compile

RECIPE = """
itune: 1
name: tasks
models:
  student: {{backend: transformers, model: "{tiny}"}}
steps:
  tasks:
    uses: formatters/superni
    with: {{path: tasks, encoding: drawn, budget: {{tokens: {tokens}, tokenizer: student}}}}
"""
TASK: dict[str, Any] = {
    "Definition": ["Say how many words there are."],
    "Positive Examples": [{"input": "one two", "output": "2", "explanation": "Two."}] * 2,
    "Negative Examples": [{"input": "one", "output": "2", "explanation": "One."}] * 2,
    "Instances": [{"input": "up " * number, "output": ["3"]} for number in range(1, 30)],
}


def run(folder: Path, recipe: str, workers: int) -> Mapping[str, Any]:
    file = folder / "recipe.yaml"
    file.write_text(recipe, "utf-8")
    project = Project(compile(file), Home(folder / f".itune-{workers}"))
    return runner.run(project, runner.Options(workers=workers)).artifacts


def test_tasks_within_tokens(tmp_path: Path, tiny_folder: Path) -> None:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "task1_count.json").write_text(json.dumps(TASK), "utf-8")
    made = run(tmp_path, RECIPE.format(tiny=tiny_folder, tokens=64), 1)["tasks"].manifest
    counts = made["counts"]
    assert (counts["inputs"], counts["used"]) == (29, 16)
    assert counts["dropped"] == {"no-description": 1, "over-budget": 12}
    spread = run(tmp_path, RECIPE.format(tiny=tiny_folder, tokens=64), 2)["tasks"].manifest
    assert spread["outputs"] == made["outputs"]
    assert spread["key"] == made["key"]
    wider = run(tmp_path, RECIPE.format(tiny=tiny_folder, tokens=65), 1)["tasks"].manifest
    assert wider["key"] != made["key"]
