from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from itune_core.api import Drop, Failed, Formatter, Record
from itune_core.testing import BenchContext

Outcome = Record | Drop | Failed

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def real() -> Callable[[str], str]:
    """Path of a file of real rows, which are not part of the project."""

    def find(name: str) -> str:
        path = Path(os.environ.get("ITUNE_TEST_DATA", REPOSITORY.parent / "shared" / "data")) / name
        if not path.exists():
            pytest.skip(f"needs real rows: {name} below the folder that ITUNE_TEST_DATA names")
        return str(path)

    return find


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., list[Outcome]]:
    """Runs a formatter over a file or over rows given as values; every outcome in order."""

    def run(formatter: type[Formatter], rows: str | Sequence[Any], **settings: Any) -> list[Outcome]:
        if not isinstance(rows, str):
            path = tmp_path / "rows.jsonl"
            path.write_text("\n".join(map(json.dumps, rows)) or "\n", encoding="utf-8")
            rows = str(path)
        component = formatter(formatter.Config(path=rows, **settings))
        return [outcome for _, outcome in component.itune_format(context=BenchContext(tmp_path))]

    return run


@pytest.fixture
def tally() -> Callable[[list[Outcome]], dict[str, int]]:
    """How many of each: records, reasons of drops, codes of failures."""

    def name(outcome: Outcome) -> str:
        if isinstance(outcome, Record):
            return "record"
        return outcome.reason if isinstance(outcome, Drop) else outcome.code

    return lambda outcomes: dict(Counter(map(name, outcomes)))
