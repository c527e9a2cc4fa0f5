"""The losses against values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from itune_trainers.losses import dpo_loss, sft_loss

logp = st.floats(-50, 0, width=32)


def column(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_sft_is_the_mean_over_a_rows_tokens() -> None:
    assert sft_loss(column(-6.0, -1.0), torch.tensor([4, 2])).tolist() == [1.5, 0.5]


def test_dpo_by_hand() -> None:
    # delta(w) = -1 - -1.5 = 0.5, delta(l) = -2 - -1.5 = -0.5, so the logit is 0.1 * 1 and the loss log(1 + e^-0.1).
    loss = dpo_loss(column(-1.0), column(-2.0), column(-1.5), column(-1.5), beta=0.1)
    assert loss.item() == pytest.approx(0.6443966600735709)


def test_dpo_soft_label_by_hand() -> None:
    # 0.8 * log(1 + e^-0.1) + 0.2 * log(1 + e^0.1); the two differ by exactly 0.1.
    loss = dpo_loss(column(-1.0), column(-2.0), column(-1.5), column(-1.5), beta=0.1, probability=column(0.8))
    assert loss.item() == pytest.approx(0.6643966600735709)


@given(logp, logp, st.floats(0.01, 1))
def test_a_model_that_is_its_reference_has_loss_log_2(chosen: float, rejected: float, beta: float) -> None:
    loss = dpo_loss(column(chosen), column(rejected), column(chosen), column(rejected), beta=beta)
    assert loss.item() == pytest.approx(math.log(2))


@given(logp, logp, logp, logp, st.floats(0, 1))
def test_swapping_the_answers_is_the_opposite_label(w: float, l: float, rw: float, rl: float, p: float) -> None:  # noqa: E741
    one = dpo_loss(column(w), column(l), column(rw), column(rl), beta=0.1, probability=column(p))
    other = dpo_loss(column(l), column(w), column(rl), column(rw), beta=0.1, probability=column(1 - p))
    assert one.item() == pytest.approx(other.item(), rel=1e-9, abs=1e-9)


def test_gradient_pushes_the_answers_apart() -> None:
    chosen, rejected = column(-3.0).requires_grad_(), column(-3.0).requires_grad_()
    dpo_loss(chosen, rejected, column(-3.0), column(-3.0), beta=0.1).sum().backward()
    # -beta * sigmoid(0), equation under 7 of the paper: the weight of an undecided pair is one half.
    assert chosen.grad.item() == pytest.approx(-0.05)
    assert rejected.grad.item() == pytest.approx(0.05)
