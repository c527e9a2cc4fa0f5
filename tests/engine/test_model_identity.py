"""What pins a served model: its settings by what they mean, so that a project can be moved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import Field

from itune_core.api import Backend, InputFile
from itune_core.engine.home import Home
from itune_core.engine.project import Project
from itune_core.recipe.plan import ModelNode


class FromFile(Backend):
    """Answers from a file. Source: this test."""

    needs_weights = False
    needed: tuple[str, ...] = ()

    def depends_on(self) -> Sequence[str]:
        return self.needed

    class Config(Backend.Config):
        answers: InputFile = Field(description="The answers.")

    def served_identity(self) -> str:
        return str(self.config.model)


def identity(folder: Path, text: str) -> str:
    folder.mkdir()
    (folder / "answers.txt").write_text(text)
    config = FromFile.Config(model="m", answers=str(folder / "answers.txt"))
    model: Any = SimpleNamespace(name="m", backend="from-file", component=FromFile, config=config)
    assert {"name", "backend", "component", "config"} <= set(ModelNode.__dataclass_fields__)
    plan: Any = SimpleNamespace(models={"m": model}, nodes={}, file=folder / "recipe.yaml")
    return Project(plan, Home(folder / ".itune")).identity("m")


def test_a_file_that_a_backend_reads_counts_by_its_content_and_not_by_its_place(tmp_path: Path) -> None:
    here = identity(tmp_path / "here", "yes")
    assert identity(tmp_path / "moved", "yes") == here
    assert identity(tmp_path / "changed", "no") != here


def test_what_its_answers_depend_on_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = identity(tmp_path / "before", "yes")
    monkeypatch.setattr(FromFile, "needed", ("an-absent-tokenizer",))
    assert identity(tmp_path / "after", "yes") != before
