"""Supervised fine-tuning of encoder-decoder models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from itune_core.api import Input, Kind, Record
from itune_trainers.rows.encoder import Encoder
from itune_trainers.rows.example import Example
from itune_trainers.supervised import SupervisedObjective, SupervisedSettings

if TYPE_CHECKING:
    pass

ROWS = (Kind.CONVERSATION,)


class Seq2SeqSFT(SupervisedObjective):
    """Supervised fine-tuning of an encoder-decoder model (T5, FLAN-T5, BART) on conversations.

    The encoder reads all but the last message, the decoder learns to write that one, the assistant's, with its end
    token; the loss is its negative log-likelihood. With a chat template the encoder reads what that makes of the
    messages. The T5 family has none: the encoder then reads the user's message as it is, behind the system's and a
    blank line if there is one. ``max_length`` bounds source and target together. Dropout is what the model's config
    says (T5: 0.1).

    Dropped: ``over-length``, where ``overlength`` says so. Failed: ``E-TRAIN-061`` by its ``train`` flags
    the last message is not trained, or not alone; ``E-TORCH-041`` several turns or tool calls, and no chat
    template; ``E-TORCH-042`` the tokenizer has no token for a character of the answer (T5 has none for braces).
    Refused: ``E-TRAIN-060`` a model that is no encoder-decoder.

    Source: "Scaling Instruction-Finetuned Language Models", arXiv:2210.11416; the model: arXiv:1910.10683.
    """

    architecture = "seq2seq"
    inputs = {"train": Input(ROWS), "eval": Input(ROWS, required=False)}

    class Config(SupervisedSettings):
        """Settings of supervised fine-tuning of encoder-decoder models."""

        learning_rate: float = Field(
            5e-4, gt=0, description="Peak learning rate of AdamW (betas 0.9 and 0.999, eps 1e-8). 5e-4 suits LoRA."
        )
        # A setting of the result here, unlike elsewhere: every decoder layer adds to the gradient of what the encoder
        # gave, and recomputed layers add up in another order.
        gradient_checkpointing: bool = Field(
            False, description="Compute activations again in the backward pass: less memory, about 30 % slower."
        )

    def example(self, record: Record, encoder: Encoder) -> Example:
        return Example(record["id"], (encoder.source_target(record),))
