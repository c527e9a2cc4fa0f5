"""Held-out preferences: does a model find the better of two answers the more likely one, and by how much."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from statistics import NormalDist, fmean
from typing import Any

from pydantic import Field

from itune_core.api import Evaluator, Input, Kind, LogProbs, Message, ModelRef, Record, TokenLogProbs
from itune_evaluators.intervals import standard_error, wilson

Z = NormalDist().inv_cdf(0.975)


class Preference(Evaluator):
    r"""Margins of log-probability between chosen and rejected answers.

    With :math:`\log\pi(y)` the sum over the tokens of answer y, its end-of-turn token included, and a `reference`
    model, the margin of a pair is

    .. math:: (\log\pi(w) - \log\pi_0(w)) - (\log\pi(l) - \log\pi_0(l)),

    DPO's implicit reward without its beta; without a reference it is :math:`\log\pi(w) - \log\pi(l)`. The first says
    what training moved; the second what the model thinks, in which a longer answer is less likely for its length alone.
    Either way the reference-free figure is given per token, too. Figures of a model:

    - ``accuracy``: share of pairs whose margin is above 0, a margin of 0 counting half; ``accuracy_low`` and
      ``accuracy_high`` are its 95 % Wilson interval;
    - ``margin``: mean, in nats; ``margin_low`` and ``margin_high`` its 95 % normal interval (from two pairs on);
    - ``chosen`` and ``rejected``: the mean of each side of the margin, so that a margin that grows because both fall
      shows;
    - ``token_accuracy``: share of pairs whose chosen answer has the higher mean log-probability of a token;
    - ``pairs``: how many there are.

    Soft labels are not read: the chosen answer counts as the better one.

    Source: reward accuracies and margins as in DPO, arXiv:2305.18290.
    """

    inputs = {"records": Input((Kind.PREFERENCE,))}

    class Config(Evaluator.Config):
        reference: ModelRef | None = Field(
            None, description="Model whose log-probabilities are subtracted, the one that training began with, say."
        )
        max_length: int = Field(
            2048, ge=2, description="Most tokens of prompt and answer together; a longer record fails, never cut."
        )

    def evaluate(self, record: Record, model: str) -> Generator[Any, Any, Mapping[str, Any]]:
        """Score both answers of `record`.

        Returns:
            ``chosen`` and ``rejected``, in nats, less those of the reference if there is one; ``margin``; and
            ``token_margin``, the difference of the means over tokens, in nats per token, with no reference.
        """
        found: dict[str, Any] = {}
        means = {}
        for side in ("chosen", "rejected"):
            scored = yield self._asked(model, record, record[side])
            found[side], means[side] = scored.sum, scored.sum / len(scored)
            if self.config.reference is not None:
                known: TokenLogProbs = yield self._asked(self.config.reference, record, record[side])
                found[side] -= known.sum
        found["margin"] = found["chosen"] - found["rejected"]
        found["token_margin"] = means["chosen"] - means["rejected"]
        return found

    def _asked(self, model: str, record: Record, answer: Sequence[Message]) -> LogProbs:
        return LogProbs(model, record["prompt"], answer, self.config.max_length)

    def summarise(self, rows: Sequence[Mapping[str, Any]]) -> Mapping[str, float]:
        """The figures of one model."""
        margins = [row["margin"] for row in rows]
        won = _won(margins)
        low, high = wilson(won, len(rows))
        figures = {
            "accuracy": won / len(rows),
            "accuracy_low": low,
            "accuracy_high": high,
            "margin": fmean(margins),
            "chosen": fmean(row["chosen"] for row in rows),
            "rejected": fmean(row["rejected"] for row in rows),
            "token_accuracy": _won([row["token_margin"] for row in rows]) / len(rows),
            "pairs": len(rows),
        }
        error = standard_error(margins)
        if error is not None:
            figures |= {"margin_low": figures["margin"] - Z * error, "margin_high": figures["margin"] + Z * error}
        return figures


def _won(margins: Sequence[float]) -> float:
    """How many are above 0; one that is 0 counts half."""
    return sum(1.0 if margin > 0 else 0.5 if margin == 0 else 0.0 for margin in margins)
