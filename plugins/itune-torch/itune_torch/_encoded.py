"""A tokenised row, and what becomes of one that is too long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from itune_core.api import RowError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Overlength = Literal["error", "drop", "truncate-prompt", "truncate-response"]


@dataclass(frozen=True)
class Encoded:
    """One tokenised row.

    Attributes:
        ids: token ids.
        trained: for each token whether it is trained, i.e. whether its log-probability enters a loss.
        cut: how many tokens the overlength policy removed.
        lost_end: the cut took trained tokens off the end, so the model does not see this row stop.
        merged: how many tokens span a boundary between trained and untrained text: there the model is trained on a
            token it does not meet at inference. Each counts as trained where the trained text follows, else as
            untrained.
    """

    ids: list[int]
    trained: list[bool]
    cut: int = 0
    lost_end: bool = False
    merged: int = 0

    @property
    def supervised(self) -> int:
        """The number of trained tokens that can be predicted: all but one that opens the row."""
        return sum(self.trained[1:])


def fit(
    encoded: Encoded,
    tokenizer: PreTrainedTokenizerBase,
    max_length: int | None,
    overlength: Overlength,
    row: str | None,
) -> Encoded | None:
    """Apply the overlength policy, and refuse a row that trains nothing."""
    excess = 0 if max_length is None else max(0, len(encoded.ids) - max_length)
    if excess and overlength == "drop":
        return None
    if excess and overlength == "error":
        raise RowError(
            f"the row has {len(encoded.ids)} tokens, more than max_length {max_length}",
            "E-TORCH-017",
            where=row,
            fix="raise max_length, or say what to do with such rows: overlength: drop, truncate-prompt or "
            "truncate-response",
        )
    if excess and overlength == "truncate-response":
        lost = any(encoded.trained[-excess:])
        encoded = Encoded(encoded.ids[:-excess], encoded.trained[:-excess], excess, lost, encoded.merged)
    elif excess:
        keep = 1 if encoded.ids[0] == tokenizer.bos_token_id else 0
        prompt = encoded.trained.index(True) if any(encoded.trained) else len(encoded.ids)
        if excess >= prompt:  # the first trained token must keep something to be predicted from
            raise RowError(
                f"the row is {excess} tokens over max_length {max_length}; its prompt has only {prompt} to cut from",
                "E-TORCH-018",
                where=row,
                fix="raise max_length, or use overlength: drop or truncate-response",
            )
        ids = encoded.ids[:keep] + encoded.ids[keep + excess :]
        trained = encoded.trained[:keep] + encoded.trained[keep + excess :]
        encoded = Encoded(ids, trained, excess, False, encoded.merged)
    if not encoded.supervised:
        raise RowError(
            "the row has no token to train on",
            "E-TORCH-019",
            where=row,
            why="the cut took them all" if encoded.cut else "no message of it is trained, or what is trained is empty",
            fix="filter such rows out, set train: true on a message, or raise max_length",
        )
    return encoded
