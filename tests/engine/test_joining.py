"""Rows in any order, any number of times, with columns of their own, against plain lists."""

from __future__ import annotations

from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from itune_core.api import Kind, text
from itune_core.engine import joining
from itune_core.testing.trial import store

COUNT = 30


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> datasets.Dataset:
    folder: Path = tmp_path_factory.mktemp("joining") / "rows"
    return store([text(f"text {number}") for number in range(COUNT)], Kind.TEXT, folder).dataset


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    wanted=st.lists(st.integers(0, COUNT - 1) | st.just(7), max_size=60),
    dense=st.sampled_from([1, joining.DENSE]),
    stretches=st.sampled_from([1, 2, joining.STRETCHES]),
)
def test_rows_come_as_often_as_wanted_each_with_its_value(
    rows: datasets.Dataset, wanted: list[int], dense: int, stretches: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(joining, "DENSE", dense)
        patch.setattr(joining, "STRETCHES", stretches)
        found = joining.joined(rows, np.array(wanted, np.int64), {"turn": pa.array(range(len(wanted)), pa.int64())})
    assert [row["text"] for row in found] == [f"text {number}" for number in wanted]
    assert list(found["turn"]) == list(range(len(wanted)))
    assert found.features == {**rows.features, "turn": datasets.Value("int64")}


def test_a_row_that_comes_twice_is_not_copied(tmp_path: Path) -> None:
    size = 50_000
    rows = store([text(f"{number}" * size) for number in range(10, 20)], Kind.TEXT, tmp_path / "rows").dataset
    before = pa.total_allocated_bytes()
    wanted = np.array([*range(10), *range(10), 3])
    found = joining.joined(rows, wanted, {"turn": pa.array(wanted)})
    assert pa.total_allocated_bytes() - before < size
    assert [row["text"][:2] for row in found] == [str(10 + number) for number in wanted]
