"""Gradients of every loss: against finite differences, and of every objective against its formula written out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from itune_trainers import losses
from itune_trainers.algorithm import Logps
from itune_trainers.objectives.apo_zero import APOZero
from itune_trainers.objectives.cdpo import CDPO
from itune_trainers.objectives.cpo import CPO
from itune_trainers.objectives.dpo import DPO
from itune_trainers.objectives.exo import EXO
from itune_trainers.objectives.ipo import IPO
from itune_trainers.objectives.kto import KTO
from itune_trainers.objectives.orpo import ORPO
from itune_trainers.objectives.preference import Preference
from itune_trainers.objectives.robust_dpo import RobustDPO
from itune_trainers.objectives.rrhf import RRHF
from itune_trainers.objectives.rso_hinge import RSOHinge
from itune_trainers.objectives.rso_sigmoid import RSOSigmoid
from itune_trainers.objectives.sft import SFT
from itune_trainers.objectives.simpo import SimPO
from itune_trainers.objectives.slic import SLiC
from itune_trainers.objectives.slic_norm import SLiCNorm
from itune_trainers.objectives.sppo import SPPO


def column(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


W, L = column(0.5, -2.0, 3.0), column(-0.3, 1.0, -4.0)
"""Log-ratios or means at which no hinge has its kink."""
MEANS, OTHERS = column(-0.5, -2.0, -0.01), column(-1.0, -0.3, -4.0)
P = torch.tensor([0.9, 0.5, 0.2], dtype=torch.float64)

PURE: dict[str, tuple[Callable[..., Tensor], tuple[Tensor, ...]]] = {
    "apo_zero": (lambda w, r: losses.apo_zero_loss(w, r, beta=0.7), (W, L)),
    "cpo": (lambda w, r, m: losses.cpo_loss(w, r, beta=0.3, likelihood=m, weight=0.8), (W, L, MEANS)),
    "dpo": (lambda w, r: losses.dpo_loss(w, r, beta=0.3), (W, L)),
    "exo": (lambda w, r: losses.exo_loss(w, r, beta=0.3, probability=P), (W, L)),
    "hinge_norm": (lambda w, r: losses.hinge_norm_loss(w, r, gamma=0.5), (W, L)),
    "ipo": (lambda w, r: losses.ipo_loss(w, r, beta=0.3), (W, L)),
    "kto": (
        lambda r: losses.kto_loss(
            r,
            torch.tensor([True, False, True]),
            beta=0.3,
            baseline=torch.tensor(0.2, dtype=torch.float64),
            desirable_weight=1.0,
            undesirable_weight=1.3,
        ),
        (W,),
    ),
    "orpo": (lambda w, r: losses.orpo_loss(w, r, weight=0.4), (MEANS, OTHERS)),
    "robust": (lambda w, r: losses.robust_loss(w, r, beta=0.3, flipped=0.1), (W, L)),
    "rrhf": (lambda s, m: losses.rrhf_loss(s, m, P.detach(), weight=2.0), (W, MEANS)),
    "sft": (lambda lp: losses.sft_loss(lp, torch.tensor([4, 2, 9])), (W,)),
    "simpo": (lambda w, r: losses.simpo_loss(w, r, beta=2.5, gamma=0.4), (MEANS, OTHERS)),
    "slic": (lambda w, r, t: losses.slic_loss(w, r, margin=1.0, regulariser=0.2, target=t), (W, L, MEANS)),
    "sppo": (lambda w, r: losses.sppo_loss(w, r, beta=0.5, probability=P), (W, L)),
}


@pytest.mark.parametrize(("loss", "inputs"), PURE.values(), ids=PURE)
def test_by_finite_differences(loss: Callable[..., Tensor], inputs: tuple[Tensor, ...]) -> None:
    assert torch.autograd.gradcheck(loss, inputs)


FORMULAS: dict[str, tuple[Any, dict[str, Any], Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]]] = {}


def formula(objective: Any, **config: Any) -> Callable[[Any], Any]:
    """The decorated function is an objective's loss of one pair as its docstring has it, in the plainest words: `lp`,
    `ref` and `n` are of the two answers."""

    def add(function: Any) -> Any:
        FORMULAS[function.__name__] = (objective, config, function)
        return function

    return add


def sigmoid(value: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-value))


def expected(loss: Callable[[int, int], Tensor], p: Tensor) -> Tensor:
    return p * loss(0, 1) + (1 - p) * loss(1, 0)


@formula(DPO, beta=0.3)
def dpo(lp: Tensor, ref: Tensor, n: Tensor, p: Tensor) -> Tensor:
    d = lp - ref
    return expected(lambda w, r: -torch.log(sigmoid(0.3 * (d[w] - d[r]))), p)


@formula(CDPO, beta=0.3, label_smoothing=0.2)
def cdpo(lp: Tensor, ref: Tensor, n: Tensor, p: Tensor) -> Tensor:
    d = lp - ref
    return expected(
        lambda w, r: expected(lambda a, b: -torch.log(sigmoid(0.3 * (d[(w, r)[a]] - d[(w, r)[b]]))), 0.8), p
    )


@formula(RobustDPO, beta=0.3, label_smoothing=0.2)
def robust(lp: Tensor, ref: Tensor, n: Tensor, p: Tensor) -> Tensor:
    d = lp - ref

    def one(w: int, r: int) -> Tensor:
        a, b = (-torch.log(sigmoid(0.3 * sign * (d[w] - d[r]))) for sign in (1, -1))
        return (0.8 * a - 0.2 * b) / 0.6

    return expected(one, p)


@formula(IPO, beta=0.3)
def ipo(lp: Tensor, ref: Tensor, n: Tensor, p: Tensor) -> Tensor:
    d = (lp - ref) / n
    return expected(lambda w, r: (d[w] - d[r] - 1 / 0.6) ** 2, p)


@formula(SLiCNorm, beta=0.3)
def slic_norm(lp: Tensor, ref: Tensor, n: Tensor, p: Tensor) -> Tensor:
    d = lp - ref
    return expected(lambda w, r: torch.clamp(1 - 0.3 * (d[w] - d[r]), min=0), p)


@formula(RSOHinge, gamma=0.3)
def rso_hinge(lp: Tensor, ref: Tensor, n: Tensor, p: Tensor) -> Tensor:
    return slic_norm(lp, ref, n, p)


@formula(RSOSigmoid, gamma=0.3)
def rso_sigmoid(lp: Tensor, ref: Tensor, n: Tensor, p: Tensor) -> Tensor:
    return dpo(lp, ref, n, p)


@formula(SLiC, margin=1.0, regulariser=0.2)
def slic(lp: Tensor, ref: Tensor, n: Tensor, p: Tensor) -> Tensor:
    return expected(lambda w, r: torch.clamp(1 - lp[w] + lp[r], min=0) - 0.2 * lp[w], p)


@formula(SimPO, beta=2.0, gamma=0.4)
def simpo(lp: Tensor, ref: Tensor, n: Tensor, p: Tensor) -> Tensor:
    m = lp / n
    return expected(lambda w, r: -torch.log(sigmoid(2 * (m[w] - m[r]) - 0.4)), p)


@formula(CPO, beta=0.3, alpha=0.7)
def cpo(lp: Tensor, ref: Tensor, n: Tensor, p: Tensor) -> Tensor:
    return expected(lambda w, r: -torch.log(sigmoid(0.3 * (lp[w] - lp[r]))) - 0.7 * lp[w] / n[w], p)


@formula(ORPO, weight=0.4)
def orpo(lp: Tensor, ref: Tensor, n: Tensor, p: Tensor) -> Tensor:
    m = lp / n
    odds = torch.log(torch.exp(m) / (1 - torch.exp(m)))
    return expected(lambda w, r: -m[w] - 0.4 * torch.log(sigmoid(odds[w] - odds[r])), p)


@formula(APOZero, beta=0.3)
def apo_zero(lp: Tensor, ref: Tensor, n: Tensor, p: Tensor) -> Tensor:
    d = lp - ref
    return expected(lambda w, r: 1 - sigmoid(0.3 * d[w]) + sigmoid(0.3 * d[r]), p)


@formula(SPPO, beta=0.5)
def sppo(lp: Tensor, ref: Tensor, n: Tensor, p: Tensor) -> Tensor:
    d = lp - ref
    return (d[0] - (p - 0.5) / 0.5) ** 2 + (d[1] + (p - 0.5) / 0.5) ** 2


@formula(EXO, beta=0.3, label_smoothing=0.1)
def exo(lp: Tensor, ref: Tensor, n: Tensor, p: Tensor) -> Tensor:
    p = 0.9 * p + 0.1 * (1 - p)
    q = sigmoid(0.3 * (lp - ref)[0] - 0.3 * (lp - ref)[1])
    return q * torch.log(q / p) + (1 - q) * torch.log((1 - q) / (1 - p))


@formula(Preference, objectives={"dpo": {"weight": 1, "beta": 0.3}, "sft": 0.2})
def preference(lp: Tensor, ref: Tensor, n: Tensor, p: Tensor) -> Tensor:
    return dpo(lp, ref, n, p) + 0.2 * expected(lambda w, r: -lp[w] / n[w], p)


answers = st.tuples(st.floats(-40, -1), st.floats(-40, -1))


@pytest.mark.parametrize("name", FORMULAS)
@given(policy=answers, reference=answers, tokens=st.tuples(*[st.integers(2, 30)] * 2), p=st.floats(0.05, 0.95))
@example(policy=(-1.0, -2.0), reference=(-1.0, -1.0), tokens=(2, 2), p=0.5)  # the kink of slic
@settings(max_examples=25, deadline=None)
def test_an_objective_is_its_formula(
    name: str,
    policy: tuple[float, float],
    reference: tuple[float, float],
    tokens: tuple[int, int],
    p: float,
) -> None:
    component, config, written = FORMULAS[name]
    lp, ref, n = column(*policy), column(*reference).detach(), torch.tensor(tokens)
    label = torch.tensor(p, dtype=torch.float64)
    loss = written(lp, ref, n, label)
    (gradient,) = torch.autograd.grad(loss, lp)
    for step in (-1e-9, 1e-9):  # at the kink of a hinge either slope is right
        (beside,) = torch.autograd.grad(written(lp + column(step, -step).detach(), ref, n, label), lp)
        assume(torch.allclose(beside, gradient, rtol=1e-6, atol=1e-6))
    same = column(*policy)
    rows = Logps(same, ref, n, label[None], torch.tensor([2]), torch.zeros(2))
    (found,) = component(component.Config(model="m", **config)).loss(rows)
    (slope,) = torch.autograd.grad(found, same)
    assert found.item() == pytest.approx(loss.item(), rel=1e-6, abs=1e-9)
    assert slope.tolist() == pytest.approx(gradient.tolist(), rel=1e-6, abs=1e-9)


@given(st.lists(st.tuples(st.floats(-40, -1), st.integers(1, 30)), min_size=1, max_size=5))
@settings(max_examples=25, deadline=None)
def test_the_mean_over_tokens_is_that_of_cross_entropy(rows: list[tuple[float, int]]) -> None:
    """Each token of a batch weighs the same, whatever row it is in."""
    lp, n = column(*(sum_ for sum_, _ in rows)), torch.tensor([count for _, count in rows])
    trainer = SFT(SFT.Config(model="m"))
    each = trainer.loss(Logps(lp, None, n, torch.ones(len(rows)), torch.ones(len(rows)), torch.zeros(len(rows))))
    (slope,) = torch.autograd.grad((each * n).sum() / n.sum(), lp)
    assert slope.tolist() == pytest.approx([-1 / n.sum().item()] * len(rows), rel=1e-9)


def test_rrhf_is_its_formula() -> None:
    lp, n, r = column(-4.0, -9.0, -2.0), torch.tensor([4, 3, 5]), torch.tensor([0.1, 0.9, 0.5])
    s = lp / n
    worse = [(i, j) for i in range(3) for j in range(3) if r[i] < r[j]]
    written = 2.0 * sum(torch.clamp(s[i] - s[j], min=0) for i, j in worse) - s[1]
    (gradient,) = torch.autograd.grad(written, lp, retain_graph=True)
    trainer = RRHF(RRHF.Config(model="m", rank_weight=2.0))
    (found,) = trainer.loss(Logps(lp, None, n, torch.ones(1), torch.tensor([3]), r))
    (slope,) = torch.autograd.grad(found, lp)
    assert found.item() == pytest.approx(written.item())
    assert slope.tolist() == pytest.approx(gradient.tolist())


def test_kto_is_its_formula_and_its_baseline_has_no_gradient() -> None:
    lp, ref = column(-4.0, -9.0), torch.tensor([-5.0, -6.0], dtype=torch.float64)
    z = column(0.7)
    d = lp - ref
    written = (1 - sigmoid(0.3 * (d[0] - 0.7))) + 1.4 * (1 - sigmoid(0.3 * (0.7 - d[1])))
    (gradient,) = torch.autograd.grad(written, lp, retain_graph=True)
    trainer = KTO(KTO.Config(model="m", beta=0.3, undesirable_weight=1.4))
    labels, ones = torch.tensor([1.0, 0.0]), torch.ones(2)
    found = trainer.loss(Logps(lp, ref, ones, labels, ones, ones, z[0])).sum()
    slope, none = torch.autograd.grad(found, (lp, z), allow_unused=True)
    assert found.item() == pytest.approx(written.item())
    assert slope.tolist() == pytest.approx(gradient.tolist())
    assert none is None
