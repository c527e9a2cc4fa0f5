"""What objectives over preference pairs share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from itune_core.api import Input, Kind, Record
from itune_trainers.algorithm import Logps
from itune_trainers.objective import Objective
from itune_trainers.rows.encoder import Encoder
from itune_trainers.rows.example import Example
from itune_trainers.settings import Settings

if TYPE_CHECKING:
    from torch import Tensor


class PairSettings(Settings):
    """Settings of every objective over pairs."""

    learning_rate: float = Field(
        5e-6, gt=0, description="Peak learning rate of AdamW (betas 0.9 and 0.999, eps 1e-8). 5e-6 suits LoRA."
    )


class HeldSettings(PairSettings):
    """Settings of every objective over pairs that has a reference: no dropout, for the two must begin as one."""

    @model_validator(mode="after")
    def _no_dropout(self) -> HeldSettings:
        if self.lora is not None and self.lora.dropout > 0:
            raise ValueError("lora.dropout is not used with a reference model; remove it")
        return self


class ReferenceSettings(HeldSettings):
    """Settings of an objective that is held to its reference by `beta`."""

    beta: float = Field(0.1, gt=0, description="How hard the model is held to the reference; larger is nearer.")


@dataclass(frozen=True)
class Answers:
    """One side of P pairs: the chosen answers, or the rejected ones.

    Attributes:
        logps: (P,) lp, sum of the log-probabilities of each answer's tokens under the model in training.
        tokens: (P,) how many tokens that is.
        reference: (P,) the same sum under the model as it was at the start; None if the objective needs none.
    """

    logps: Tensor
    tokens: Tensor
    reference: Tensor | None

    @property
    def mean(self) -> Tensor:
        """(P,) mean log-probability of a token."""
        return self.logps / self.tokens

    @property
    def ratio(self) -> Tensor:
        """(P,) log-ratio, ``lp - ref``; only where the objective needs a reference."""
        assert self.reference is not None
        return self.logps - self.reference


@dataclass(frozen=True)
class Pairs:
    """P preference pairs.

    Attributes:
        chosen, rejected: the two sides.
        probability: (P,) how likely `chosen` is the better one.
        margin: (P,) by how much the better one is better, as the record says; zeros where that is not asked.
    """

    chosen: Answers
    rejected: Answers
    probability: Tensor
    margin: Tensor

    @classmethod
    def of(cls, logps: Logps) -> Pairs:
        """The pairs of examples that :meth:`PairObjective.example` made."""
        policy, tokens = logps.policy.view(-1, 2), logps.tokens.view(-1, 2)
        reference = None if logps.reference is None else logps.reference.view(-1, 2)
        chosen, rejected = (
            Answers(policy[:, side], tokens[:, side], None if reference is None else reference[:, side])
            for side in (0, 1)
        )
        scores = logps.scores.view(-1, 2)
        return cls(chosen, rejected, logps.labels, scores[:, 0] - scores[:, 1])

    def swapped(self) -> Pairs:
        """The same pairs, judged the other way round."""
        return Pairs(self.rejected, self.chosen, 1 - self.probability, self.margin)


class PairObjective(Objective):
    """A preference objective: its loss looks at two answers to one question. Method to write: :meth:`pair_loss`.

    A record's `probability` that `chosen` is the better answer makes the loss an expectation: p times the loss of the
    pair, and 1 - p times that of the pair the other way round. Of DPO that is conservative DPO.

    With `needs_reference`, the reference is the model as it is at the start, its adapter included, and the settings
    have `beta`: the implied reward of an answer, which is logged, is beta times its log-ratio.
    """

    inputs = {"train": Input((Kind.PREFERENCE,)), "eval": Input((Kind.PREFERENCE,), required=False)}

    def pair_loss(self, pairs: Pairs) -> Tensor:
        """(P,) the loss of each pair, were its chosen answer certainly the better one."""
        raise TypeError(f"{type(self).__name__} must define pair_loss()")

    def reward(self, answers: Answers) -> Tensor:
        """(P,) the reward that the objective implies for each answer; its margin and accuracy are logged."""
        return self.config.beta * (answers.ratio if self.needs_reference else answers.logps)

    def example(self, record: Record, encoder: Encoder) -> Example:
        rows = (encoder.completion(record, "chosen"), encoder.completion(record, "rejected"))
        probability = record["probability"]
        return Example(record["id"], rows, label=1.0 if probability is None else probability)

    def loss(self, logps: Logps) -> Tensor:
        pairs = Pairs.of(logps)
        loss = self.pair_loss(pairs)
        if bool((pairs.probability == 1).all()):
            return loss
        return pairs.probability * loss + (1 - pairs.probability) * self.pair_loss(pairs.swapped())

    def figures(self, logps: Logps) -> Mapping[str, Tensor]:
        pairs = Pairs.of(logps)
        chosen, rejected = self.reward(pairs.chosen), self.reward(pairs.rejected)
        # Not a KL divergence: these answers are not the model's own samples. Where both are far below zero, it has
        # left its reference all the same.
        ratios = (
            {}
            if logps.reference is None
            else {"log_ratio/chosen": pairs.chosen.ratio, "log_ratio/rejected": pairs.rejected.ratio}
        )
        return {
            **ratios,
            "rewards/chosen": chosen,
            "rewards/rejected": rejected,
            "rewards/margins": chosen - rejected,
            "rewards/accuracies": (chosen > rejected).float(),
            "logps/chosen": pairs.chosen.logps,
            "logps/rejected": pairs.rejected.logps,
        }

    def counts(self, examples: Sequence[Example]) -> Mapping[str, Any]:
        """Mean supervised tokens of the answers on each side."""
        sides = ("tokens/chosen", "tokens/rejected")
        return {name: fmean(example.rows[side].supervised for example in examples) for side, name in enumerate(sides)}
