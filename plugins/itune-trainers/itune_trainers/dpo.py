"""Direct preference optimisation: learn which of two answers is the better one, without a reward model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from itune_core.api import Record
from itune_trainers.examples import Encoder, Example
from itune_trainers.objective import Logps, Objective
from itune_trainers.pairs import PAIRS, pair, sides
from itune_trainers.settings import Settings

if TYPE_CHECKING:
    from torch import Tensor


class DPO(Objective):
    """Direct preference optimisation (arXiv 2305.18290); soft labels as conservative DPO.

    The reference is the model as it is at the start, its adapter included.
    """

    inputs = PAIRS
    needs_reference = True

    class Config(Settings):
        """Settings of direct preference optimisation."""

        learning_rate: float = Field(
            5e-6, gt=0, description="Peak learning rate of AdamW (betas 0.9 and 0.999, eps 1e-8). 5e-6 suits LoRA."
        )
        beta: float = Field(0.1, gt=0, description="How hard the model is held to the reference; larger is nearer.")

        @model_validator(mode="after")
        def _no_dropout(self) -> DPO.Config:
            if self.lora is not None and self.lora.dropout > 0:
                raise ValueError("lora.dropout is not used with a reference model; remove it")
            return self

    def example(self, record: Record, encoder: Encoder) -> Example:
        return pair(record, encoder)

    def loss(self, logps: Logps) -> Tensor:
        from itune_trainers.losses import dpo_loss

        return dpo_loss(*sides(logps), beta=self.config.beta, probability=logps.labels)

    def figures(self, logps: Logps) -> Mapping[str, Tensor]:
        chosen, rejected, reference_chosen, reference_rejected = sides(logps)
        reward_chosen = self.config.beta * (chosen - reference_chosen)
        reward_rejected = self.config.beta * (rejected - reference_rejected)
        return {
            "rewards/chosen": reward_chosen,
            "rewards/rejected": reward_rejected,
            "rewards/margins": reward_chosen - reward_rejected,
            "rewards/accuracies": (reward_chosen > reward_rejected).float(),
            "logps/chosen": chosen,
            "logps/rejected": rejected,
        }
