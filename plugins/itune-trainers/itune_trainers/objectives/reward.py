"""Reward models: learn from comparisons how good an answer is, as one number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from itune_core.api import Record, RowError
from itune_trainers.algorithm import Logps
from itune_trainers.pairs import Answers, PairObjective, Pairs, PairSettings
from itune_trainers.rows.encoder import Encoder
from itune_trainers.rows.example import Example

if TYPE_CHECKING:
    from torch import Tensor


class Reward(PairObjective):
    r"""A reward model by the Bradley-Terry model of comparisons.

    .. math:: -\log \sigma(r(w) - r(l) - m) + c (r(w) + r(l))^2

    with :math:`r` the reward of an answer given its prompt, read from the state of the row's last token by a head that
    is trained in full, :math:`w` the chosen answer, :math:`l` the rejected one, :math:`m` the record's margin
    (`margins`) and :math:`c` the weight of `centring`. A record's `probability` p, of a preference that a model gave,
    makes the loss the expectation: p times that of the pair and 1 - p times that of the pair the other way round.

    It starts from a language model, whose LM head gives way to a new head drawn from the step's seed, or from a reward
    model. `scorers/reward` asks the result by the name of the step.

    Of held-out pairs it says ``eval/accuracy``, the share in which the chosen answer has the larger reward, and beside
    it ``eval/length_only_accuracy``, the share in which the chosen answer has more tokens: what a model would reach
    that had learned nothing else (ties count half in both). ``eval/length_correlation`` is Spearman's rank correlation
    of reward and tokens over all held-out answers; it is left out where all rewards, or all lengths, are equal.

    Of an answer that ``overlength: truncate-response`` cut, the reward is read from the last token that is left, while
    `scorers/reward` cuts nothing: ``drop`` and ``truncate-prompt`` keep the two alike.

    A record fails with ``E-TRAIN-050`` where `margins` are asked for and it has none.

    Source: arXiv:2203.02155, equation 1; margin: arXiv:2307.09288, equation 2; centring: arXiv:2312.09244, equation 2.
    """

    architecture = "reward"

    class Config(PairSettings):
        """Settings of a reward model."""

        learning_rate: float = Field(
            1e-4, gt=0, description="Peak learning rate of AdamW (betas 0.9 and 0.999, eps 1e-8). 1e-4 suits LoRA."
        )
        margins: bool = Field(
            False, description="Ask for a difference larger than the record's `margin`, which every record must have."
        )
        centring: float = Field(
            0.0, ge=0, description="How hard rewards are drawn towards 0, which no comparison does; 0.01 is usual."
        )

    def example(self, record: Record, encoder: Encoder) -> Example:
        pair = super().example(record, encoder)
        if not self.config.margins:
            return pair
        margin = record["margin"]
        if margin is None:
            raise RowError(
                "the pair has no margin", "E-TRAIN-050", fix="remove margins, or filter out the pairs that have none"
            )
        return Example(pair.id, pair.rows, pair.label, scores=(margin, 0.0))

    def pair_loss(self, pairs: Pairs) -> Tensor:
        from itune_trainers.losses import bradley_terry_loss

        return bradley_terry_loss(
            pairs.chosen.logps, pairs.rejected.logps, margin=pairs.margin, centring=self.config.centring
        )

    def reward(self, answers: Answers) -> Tensor:
        return answers.logps

    def figures(self, logps: Logps) -> Mapping[str, Tensor]:
        return {name: values for name, values in super().figures(logps).items() if name.startswith("rewards/")}

    def summary(self, logps: Logps) -> Mapping[str, float]:
        from scipy.stats import spearmanr

        found = {
            "accuracy": _share_larger(logps.policy.view(-1, 2)),
            "length_only_accuracy": _share_larger(logps.tokens.view(-1, 2)),
        }
        rewards, lengths = logps.policy.tolist(), logps.tokens.tolist()
        if len(set(rewards)) > 1 and len(set(lengths)) > 1:
            found["length_correlation"] = float(spearmanr(rewards, lengths).statistic)
        return found


def _share_larger(pairs: Tensor) -> float:
    """Of (P, 2) numbers the share of rows whose first is the larger; equal ones count half."""
    first, second = pairs.unbind(-1)
    larger, equal = (first > second).sum().item(), (first == second).sum().item()
    return (larger + equal / 2) / len(pairs)
