"""Preferences between answers of the policy that a reward asks for: statistical rejection sampling (RSO)."""

from __future__ import annotations

import random
from collections.abc import Generator as PyGenerator
from collections.abc import Iterator
from typing import Any

from pydantic import Field

from itune_core.api import Context, Created, Drop, Failed, Inputs, Kind, Record, Rejected, hookimpl
from itune_generators.choosing.acceptance import acceptance_rate, accepted
from itune_generators.choosing.pairing import KNOCKOUT, Knockout, paired
from itune_generators.choosing.preferring import LABELS, Labels, preferences
from itune_generators.choosing.rewarding import Rewarding, RewardSettings
from itune_generators.recording.figures import mean, reported

NAME = "rejection_sampling"


class RejectionSampling(Rewarding):
    """Of a policy's answers accept some as if the optimal policy had drawn them, and make preferences of those.

    Direct methods such as DPO estimate the policy that is optimal for a reward, and for that ask for preferences
    between answers of that policy. It is ``pi(y|x) * exp(r(x, y) / beta)``, normalised, and RSO draws from it with what
    the policy pi has drawn: candidates are shuffled and gone through in passes, in each of which one is accepted with
    probability ``exp((r - r_max) / beta)``, ``r_max`` the largest reward of those that were left at its beginning,
    until ``accept`` of them are; the last pass ends there. The best that is left is always accepted. Where there are no
    more candidates than that, all are. Answers that say the same are candidates of their own.

    The accepted ones are drawn against each other, and the one of higher reward is the chosen one. RSO takes 64
    candidates at temperature 0.7 from the 40 likeliest tokens (``candidates`` with ``n: 64, temperature: 0.7,
    top_k: 40``), and trains with `rso-sigmoid` or `rso-hinge`. Its reward is the logit with which a judge of pairs
    prefers an answer to a fixed other one; a reward model's differs from that by a constant of the prompt, which
    acceptance and pairs do not depend on.

    ``margin`` is the difference of the rewards. ``meta`` has ``{"rejection_sampling": {"candidates": 64, "accepted": 8,
    "acceptance_rate": 0.21, "mean_reward": of the candidates, "accepted_reward": of the accepted}, "pair": {"scores":
    [chosen, rejected], "models": who wrote them, if the candidates say so}}``, and the progress at the end of the step
    the means. The acceptance rate is that of a first pass: ``beta`` is too small where it is near ``1 / n``, since then
    the best are taken, whatever the policy.

    Rejected, of two that were drawn against each other: ``equal-scores``, ``equal-responses`` (what would be compared
    is the same text). Dropped: ``too-few-candidates`` (fewer than two) and, where no pair is left, one of these two.
    Failed: ``E-GEN-010`` a candidate has no score and nobody judges it, ``E-GEN-011`` or
    ``E-DATA-039`` a reward is no finite number, or the function raised ValueError; and records that the reward model
    cannot judge.

    Source: arXiv:2309.06657.
    """

    produces = Kind.PREFERENCE

    class Config(RewardSettings):
        accept: int = Field(8, ge=2, description="How many candidates to accept of each record.")
        beta: float = Field(
            0.5,
            gt=0,
            description="How much reward is worth a unit of divergence from the policy: large, the policy's own "
            "answers; small, the best ones.",
        )
        pairs: Knockout = Field("first-round", description=f"How the accepted make pairs. {KNOCKOUT}")
        labels: Labels = Field("hard", description=LABELS)

    @hookimpl
    def itune_generate(
        self, inputs: Inputs, context: Context
    ) -> Iterator[tuple[str, Created | Rejected | Drop | Failed]]:
        made = super().itune_generate(inputs, context)
        return reported(made, context, NAME, ("acceptance_rate", "mean_reward", "accepted_reward"))

    def generate(self, record: Record, rng: random.Random) -> PyGenerator[Any, Any, Drop | None]:
        """Ask for the rewards of all candidates at once; yield a preference for each pair of accepted ones.

        Raises:
            RowError: as :meth:`Rewarding.rewards`.
        """
        settings = self.config
        candidates = record["candidates"]
        if len(candidates) < 2:
            return Drop("too-few-candidates", f"{len(candidates)}")
        rewards = yield from self.rewards(record, candidates)
        taken = accepted(rewards, settings.accept, settings.beta, rng)
        kept = [rewards[place] for place in taken]
        told = {
            "candidates": len(candidates),
            "accepted": len(taken),
            "acceptance_rate": acceptance_rate(rewards, settings.beta),
            "mean_reward": mean(rewards),
            "accepted_reward": mean(kept),
        }
        pairs = paired(kept, settings.pairs, rng)
        made = preferences(
            record, [candidates[place] for place in taken], kept, pairs, labels=settings.labels, meta={NAME: told}
        )
        if isinstance(made, Drop):
            return made
        yield from made
        return None
