"""Kahneman-Tversky optimisation: from answers that were liked or not, without pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from itune_core.api import Input, Kind, Record, RowError
from itune_trainers.algorithm import Logps
from itune_trainers.objective import Objective
from itune_trainers.pairs import ReferenceSettings
from itune_trainers.rows.encoder import Encoder
from itune_trainers.rows.example import Example

if TYPE_CHECKING:
    from torch import Tensor


class KTO(Objective):
    r"""Kahneman-Tversky optimisation: learns from single answers and whether each was liked.

    .. math::
        \lambda_D\, (1 - \sigma(\beta (\delta(y) - z))) \text{ if } y \text{ was liked, else }
        \lambda_U\, (1 - \sigma(\beta (z - \delta(y))))

    with :math:`z = \max(0, \operatorname{mean} \delta(y'))` over mismatched rows, each a prompt of the batch with the
    answer to another prompt: an estimate of the divergence from the reference, through which no gradient goes. It is
    one number for all records of an optimiser step.

    Here a record has the same mismatched answer in every epoch, that of a record before it in the data set with another
    prompt (see :func:`~itune_trainers.rows.mismatched.with_mismatched`), so that its log-probability under the
    reference is computed once and kept. TRL rotates answers within each batch of the data set, for which it must
    neither shuffle nor have batches of one, and takes what stands before a record also where it answers the same
    prompt. Where a batch is the whole data set and no prompt comes twice, both have the same rows. A mismatched row
    that is longer than `max_length` loses the end of its answer. Prompts that ``overlength: truncate-prompt`` cut at
    different places are different prompts.

    Preference pairs are cast to feedback: of each, one answer was liked and one was not. Where there are more of one
    sort, the weights make up for it: the paper advises :math:`\lambda_D n_D / \lambda_U n_U` between 1 and 4/3. The
    metric ``desirable_ratio`` says what it is, and the report remarks on one outside.

    Failed: ``E-TRAIN-071`` the record does not say whether its answer was liked. Refused: ``E-TRAIN-070`` more than
    half of the records have the same prompt.

    Source: arXiv:2402.01306, equations 7 and 8.
    """

    inputs = {"train": Input((Kind.FEEDBACK,)), "eval": Input((Kind.FEEDBACK,), required=False)}
    needs_reference = True

    class Config(ReferenceSettings):
        """Settings of Kahneman-Tversky optimisation."""

        desirable_weight: float = Field(1.0, gt=0, description="lambda_D: weight of an answer that was liked.")
        undesirable_weight: float = Field(1.0, gt=0, description="lambda_U: weight of an answer that was not.")

    def example(self, record: Record, encoder: Encoder) -> Example:
        liked = record["label"]
        if liked is None:
            raise RowError(
                "the record does not say whether its answer was liked: it has no label",
                "E-TRAIN-071",
                fix="set its label, or filter such records out; a value alone can be learned from by "
                "trainers/conditional with by: value",
            )
        return Example(record["id"], (encoder.completion(record, "completion"),), label=float(liked))

    def complete(self, examples: Sequence[Example]) -> list[Example]:
        from itune_trainers.rows.mismatched import with_mismatched

        return with_mismatched(examples, self.config.max_length)

    def baseline(self, logps: Logps) -> Tensor:
        assert logps.reference is not None
        return (logps.policy - logps.reference).mean().clamp(min=0)

    def loss(self, logps: Logps) -> Tensor:
        from itune_trainers.losses import kto_loss

        assert logps.reference is not None
        assert logps.baseline is not None
        return kto_loss(
            logps.policy - logps.reference,
            logps.labels > 0,
            beta=self.config.beta,
            baseline=logps.baseline,
            desirable_weight=self.config.desirable_weight,
            undesirable_weight=self.config.undesirable_weight,
        )

    def figures(self, logps: Logps) -> Mapping[str, Tensor]:
        assert logps.reference is not None
        assert logps.baseline is not None
        liked = logps.labels > 0
        reward = self.config.beta * (logps.policy - logps.reference)
        nothing = reward.new_tensor(float("nan"))
        return {
            "rewards/desirable": reward.where(liked, nothing),
            "rewards/undesirable": reward.where(~liked, nothing),
            "logps/desirable": logps.policy.where(liked, nothing),
            "logps/undesirable": logps.policy.where(~liked, nothing),
            "kl": logps.baseline.expand(len(liked)),
        }

    def counts(self, examples: Sequence[Example]) -> Mapping[str, Any]:
        liked = sum(example.label > 0 for example in examples)
        others = len(examples) - liked
        weights = self.config.desirable_weight / self.config.undesirable_weight
        return {
            "desirable": liked,
            "undesirable": others,
            "desirable_ratio": weights * liked / others if others else None,
        }
