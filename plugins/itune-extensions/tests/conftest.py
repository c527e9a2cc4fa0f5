from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from itune_core.engine import runner
from itune_core.engine.extensions import load
from itune_core.engine.home import Home
from itune_core.engine.project import Project
from itune_core.plugins.policy import Policy
from itune_core.recipe.plan import compile

RECIPE = """
itune: 1
name: small
seed: 11
steps:
  rows:  {uses: formatters/alpaca, with: {path: rows.jsonl}, max_failed: 0.5}
  once:  {uses: filters/exact-duplicates, from: rows}
  count: {uses: scorers/length, from: once}
"""

Settings = dict[str, Any]


class Done(NamedTuple):
    """A finished run."""

    folder: Path
    outcome: runner.Outcome
    warnings: Sequence[str]
    project: Project

    def note(self, name: str) -> dict[str, Any]:
        return dict(json.loads((self.folder / "notes" / f"{name}.json").read_text("utf-8")))


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Done]:
    """Run a small recipe over `rows` with extensions, in this process."""

    def go(
        extensions: Settings, rows: Sequence[Settings], recipe: str = RECIPE, max_failed: float | None = None
    ) -> Done:
        (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (tmp_path / "recipe.yaml").write_text(f"{recipe}extensions: {json.dumps(extensions)}\n")
        plan = compile(tmp_path / "recipe.yaml")
        project = Project(plan, Home(tmp_path / ".itune"), extensions=tuple(load(plan.extensions, Policy())))
        warnings: list[str] = []
        outcome = runner.run(
            project, listener=lambda event: warnings.append(event["text"]) if event["event"] == "warning" else None
        )
        return Done(outcome.record.folder, outcome, warnings, project)

    return go


@pytest.fixture
def python(tmp_path: Path) -> Callable[[str], subprocess.CompletedProcess[str]]:
    """Run a script in a process of its own."""
    return lambda script: subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )


def instruction(text: str, answer: str = "An answer.") -> Settings:
    return {"instruction": text, "input": "", "output": answer}


@pytest.fixture
def ask() -> Callable[..., Settings]:
    return instruction
