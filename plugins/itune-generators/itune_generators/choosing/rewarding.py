"""How good the candidates of a ranking are: by a reward model, by a function, or by the scores that they have."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Generator as PyGenerator
from typing import Any, Self

from pydantic import Field, model_validator

from itune_core.api import (
    AnswerRewards,
    ComponentConfig,
    Context,
    Created,
    Drop,
    Failed,
    Function,
    Generator,
    Input,
    Inputs,
    Kind,
    Message,
    ModelRef,
    Record,
    Rejected,
    Rewards,
    RowError,
    hookimpl,
    rewarded,
)

Candidate = Mapping[str, Any]
"""One of a ranking: ``completion``, ``model`` and ``score``."""


class RewardSettings(ComponentConfig):
    """What finds candidates good."""

    reward: ModelRef | None = Field(
        None, description="A reward model, or the step that trains one.", examples=["judge"]
    )
    python: Function | None = Field(
        None,
        description="A function of an allowed distribution in its place, `package.module:function`, as for "
        "`scorers/reward`. With neither, the scores that the candidates have.",
    )
    max_length: int = Field(
        2048, ge=2, description="Most tokens of prompt and answer together; a longer record fails, nothing is cut."
    )

    @model_validator(mode="after")
    def _one_judge(self) -> Self:
        if self.reward is not None and self.python is not None:
            raise ValueError("set either reward or python")
        return self


class Rewarding(Generator):
    """A generator that reads rankings and asks how good their candidates are."""

    inputs = {"records": Input((Kind.RANKING,))}
    _function: Callable[..., Any] | None = None

    @hookimpl
    def itune_generate(
        self, inputs: Inputs, context: Context
    ) -> Iterator[tuple[str, Created | Rejected | Drop | Failed]]:
        if self.config.python is not None:
            self._function = context.function(self.config.python)
        return super().itune_generate(inputs, context)

    def rewards(
        self, record: Record, candidates: Sequence[Candidate]
    ) -> PyGenerator[Rewards, AnswerRewards, list[float]]:
        """How good each of some candidates of `record` is; finite numbers, larger is better.

        Raises:
            RowError: ``E-GEN-010`` neither model nor function is set, and one has no score; ``E-GEN-011`` the model
                gave no finite number; ``E-DATA-039`` the function gave none, or raised ValueError; and what the backend
                says of rows that it cannot judge.
        """
        answers: list[Sequence[Message]] = [candidate["completion"] for candidate in candidates]
        if self.config.reward is not None:
            judged = yield Rewards(self.config.reward, record["prompt"], answers, self.config.max_length)
            return [_finite(value) for value in judged.values]
        if self._function is not None:
            return [rewarded(self._function, record["prompt"], answer) for answer in answers]
        return scores(candidates)


def scores(candidates: Sequence[Candidate]) -> list[float]:
    """The scores that candidates have.

    Raises:
        RowError: ``E-GEN-010`` one has none.
    """
    for number, candidate in enumerate(candidates):
        if candidate["score"] is None:
            raise RowError(
                f"candidate {number} has no score",
                "E-GEN-010",
                fix="have them judged: generators/best-of-n with `keep: all` and a reward",
            )
    return [candidate["score"] for candidate in candidates]


def _finite(reward: Any) -> float:
    if isinstance(reward, bool) or not isinstance(reward, (int, float)) or not math.isfinite(reward):
        raise RowError(f"the reward model gave {reward!r:.80}", "E-GEN-011", why="a finite number was expected")
    return float(reward)
