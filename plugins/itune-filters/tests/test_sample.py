from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from itune_core.api import Drop, Keep, Record, text
from itune_filters.sample import Sample


def rows_of(count: int) -> list[Record]:
    return [text(f"text {number}", id=f"row{number}") for number in range(count)]


def kept(judge: Any, rows: list[Record], **options: Any) -> set[str]:
    verdicts = judge(Sample, rows, **options)
    assert set(verdicts) <= {Keep(), Drop("not-sampled")}
    return {row["id"] for row, verdict in zip(rows, verdicts, strict=True) if verdict == Keep()}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(count=st.integers(0, 30), size=st.integers(1, 35), seed=st.integers(0, 5))
def test_a_sample_of_a_size(judge: Any, count: int, size: int, seed: int) -> None:
    rows = rows_of(count)
    sample = kept(judge, rows, size=size, seed=seed)
    assert len(sample) == min(size, count)
    shuffled = random.Random(seed).sample(rows, count)
    assert kept(judge, shuffled, size=size, seed=seed) == sample
    assert sample <= kept(judge, rows, size=size + 1, seed=seed)
    assert len(sample - kept(judge, [*rows, text("new", id="new")], size=size, seed=seed)) <= 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(count=st.integers(0, 30), share=st.floats(0.05, 0.95), seed=st.integers(0, 5))
def test_a_share_is_decided_row_by_row(judge: Any, count: int, share: float, seed: int) -> None:
    rows = rows_of(count)
    sample = kept(judge, rows, share=share, seed=seed)
    longer = rows_of(count + 5)
    assert kept(judge, longer, share=share, seed=seed) & {row["id"] for row in rows} == sample
    assert kept(judge, list(reversed(rows)), share=share, seed=seed) == sample


def test_the_share_is_met_on_average(judge: Any) -> None:
    count, share = 4_000, 0.25
    found = len(kept(judge, rows_of(count), share=share)) / count
    assert abs(found - share) < 6 * (share * (1 - share) / count) ** 0.5


def test_every_row_has_the_same_chance(judge: Any) -> None:
    """Of 20 rows 5 are drawn under 400 seeds: each is drawn 100 times, give or take six standard deviations."""
    rows = rows_of(20)
    times = dict.fromkeys((row["id"] for row in rows), 0)
    for seed in range(400):
        for key in kept(judge, rows, size=5, seed=seed):
            times[key] += 1
    deviation = (400 * 0.25 * 0.75) ** 0.5
    assert all(abs(count - 100) < 6 * deviation for count in times.values())


@pytest.mark.parametrize("options", [{}, {"size": 5, "share": 0.5}, {"size": 0}, {"share": 1.0}, {"share": 0}])
def test_size_or_share(options: Any) -> None:
    with pytest.raises(ValidationError):
        Sample.Config(**options)
