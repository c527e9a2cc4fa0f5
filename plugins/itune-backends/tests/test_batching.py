from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from itune_backends.batching import by_budget, in_order

lengths = st.lists(st.integers(1, 300), max_size=60)
budgets = {"tokens": st.integers(1, 3000), "rows": st.integers(1, 20)}


@given(prompts=lengths, new=st.integers(1, 300), **budgets)
def test_every_row_is_in_one_batch_and_every_batch_within_its_budget(
    prompts: list[int], new: int, tokens: int, rows: int
) -> None:
    batches = by_budget(prompts, new, tokens=tokens, rows=rows)
    assert sorted(index for batch in batches for index in batch) == list(range(len(prompts)))
    for batch in batches:
        area = len(batch) * (max(prompts[index] for index in batch) + new)
        assert 1 <= len(batch) <= rows
        assert area <= tokens or len(batch) == 1


@given(prompts=lengths, **budgets)
def test_rows_of_like_length_go_together(prompts: list[int], tokens: int, rows: int) -> None:
    batches = by_budget(prompts, 10, tokens=tokens, rows=rows)
    for longer, shorter in pairwise(batches):
        assert min(prompts[index] for index in longer) >= max(prompts[index] for index in shorter)


def test_golden() -> None:
    # 2 x (41 + 5) = 92 fits in 100, 3 x 46 does not; 2 x (12 + 5) = 34 does.
    assert by_budget([10, 40, 12, 41], 5, tokens=100, rows=8) == [[3, 1], [2, 0]]
    assert by_budget([10, 40, 12, 41], 5, tokens=1000, rows=3) == [[3, 1, 2], [0]]


@dataclass(frozen=True)
class Rows:
    """A batch, as far as order is concerned."""

    rows: tuple[int, ...]


@given(st.permutations(range(9)), st.lists(st.integers(0, 9), max_size=4))
def test_what_is_found_comes_in_the_order_of_the_rows(order: list[int], cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), 9]
    batches = [Rows(tuple(order[start:end])) for start, end in pairwise(edges)]
    ran: list[Rows] = []

    def run(batch: Any) -> list[int]:
        ran.append(batch)
        return [10 * row for row in batch.rows]

    seen = []
    for place, found in enumerate(in_order(batches, run)):  # type: ignore[type-var]
        assert any(place in batch.rows for batch in ran)
        seen.append(found)
    assert seen == [10 * row for row in range(9)]
