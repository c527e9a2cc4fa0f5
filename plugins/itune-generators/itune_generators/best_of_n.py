"""The best of several answers to a prompt, by a reward."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Generator as PyGenerator
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field

from itune_core.api import (
    Context,
    Created,
    Drop,
    Failed,
    Inputs,
    Kind,
    Record,
    Rejected,
    conversation,
    hookimpl,
    ranking,
)
from itune_generators.choosing.rewarding import Rewarding, RewardSettings
from itune_generators.recording.carrying import CARRIED
from itune_generators.recording.figures import mean, reported

NAME = "best_of_n"


class BestOfN(Rewarding):
    """Have the candidates of a ranking judged, and keep the best, or all with their scores.

    ``keep: best`` gives a conversation with the best candidate for its answer, to train on: RAFT's and expert
    iteration's step. Of several best ones it is the first. ``keep: all`` gives the ranking again, best first, with the
    rewards for scores: what RRHF, ``generators/pairs`` and ``generators/rejection-sampling`` read. Preferences are cast
    to rankings of two.

    A reward model is a step that uses `trainers/reward`, or a saved model of that kind. A function is one that
    `scorers/reward` takes, too: called with the prompt and the answer, each a list of messages, it gives a number. With
    neither, the candidates' own scores count.

    How far the choice can be from the policy that drew the n candidates is bounded: ``KL <= log n - (n - 1) / n``, in
    nats, whatever the reward, ties included. ``meta`` has it for each record, ``{"best_of_n": {"n": 16, "reward":
    of the best, "mean_reward": of all, "kl_bound": 1.835}}``, and the progress at the end of the step their means. In a
    conversation ``meta`` also names the ``model`` that wrote the answer, if the candidate does.

    Dropped: ``no-candidates``. Failed: ``E-GEN-010`` a candidate has no score and nobody judges it, ``E-GEN-011`` or
    ``E-DATA-039`` a reward is no finite number, or the function raised ValueError; and records that the reward model
    cannot judge.

    Source: arXiv:2304.06767 (RAFT), arXiv:2305.14387 (expert iteration), arXiv:2401.01879 (the bound).
    """

    produces = Kind.CONVERSATION

    class Config(RewardSettings):
        n: int | None = Field(
            None,
            ge=1,
            description="Choose among the first so many candidates of each record: of 16 that were drawn alike, the "
            "first 4 are a best-of-4. Unset: among all.",
        )
        keep: Literal["best", "all"] = Field(
            "best", description="best: a conversation with the best one; all: a ranking of all, best first, scored."
        )

    @classmethod
    def produces_for(cls, config: Config) -> Kind:
        return Kind.CONVERSATION if config.keep == "best" else Kind.RANKING

    @hookimpl
    def itune_generate(
        self, inputs: Inputs, context: Context
    ) -> Iterator[tuple[str, Created | Rejected | Drop | Failed]]:
        made = super().itune_generate(inputs, context)
        return reported(made, context, NAME, ("kl_bound", "reward", "mean_reward"))

    def generate(self, record: Record, rng: random.Random) -> PyGenerator[Any, Any, Drop | None]:
        """Ask for the rewards of all at once; yield the best, or all.

        Raises:
            RowError: as :meth:`Rewarding.rewards`.
        """
        candidates = record["candidates"][: self.config.n]
        if not candidates:
            return Drop("no-candidates")
        rewards = yield from self.rewards(record, candidates)
        order = sorted(range(len(rewards)), key=lambda place: -rewards[place])
        told = {
            "n": len(rewards),
            "reward": rewards[order[0]],
            "mean_reward": mean(rewards),
            "kl_bound": kl_bound(len(rewards)),
        }
        if self.config.keep == "best":
            best = candidates[order[0]]
            wrote = {} if best["model"] is None else {"model": best["model"]}
            meta = json.dumps({**wrote, NAME: told}, ensure_ascii=False)
            turns = [*record["prompt"], *best["completion"]]
            yield Created(conversation(turns, **record.take(CARRIED), meta=meta), parents=[record["id"]])
        else:
            scored = [{**candidates[place], "score": rewards[place]} for place in order]
            made = ranking(record["prompt"], scored, **record.take(CARRIED), meta=json.dumps({NAME: told}))
            yield Created(made, parents=[record["id"]])
        return None


def kl_bound(n: int) -> float:
    """What the divergence of best-of-n from the policy that it draws from cannot exceed, in nats: ``log n - (n-1)/n``.

    It is reached where no two answers have the same reward and each is drawn but rarely. Source: arXiv:2401.01879.
    """
    return math.log(n) - (n - 1) / n
