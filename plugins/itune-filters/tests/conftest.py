from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import datasets
import pytest

from itune_core.api import Drop, Failed, Filter, Keep, Kind, Record, conversation, features, message
from itune_core.testing import BenchContext

Verdict = Keep | Drop | Failed


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
