"""What the objectives have in common that learn the answers of single rows by heart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from itune_trainers.algorithm import Logps
from itune_trainers.objective import Objective
from itune_trainers.rows.example import Example
from itune_trainers.settings import Settings

if TYPE_CHECKING:
    from torch import Tensor


class SupervisedSettings(Settings):
    """Settings of an objective whose loss is the likelihood of answers."""

    normalise: Literal["token", "sequence"] = Field(
        "token",
        description="What the loss is a mean over: all supervised tokens of the batch, or its rows (a token of a "
        "short answer then counts more).",
    )


class SupervisedObjective(Objective):
    """The negative log-likelihood of a row's supervised tokens. Left to write: :meth:`example`."""

    class Config(SupervisedSettings):
        """No settings of its own."""

    def loss(self, logps: Logps) -> Tensor:
        from itune_trainers.losses import sft_loss

        return sft_loss(logps.policy, logps.tokens)

    def weight(self, example: Example) -> float:
        return float(example.supervised) if self.config.normalise == "token" else 1.0
