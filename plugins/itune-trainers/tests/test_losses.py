"""The losses against values worked out by hand, and against TRL's own functions where it has them as such."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from itune_trainers.losses import (
    apo_zero_loss,
    cpo_loss,
    dpo_loss,
    exo_loss,
    hinge_norm_loss,
    ipo_loss,
    orpo_loss,
    robust_loss,
    sft_loss,
    simpo_loss,
    slic_loss,
    sppo_loss,
)

ratio = st.floats(-50, 50, width=32)


def column(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def test_sft_is_the_mean_over_a_rows_tokens() -> None:
    assert sft_loss(column(-6.0, -1.0), torch.tensor([4, 2])).tolist() == [1.5, 0.5]


W, L = 0.5, -0.3
"""Log-ratios of the chosen and the rejected answer, in the golden values below; their difference is 0.8."""

LOG_80 = math.log(1 + math.exp(-0.08))

GOLDEN: dict[str, tuple[Callable[[], torch.Tensor], float]] = {
    # log(1 + e^-0.08)
    "dpo": (lambda: dpo_loss(column(W), column(L), beta=0.1), LOG_80),
    # ((1 - 0.2) log(1 + e^-0.08) - 0.2 log(1 + e^0.08)) / (1 - 0.4); the two logarithms differ by 0.08
    "robust": (
        lambda: robust_loss(column(W), column(L), beta=0.1, flipped=0.2),
        LOG_80 - 0.2 * 0.08 / 0.6,
    ),
    # (0.8 - 1 / (2 * 0.5))^2
    "ipo": (lambda: ipo_loss(column(W), column(L), beta=0.5), 0.04),
    # max(0, 1 - 0.8 + ...) of log-probabilities -3 and -3.5: 1 + 3 - 3.5 = 0.5, and 0.1 * 3
    "slic": (
        lambda: slic_loss(column(-3.0), column(-3.5), margin=1.0, regulariser=0.1, target=column(-3.0)),
        0.5 + 0.3,
    ),
    # 1 - 0.5 * 0.8
    "hinge norm": (lambda: hinge_norm_loss(column(W), column(L), gamma=0.5), 0.6),
    # means -0.5 and -1: odds e^-0.5 / (1 - e^-0.5) = 1.5414940825, e^-1 / (1 - e^-1) = 0.5819767069
    "orpo": (
        lambda: orpo_loss(column(-0.5), column(-1.0), weight=0.1),
        0.5 + 0.1 * math.log(1 + 0.5819767068693265 / 1.5414940825367982),
    ),
    # log(1 + e^-(2 * 0.5 - 0.4))
    "simpo": (lambda: simpo_loss(column(-0.5), column(-1.0), beta=2.0, gamma=0.4), math.log(1 + math.exp(-0.6))),
    # log(1 + e^-(0.1 * 5)) + 1.0 * 0.5
    "cpo": (
        lambda: cpo_loss(column(-5.0), column(-10.0), beta=0.1, likelihood=column(-0.5), weight=1.0),
        math.log(1 + math.exp(-0.5)) + 0.5,
    ),
    "apo zero": (
        lambda: apo_zero_loss(column(W), column(L), beta=2.0),
        1 - sigmoid(1.0) + sigmoid(-0.6),
    ),
    # (0.5 - 0.5 / 2)^2 + (-0.3 + 0.5 / 2)^2
    "sppo": (lambda: sppo_loss(column(W), column(L), beta=2.0, probability=column(1.0)), 0.0625 + 0.0025),
    # q = sigmoid(0.8), p = 0.9
    "exo": (
        lambda: exo_loss(column(W), column(L), beta=1.0, probability=column(0.9)),
        sigmoid(0.8) * math.log(sigmoid(0.8) / 0.9) + sigmoid(-0.8) * math.log(sigmoid(-0.8) / 0.1),
    ),
}


@pytest.mark.parametrize(("loss", "value"), GOLDEN.values(), ids=GOLDEN)
def test_by_hand(loss: Callable[[], torch.Tensor], value: float) -> None:
    assert loss().tolist() == pytest.approx([value], rel=1e-12)


@given(ratio, st.floats(0.01, 1))
def test_a_model_that_is_its_reference_has_the_loss_of_a_coin(same: float, beta: float) -> None:
    for loss in (
        dpo_loss(column(same), column(same), beta=beta),
        robust_loss(column(0), column(0), beta=1, flipped=0.3),
    ):
        assert loss.item() == pytest.approx(math.log(2))
    assert hinge_norm_loss(column(same), column(same), gamma=beta).item() == 1
    assert apo_zero_loss(column(0), column(0), beta=beta).item() == 1


@given(ratio, ratio, st.floats(0.01, 0.45))
def test_robust_dpo_is_dpo_in_the_mean_over_flipped_labels(chosen: float, rejected: float, flipped: float) -> None:
    w, l = column(chosen), column(rejected)  # noqa: E741
    seen = (1 - flipped) * robust_loss(w, l, beta=0.1, flipped=flipped) + flipped * robust_loss(
        l, w, beta=0.1, flipped=flipped
    )
    assert seen.item() == pytest.approx(dpo_loss(w, l, beta=0.1).item(), abs=1e-9)


@given(ratio, ratio, st.floats(0.01, 0.99))
def test_exo_is_a_divergence(chosen: float, rejected: float, p: float) -> None:
    loss = exo_loss(column(chosen), column(rejected), beta=0.1, probability=column(p)).item()
    assert loss >= -1e-12
    at_the_label = math.log(p / (1 - p))
    assert exo_loss(column(at_the_label), column(0), beta=1.0, probability=column(p)).item() == pytest.approx(
        0, abs=1e-12
    )


def test_gradient_of_dpo_pushes_the_answers_apart() -> None:
    chosen, rejected = column(0.0).requires_grad_(), column(0.0).requires_grad_()
    dpo_loss(chosen, rejected, beta=0.1).sum().backward()
    # -beta * sigmoid(0), equation under 7 of the paper: the weight of an undecided pair is one half.
    assert chosen.grad.item() == pytest.approx(-0.05)
    assert rejected.grad.item() == pytest.approx(0.05)


@pytest.mark.parametrize("mean", [-1e-12, -1e-6, -0.69, -0.7, -30.0, 0.0])
def test_odds_are_finite_and_exact_at_both_ends(mean: float) -> None:
    """log(1 - e^m) loses all digits where it is written so; near 0 it is log(-m), far from it -e^m."""
    chosen = column(mean).requires_grad_()
    loss = orpo_loss(chosen, column(-1.0), weight=1.0)
    loss.sum().backward()
    assert math.isfinite(loss.item())
    assert math.isfinite(chosen.grad.item())
    if mean == -1e-12:
        odds = -1e-12 - math.log(1e-12) - (-1.0 - math.log(1 - math.exp(-1)))
        assert loss.item() == pytest.approx(1e-12 + math.log1p(math.exp(-odds)), rel=1e-6)


def trl(name: str) -> Any:
    """A method of one of TRL's experimental trainers."""
    pytest.importorskip("trl")
    from trl.experimental.cpo import CPOTrainer
    from trl.experimental.orpo import ORPOTrainer

    return {"cpo": CPOTrainer.cpo_loss, "orpo": ORPOTrainer.odds_ratio_loss}[name]


