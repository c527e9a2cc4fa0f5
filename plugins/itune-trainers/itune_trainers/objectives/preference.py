"""Sums of objectives over pairs, each with its weight."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from itune_trainers.algorithm import Logps
from itune_trainers.objectives.apo_zero import APOZero
from itune_trainers.objectives.cdpo import CDPO
from itune_trainers.objectives.cpo import CPO
from itune_trainers.objectives.dpo import DPO
from itune_trainers.objectives.exo import EXO
from itune_trainers.objectives.ipo import IPO
from itune_trainers.objectives.likelihood import Likelihood
from itune_trainers.objectives.orpo import ORPO
from itune_trainers.objectives.robust_dpo import RobustDPO
from itune_trainers.objectives.rso_hinge import RSOHinge
from itune_trainers.objectives.rso_sigmoid import RSOSigmoid
from itune_trainers.objectives.simpo import SimPO
from itune_trainers.objectives.slic import SLiC
from itune_trainers.objectives.slic_norm import SLiCNorm
from itune_trainers.objectives.sppo import SPPO
from itune_trainers.pairs import Answers, PairObjective, PairSettings

if TYPE_CHECKING:
    from torch import Tensor

TERMS: Mapping[str, type[PairObjective]] = {
    "apo-zero": APOZero,
    "cdpo": CDPO,
    "cpo": CPO,
    "dpo": DPO,
    "exo": EXO,
    "ipo": IPO,
    "orpo": ORPO,
    "robust-dpo": RobustDPO,
    "rso-hinge": RSOHinge,
    "rso-sigmoid": RSOSigmoid,
    "sft": Likelihood,
    "simpo": SimPO,
    "slic": SLiC,
    "slic-norm": SLiCNorm,
    "sppo": SPPO,
}
"""What can be summed, by the name it has as a trainer; ``sft`` is the likelihood of the chosen answer."""


class Preference(PairObjective):
    r"""A weighted sum of objectives over preference pairs.

    .. math:: \sum_k w_k L_k

    ``objectives: {dpo: 1, sft: 0.2}`` adds the likelihood of the chosen answer (per token) to DPO's loss, which keeps
    it from falling; ``{dpo: {weight: 1, beta: 0.3}, ipo: 0.5}`` gives a term settings of its own. Any objective over
    pairs of this package can be a term, and `sft`. The implied reward that is logged is that of the first term; each
    term's loss is logged as ``loss/NAME``.

    Source: sums as in MPO, arXiv:2411.10442 (DPO, a pointwise term and the likelihood of the chosen answer).
    """

    class Config(PairSettings):
        """Settings of a sum of objectives."""

        objectives: dict[str, float | dict[str, float]] = Field(
            min_length=1,
            description="Weight of each term by its name, or {weight: W, ...} with settings of its own.",
            examples=[{"dpo": 1, "sft": 0.2}],
        )

        @model_validator(mode="after")
        def _terms_are_well_formed(self) -> Preference.Config:
            for name, given in self.objectives.items():
                if name not in TERMS:
                    raise ValueError(f"there is no term {name!r}; there are {', '.join(TERMS)}")
                if not _weight(given) > 0:
                    raise ValueError(f"the weight of {name} must be above 0")
                _term(name, self)
            return self

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.terms = {name: (_weight(given), _term(name, config)) for name, given in config.objectives.items()}
        self.needs_reference = any(term.needs_reference for _, term in self.terms.values())  # type: ignore[misc]

    def loss(self, logps: Logps) -> Tensor:
        import torch

        return torch.stack([weight * term.loss(logps) for weight, term in self.terms.values()]).sum(0)

    def reward(self, answers: Answers) -> Tensor:
        _, first = next(iter(self.terms.values()))
        return first.reward(answers)

    def figures(self, logps: Logps) -> Mapping[str, Tensor]:
        return {
            **super().figures(logps),
            **{f"loss/{name}": term.loss(logps) for name, (_, term) in self.terms.items()},
        }


def _weight(given: float | Mapping[str, float]) -> float:
    return given.get("weight", 1.0) if isinstance(given, Mapping) else given


def _term(name: str, config: PairSettings) -> PairObjective:
    """A term with its own settings; those that all trainers have are the sum's.

    Raises:
        ValueError: a setting is not one of its own, or has a value that it refuses.
    """
    given = config.objectives[name]  # type: ignore[attr-defined]
    own = {key: value for key, value in given.items() if key != "weight"} if isinstance(given, Mapping) else {}
    objective = TERMS[name]
    foreign = sorted(own.keys() - (objective.Config.model_fields.keys() - PairSettings.model_fields.keys()))
    if foreign:
        raise ValueError(f"{name} has no setting {foreign[0]!r} of its own")
    shared = {key: getattr(config, key) for key in config.model_fields_set & PairSettings.model_fields.keys()}
    return objective(objective.Config(**shared, **own))
