"""Losses: pure functions over log-probabilities of whole rows. One function an algorithm, one value an example.

Notation: lp(y) is the sum of log p(token | what precedes it) over the supervised tokens of the row that ends in
answer y, under the model being trained; ref(y) the same under the reference model; |y| the number of those tokens;
delta(y) = lp(y) - ref(y), the log-ratio; w the chosen answer, l the rejected one.
"""

from __future__ import annotations

from itune_trainers.losses.anchored import apo_zero_loss
from itune_trainers.losses.bradley_terry import bradley_terry_loss
from itune_trainers.losses.dpo import dpo_loss
from itune_trainers.losses.exact import exo_loss
from itune_trainers.losses.flipped import robust_loss
from itune_trainers.losses.hinge import hinge_norm_loss, slic_loss
from itune_trainers.losses.identity import ipo_loss
from itune_trainers.losses.kto import kto_loss
from itune_trainers.losses.likelihood import sft_loss
from itune_trainers.losses.odds_ratio import orpo_loss
from itune_trainers.losses.ranking import rrhf_loss
from itune_trainers.losses.reference_free import cpo_loss, simpo_loss
from itune_trainers.losses.self_play import sppo_loss

__all__ = [
    "apo_zero_loss",
    "bradley_terry_loss",
    "cpo_loss",
    "dpo_loss",
    "exo_loss",
    "hinge_norm_loss",
    "ipo_loss",
    "kto_loss",
    "orpo_loss",
    "robust_loss",
    "rrhf_loss",
    "sft_loss",
    "simpo_loss",
    "slic_loss",
    "sppo_loss",
]
