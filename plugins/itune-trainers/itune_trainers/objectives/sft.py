"""Supervised fine-tuning: learn to give the answers that the records hold."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from itune_core.api import Input, Kind, Record
from itune_trainers.rows.encoder import Encoder
from itune_trainers.rows.example import Example
from itune_trainers.supervised import SupervisedObjective, SupervisedSettings

if TYPE_CHECKING:
    from torch import nn

ROWS = (Kind.CONVERSATION, Kind.TEXT)


class SFT(SupervisedObjective):
    """Supervised fine-tuning on conversations or plain text.

    The loss is the negative log-likelihood of what the assistant says, its end-of-turn token included; of a text, of
    all of it. Nothing of a prompt is trained.

    Source: the first step of InstructGPT, arXiv:2203.02155.
    """

    inputs = {"train": Input(ROWS), "eval": Input(ROWS, required=False)}

    class Config(SupervisedSettings):
        """Settings of supervised fine-tuning."""

        learning_rate: float = Field(
            1e-4, gt=0, description="Peak learning rate of AdamW (betas 0.9 and 0.999, eps 1e-8). 1e-4 suits LoRA."
        )
        share_prefix: bool = Field(
            False,
            description="Run what all rows of a pass begin with (a system message, demonstrations) once. The same up "
            "to rounding, faster where that is long; without dropout and noise only.",
        )
        neftune_alpha: float | None = Field(
            None,
            gt=0,
            description="Noise on the embeddings of a training step's tokens, uniform on +-alpha / sqrt(L d) for a row "
            "of L tokens and embeddings of d numbers (NEFTune, arXiv 2310.05914, where it is 5 to 15). unset: none.",
        )

        @model_validator(mode="after")
        def _nothing_random_is_shared(self) -> SFT.Config:
            noisy = {"neftune_alpha": self.neftune_alpha, "lora.dropout": self.lora.dropout if self.lora else 0.0}
            used = [name for name, value in noisy.items() if value]
            if self.share_prefix and used:
                raise ValueError(f"share_prefix would draw the same noise for all rows; remove it, or {used[0]}")
            return self

    @property
    def shares_prefix(self) -> bool:
        return bool(self.config.share_prefix)

    def example(self, record: Record, encoder: Encoder) -> Example:
        row = encoder.text(record) if record.kind is Kind.TEXT else encoder.conversation(record)
        return Example(record["id"], (row,))

    def in_step(self, model: nn.Module) -> AbstractContextManager[None]:
        if self.config.neftune_alpha is None:
            return super().in_step(model)
        from itune_trainers.model.neftune import noisy_embeddings

        return noisy_embeddings(model, self.config.neftune_alpha)
