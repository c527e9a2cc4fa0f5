"""Rank responses to align with human feedback: lists of scored answers, and no reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from itune_core.api import Input, Kind, Record, RowError
from itune_trainers.algorithm import Logps
from itune_trainers.objective import Objective
from itune_trainers.pairs import PairSettings
from itune_trainers.rows.encoder import Encoder
from itune_trainers.rows.example import Example

if TYPE_CHECKING:
    from torch import Tensor


class RRHF(Objective):
    r"""Rank responses to align language models with human feedback.

    .. math:: \lambda \sum_{r_i < r_j} \max(0, s_i - s_j) - m(y_{best}), \qquad s_i = \frac{\log \pi(y_i)}{|y_i|^a}

    with :math:`r` the scores of the candidates and :math:`m` the mean log-probability of a token. Equal scores are no
    order; of several best candidates the first is learned. Preference pairs are cast to lists of two.

    The paper's code has a weight :math:`\lambda` of 100 and its training script one of 1, which is the default here.
    The paper's supervised term is a sum over the tokens of the best answer, which its code divides by the length of the
    padded row; here it is divided by that of the answer.

    Failed: ``E-TRAIN-004`` fewer than two candidates, or one without a score.

    Source: arXiv:2304.05302.
    """

    inputs = {"train": Input((Kind.RANKING,)), "eval": Input((Kind.RANKING,), required=False)}

    class Config(PairSettings):
        """Settings of RRHF."""

        rank_weight: float = Field(1.0, ge=0, description="lambda: weight of the ranking; 0 learns the best answers.")
        length_power: float = Field(1.0, ge=0, description="a: what power of its length an answer is divided by.")

    def example(self, record: Record, encoder: Encoder) -> Example:
        candidates = record["candidates"]
        unscored = [number for number, candidate in enumerate(candidates) if candidate["score"] is None]
        if unscored or len(candidates) < 2:
            what = f"candidate {unscored[0]} has no score" if unscored else f"{len(candidates)} candidates"
            raise RowError(
                f"answers cannot be ranked: {what}",
                "E-TRAIN-004",
                why="the loss compares the scores of at least two answers",
                fix="score them, or filter such records out",
            )
        rows = tuple(encoder.answer(record, candidate["completion"]) for candidate in candidates)
        return Example(record["id"], rows, scores=tuple(candidate["score"] for candidate in candidates))

    def loss(self, logps: Logps) -> Tensor:
        import torch

        from itune_trainers.losses import rrhf_loss

        order = logps.policy / logps.tokens**self.config.length_power
        means = logps.policy / logps.tokens
        lists = zip(*(part.split(logps.rows.tolist()) for part in (order, means, logps.scores)), strict=True)
        return torch.stack([rrhf_loss(*one, weight=self.config.rank_weight) for one in lists])

    def figures(self, logps: Logps) -> Mapping[str, Tensor]:
        """The share of pairs with unlike scores that the model has in the right order, and the best answers' means."""
        import torch

        order = logps.policy / logps.tokens**self.config.length_power
        means = logps.policy / logps.tokens
        right, best = [], []
        for s, m, r in zip(*(part.split(logps.rows.tolist()) for part in (order, means, logps.scores)), strict=True):
            worse = r[:, None] < r[None, :]
            right.append((s[:, None] < s[None, :])[worse].float().mean() if worse.any() else s.new_tensor(1.0))
            best.append(m[r.argmax()])
        return {"ranking/accuracies": torch.stack(right), "logps/best": torch.stack(best)}