MEANS = torch.tensor([-0.05, -0.4, -1.5, -6.0])
OTHERS = torch.tensor([-0.3, -0.2, -2.5, -4.0])


def settings(**given: Any) -> SimpleNamespace:
    return SimpleNamespace(accelerator=SimpleNamespace(device="cpu"), alpha=0.0, label_smoothing=0.0, **given)


@pytest.mark.filterwarnings("ignore")
def test_simpo_and_cpo_equal_trls() -> None:
    """TRL adds the likelihood of the chosen answer elsewhere (cpo_alpha): what is compared is the rest."""
    theirs, *_ = trl("cpo")(settings(loss_type="simpo", beta=2.5, simpo_gamma=1.375), MEANS, OTHERS)
    assert simpo_loss(MEANS, OTHERS, beta=2.5, gamma=1.375).tolist() == pytest.approx(theirs.tolist(), abs=1e-6)
    theirs, *_ = trl("cpo")(settings(loss_type="sigmoid", beta=0.3), MEANS, OTHERS)
    ours = cpo_loss(MEANS, OTHERS, beta=0.3, likelihood=MEANS, weight=0.0)
    assert ours.tolist() == pytest.approx(theirs.tolist(), abs=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_the_odds_ratio_equals_trls() -> None:
    theirs, *_ = trl("orpo")(settings(beta=0.2), MEANS, OTHERS)
    ours = orpo_loss(MEANS, OTHERS, weight=0.2) + MEANS
    assert ours.tolist() == pytest.approx((-theirs).tolist(), abs=1e-6)
