"""How good an answer is, by a reward model."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

from pydantic import Field

from itune_core.api import (
    AnswerRewards,
    ComponentConfig,
    Input,
    Kind,
    ModelRef,
    Record,
    Rewards,
    RowError,
    Scorer,
)


class Reward(Scorer):
    """How good a reward model finds the answer.

    The model is a step that uses `trainers/reward`, or a model saved with a head over sequences and one label
    (``AutoModelForSequenceClassification``) that is built on a causal language model. It reads the prompt and the
    answer as the chat template writes them and is asked at the last token, the end of the answer's turn. Of a
    conversation the last turn is the answer and all before it the prompt; of feedback, the completion. One column:

    - ``score.<step>``: the reward, any number; larger is better.

    Where rewards lie is not defined: a reward model learns from comparisons of answers to one prompt, so that only
    differences between those mean something. A threshold across prompts is a choice of yours.

    Source: arXiv:2203.02155, section 3.5.
    """

    inputs = {"records": Input((Kind.CONVERSATION, Kind.FEEDBACK))}
    columns = {"": "float64"}

    class Config(ComponentConfig):
        model: ModelRef = Field(description="The reward model, or the step that trains it.")
        max_length: int = Field(
            2048, ge=2, description="Most tokens of prompt and answer together; a longer record fails, nothing is cut."
        )

    def score(self, record: Record) -> Generator[Any, Any, Mapping[str, Any]]:
        """Ask for the reward of the answer.

        Raises:
            RowError: ``E-SCORE-003`` nothing precedes the answer; and what the backend says of rows it cannot judge.
        """
        if record.kind is Kind.CONVERSATION:
            *prompt, last = record["messages"]
            answer = [last]
        else:
            prompt, answer = record["prompt"], record["completion"]
        if not prompt:
            raise RowError(
                "the conversation has no turn before the answer", "E-SCORE-003", fix="filter such conversations out"
            )
        judged: AnswerRewards = yield Rewards(self.config.model, prompt, [answer], self.config.max_length)
        return {"": judged.values[0]}
