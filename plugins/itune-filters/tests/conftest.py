from __future__ import annotations

import gzip
import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import datasets
import pytest

from itune_core.api import Drop, Failed, Filter, Keep, Kind, Record, conversation, features, message
from itune_core.testing import BenchContext

Verdict = Keep | Drop | Failed

REPOSITORY = Path(__file__).parents[3]


def chat(question: str, answer: str = "An answer.", **common: Any) -> Record:
    return conversation([message("user", question), message("assistant", answer)], **common)


def with_ids(rows: Sequence[Record]) -> list[Record]:
    """As the engine gives them: an id from the content and, among equal rows, the number of the occurrence."""
    seen: Counter[str] = Counter()
    made = []
    for row in rows:
        content = repr(sorted(row.items(), key=lambda item: item[0]))
        seen[content] += 1
        made.append(row.replace(id=f"{content}/{seen[content]}"))
    return made


def as_data_set(rows: Sequence[Record]) -> datasets.Dataset:
    schema = features(rows[0].kind if rows else Kind.CONVERSATION)
    columns = {name: [row[name] for row in rows] for name in schema}  # from_list() refuses an empty list
    return datasets.Dataset.from_dict(columns, features=schema)


@pytest.fixture
def judge(tmp_path: Path) -> Callable[..., list[Verdict]]:
    """Runs a filter over records with ids; a verdict each, in order."""

    def judge(component: type[Filter], rows: Sequence[Record], seed: int = 0, **settings: Any) -> list[Verdict]:
        filter_ = component(component.Config(**settings))
        inputs = {"records": as_data_set(rows)}
        return list(filter_.itune_filter(inputs=inputs, context=BenchContext(tmp_path, seed=seed)))

    return judge


@pytest.fixture
def make_chat() -> Callable[..., Record]:
    return chat


@pytest.fixture
def give_ids() -> Callable[[Sequence[Record]], list[Record]]:
    return with_ids


@pytest.fixture
def make_data_set() -> Callable[[Sequence[Record]], datasets.Dataset]:
    return as_data_set


@pytest.fixture
def judge_with(tmp_path: Path) -> Callable[..., list[Verdict]]:
    """As `judge`, with score columns by name, fitted rules, replies of a model, and further inputs."""

    def judge(
        component: type[Filter],
        rows: Sequence[Record],
        scores: Mapping[str, Sequence[Any]] | None = None,
        /,
        *,
        rules: Any = None,
        reply: Any = None,
        others: Mapping[str, Sequence[Record]] | None = None,
        **settings: Any,
    ) -> list[Verdict]:
        data = as_data_set(rows)
        for name, values in (scores or {}).items():
            data = data.add_column(name, list(values))
        inputs = {"records": data, **{name: as_data_set(given) for name, given in (others or {}).items()}}
        context = BenchContext(tmp_path, rules=rules, reply=reply)
        return list(component(component.Config(**settings)).itune_filter(inputs=inputs, context=context))

    return judge


@pytest.fixture(scope="session")
def real_rows() -> Callable[[str], Path]:
    """A file of real rows by its path; the test is skipped where they are not at hand."""

    def find(name: str) -> Path:
        path = Path(os.environ.get("ITUNE_TEST_DATA") or REPOSITORY.parent / "shared" / "data") / name
        if not path.is_file():
            pytest.skip(f"needs real rows: {name} below the folder that ITUNE_TEST_DATA names")
        return path

    return find


@pytest.fixture(scope="session")
def alpaca(real_rows: Callable[[str], Path]) -> Callable[[int], list[dict[str, str]]]:
    """The first so many rows of Alpaca."""

    def read(number: int) -> list[dict[str, str]]:
        with gzip.open(real_rows("alpaca/alpaca_data.jsonl.gz"), "rt", encoding="utf-8") as lines:
            return [json.loads(line) for line in islice(lines, number)]

    return read
