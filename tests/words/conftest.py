"""What readers are told to type: the code blocks of the README and the documentation, and a folder to try them in."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]

_FENCE = re.compile(r"^(?P<ticks>`{3,})(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=ticks)$", re.MULTILINE | re.DOTALL)
_TITLE = re.compile(r'title="([^"]+)"')


class Fence(NamedTuple):
    """A fenced block: language, what follows it, the title (a file's name) if it has one, and the text."""

    language: str
    info: str
    title: str | None
    text: str


@pytest.fixture(scope="session")
def fences() -> Callable[[Path], list[Fence]]:
    """The code blocks of a Markdown file, in order."""

    def read(path: Path) -> list[Fence]:
        found = []
        for match in _FENCE.finditer(path.read_text("utf-8")):
            language, _, info = match["info"].strip().partition(" ")
            title = _TITLE.search(info)
            found.append(Fence(language, info, title[1] if title else None, match["body"]))
        return found

    return read


@pytest.fixture
def quickstart(tmp_path: Path) -> Path:
    """A folder as `itune init` leaves it."""
    folder = tmp_path / "mine"
    shutil.copytree(ROOT / "examples" / "quickstart", folder, ignore=shutil.ignore_patterns(".*"))
    return folder
