"""Conditional tuning: a control token tells the model how good an answer it is to give."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator, model_validator

from itune_core.api import DataError, Input, Kind, ModelError, Record, RowError
from itune_trainers.algorithm import Logps
from itune_trainers.rows.encoder import Encoder
from itune_trainers.rows.example import Example
from itune_trainers.supervised import SupervisedObjective, SupervisedSettings

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase


class Conditional(SupervisedObjective):
    """Supervised tuning on answers good and bad, each after a control token that says which it is.

    The loss is the negative log-likelihood of the answer, the end of its turn included. The control token belongs to
    the prompt: it stands right before the answer, after whatever opens the assistant's turn, and is not trained on.
    Earlier turns of the assistant begin with it as well.

    With ``by: label`` an answer that was not liked gets the first of `tokens`, one that was the second. With ``by:
    value`` there are as many quantiles of the training records' values as `tokens`: with n records in order of their
    values and K tokens, number k (from 0) begins at the record at place ``ceil(k * n / K)``. Equal values get the same
    token, the highest of those they fall on. Held-out records get theirs by the values of the training records.

    A control token is a text that the tokenizer reads as it reads any: one token where the vocabulary has it (a
    reserved one, say), else its pieces. Nothing is added to the vocabulary, so adapters and every backend work. One
    that is no token of its own should end in a line break, as the default does, lest its last piece be one with the
    answer's first.

    The model is saved with a chat template whose generation prompt ends with the best token, so whoever asks it asks
    for its best. The template's variable ``control`` asks for another: ``template: {control: "<|bad|>\\n"}`` in a
    model of the backend `transformers`. A template that puts something between generation prompt and answer cannot
    carry control tokens: its records fail with ``E-TORCH-013``.

    Failed: ``E-TRAIN-071`` the record has no label, or no value; ``E-TRAIN-072`` its text holds a control token.
    Refused: ``E-TRAIN-073`` the tokenizer has no chat template, or several; ``E-TRAIN-074`` a token that no training
    record gets.

    Source: decision transformers, arXiv:2106.01345; by quantiles of a reward, Quark, arXiv:2205.13636; on preference
    data, arXiv:2302.08582 and the conditional tuning of HALOs, arXiv:2402.01306.
    """

    inputs = {"train": Input((Kind.FEEDBACK,)), "eval": Input((Kind.FEEDBACK,), required=False)}

    class Config(SupervisedSettings):
        """Settings of conditional tuning."""

        learning_rate: float = Field(
            1e-4, gt=0, description="Peak learning rate of AdamW (betas 0.9 and 0.999, eps 1e-8). 1e-4 suits LoRA."
        )
        by: Literal["label", "value"] = Field(
            "label", description="What of a record chooses its token: whether its answer was liked, or its value."
        )
        tokens: list[str] = Field(
            ["<|bad|>\n", "<|good|>\n"],
            min_length=2,
            description="Control tokens from worst to best: two of labels; of values one for each quantile.",
        )

        @field_validator("tokens")
        @classmethod
        def _distinct(cls, tokens: list[str]) -> list[str]:
            if len({token.strip() for token in tokens}) < len(tokens) or not all(token.strip() for token in tokens):
                raise ValueError("tokens must differ from each other, and none may be blank")
            return tokens

        @model_validator(mode="after")
        def _two_of_labels(self) -> Conditional.Config:
            if self.by == "label" and len(self.tokens) != 2:
                raise ValueError(f"by: label has two tokens, worst and best, not {len(self.tokens)}; or set by: value")
            return self

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self._starts: list[float] = []  # the least value of each quantile but the first

    def prepare(self, tokenizer: PreTrainedTokenizerBase, rows: Dataset) -> None:
        """Write control tokens into the chat template; find the quantiles of the values."""
        from itune_trainers.rows.control import controlled

        template = tokenizer.chat_template
        if not isinstance(template, str):
            raise ModelError(
                "E-TRAIN-073",
                f"the tokenizer of {self.config.model!r} has {'several chat templates' if template else 'none'}",
                why="the chat template carries the control tokens",
                fix="use a model whose tokenizer has one chat template",
            )
        tokenizer.chat_template = controlled(template, self.config.tokens[-1])
        known = [value for value in rows[self.config.by][:] if value is not None]
        if self.config.by == "value" and known:
            self._starts = quantile_starts(known, len(self.config.tokens))
        places = Counter(map(self._place, known))
        unused = [token for place, token in enumerate(self.config.tokens) if not places[place]]
        if unused and known:
            by_value = self.config.by == "value"
            raise DataError(
                "E-TRAIN-074",
                f"no training record gets the control token {unused[0]!r}",
                why="too many records have the same value" if by_value else "all have the same label",
                fix="name fewer tokens" if by_value else "give answers of both sorts, or use trainers/sft",
            )

    def _place(self, known: bool | float) -> int:
        """Number of the token of a label or value."""
        return bisect_right(self._starts, known) if self.config.by == "value" else int(known)

    def example(self, record: Record, encoder: Encoder) -> Example:
        known = record[self.config.by]
        if known is None:
            raise RowError(
                f"the record has no {self.config.by} to choose a control token by",
                "E-TRAIN-071",
                fix=f"set its {self.config.by}, or filter such records out",
            )
        self._refuse_tokens(record)
        place = self._place(known)
        encoder = encoder.using(control=self.config.tokens[place])
        return Example(record["id"], (encoder.completion(record, "completion"),), label=float(place))

    def _refuse_tokens(self, record: Record) -> None:
        """A typed control token would be read as one."""
        for turn in (*record["prompt"], *record["completion"]):
            for token in self.config.tokens:
                if token.strip() in (turn["content"] or ""):
                    raise RowError(
                        f"the text holds the control token {token.strip()!r}",
                        "E-TRAIN-072",
                        why="the model would take it for a wish",
                        fix="filter such records out, or choose other tokens",
                    )

    def figures(self, logps: Logps) -> Mapping[str, Tensor]:
        """The loss of the answers of each token, a mean over rows."""
        loss = self.loss(logps)
        return {
            f"loss/{name}": loss.where(logps.labels == place, loss.new_tensor(math.nan))
            for place, name in enumerate(self._names)
        }

    def counts(self, examples: Sequence[Example]) -> Mapping[str, Any]:
        places = Counter(int(example.label) for example in examples)
        return {f"records/{name}": places[place] for place, name in enumerate(self._names)}

    @property
    def _names(self) -> Sequence[str]:
        """Of the tokens, in figures: from worst to best."""
        if self.config.by == "label":
            return ("bad", "good")
        return [str(place) for place in range(len(self.config.tokens))]


def quantile_starts(values: Sequence[float], quantiles: int) -> list[float]:
    """(quantiles - 1,) the least value of each quantile but the first; n values in order, quantile k begins at place
    ``ceil(k * n / quantiles)``."""
    ordered = sorted(values)
    return [ordered[min(-(-k * len(ordered) // quantiles), len(ordered) - 1)] for k in range(1, quantiles)]
