"""Distributions as the scaffold writes them, of every stage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from itune_core.scaffold.names import Names
from itune_core.scaffold.project import render, write


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    """Writes one into a folder of its own; gives that folder."""

    def new(stage: str, name: str, author: str | None = "Ada Lovelace") -> Path:
        names = Names(stage, name)
        folder = tmp_path / stage / names.distribution
        write(folder, render(names, author, 2026))
        return folder

    return new
