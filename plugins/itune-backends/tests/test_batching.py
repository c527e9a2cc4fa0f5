from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from itune_backends.batching import by_budget

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
