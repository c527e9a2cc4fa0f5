from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_trainers.training.schedule import learning_rate


def rates(total: int, **settings: object) -> list[float]:
    return [learning_rate(step, total, peak=1.0, **settings) for step in range(total)]  # type: ignore[arg-type]


def test_linear_goes_from_the_peak_towards_zero() -> None:
    assert rates(4) == pytest.approx([1.0, 0.75, 0.5, 0.25])


def test_warmup_rises_first() -> None:
    assert rates(5, warmup=0.4) == pytest.approx([1 / 3, 2 / 3, 1.0, 2 / 3, 1 / 3])


def test_cosine_is_half_way_in_the_middle() -> None:
    assert rates(4, shape="cosine")[2] == pytest.approx(0.5)


def test_without_warmup_it_is_transformers_schedule() -> None:
    import torch
    from transformers import get_cosine_schedule_with_warmup, get_linear_schedule_with_warmup

    for shape, make in (("linear", get_linear_schedule_with_warmup), ("cosine", get_cosine_schedule_with_warmup)):
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        theirs = make(optimizer, 0, 7)
        for rate in rates(7, shape=shape):
            assert rate == pytest.approx(theirs.get_last_lr()[0])
            optimizer.step()
            theirs.step()


@given(st.integers(1, 200), st.floats(0, 0.99), st.sampled_from(["linear", "cosine", "constant"]))
def test_never_zero_never_above_the_peak(total: int, warmup: float, shape: str) -> None:
    assert all(0 < rate <= 1 for rate in rates(total, warmup=warmup, shape=shape))
