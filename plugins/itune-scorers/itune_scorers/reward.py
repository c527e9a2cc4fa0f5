"""How good an answer is, by a reward model or by a function."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Self

from pydantic import Field, model_validator

from itune_core.api import (
    AnswerRewards,
    ComponentConfig,
    Context,
    Failed,
    Function,
    Input,
    Inputs,
    Kind,
    Message,
    ModelRef,
    Record,
    Rewards,
    RowError,
    Scorer,
    hookimpl,
    parts,
    records,
    rewarded,
)


class Reward(Scorer):
    """How good a reward model, or a function of yours, finds the answer.

    The model is a step that uses `trainers/reward`, or a model saved with a head over sequences and one label
    (``AutoModelForSequenceClassification``) that is built on a causal language model. It reads the prompt and the
    answer as the chat template writes them and is asked at the last token, the end of the answer's turn.

    A function is named by ``python: package.module:function``. It is called with the prompt and the answer, each a list
    of messages, and gives a number::

        def short(prompt: list[dict], answer: list[dict]) -> float:
            return -len(answer[-1]["content"].split())

    Its package must be installed and, like a plugin's, allowed (``plugins: {allow: [...]}`` in the recipe, or
    ``--allow``); importing it runs its code. It has no state: what it gives depends on what it is called with, alone. A
    record fails for which it raises ``ValueError`` or gives no finite number.

    Of a conversation the last turn is the answer and all before it the prompt; of feedback, the completion. One column:

    - ``score.<step>``: the reward, any number; larger is better.

    Where a model's rewards lie is not defined: it learns from comparisons of answers to one prompt, so that only
    differences between those mean something. A threshold across prompts is a choice of yours.

    Source: arXiv:2203.02155, section 3.5.
    """

    inputs = {"records": Input((Kind.CONVERSATION, Kind.FEEDBACK))}
    columns = {"": "float64"}

    class Config(ComponentConfig):
        model: ModelRef | None = Field(
            None, description="The reward model, or the step that trains it.", examples=["base"]
        )
        python: Function | None = Field(
            None, description="A function of an allowed distribution in its place, `package.module:function`."
        )
        max_length: int = Field(
            2048, ge=2, description="Most tokens of prompt and answer together; a longer record fails, nothing is cut."
        )

        @model_validator(mode="after")
        def _one_of_both(self) -> Self:
            if (self.model is None) == (self.python is None):
                raise ValueError("set either model or python")
            return self

    def score(self, record: Record) -> Generator[Any, Any, Mapping[str, Any]]:
        """Ask the model for the reward of the answer.

        Raises:
            RowError: ``E-SCORE-003`` nothing precedes the answer; and what the backend says of rows it cannot judge.
        """
        if self.config.model is None:  # a function is called, not asked
            return {}
        prompt, answer = _asked_and_answered(record)
        judged: AnswerRewards = yield Rewards(self.config.model, prompt, [answer], self.config.max_length)
        return {"": judged.values[0]}

    @hookimpl
    def itune_score(self, inputs: Inputs, context: Context) -> Iterator[Mapping[str, Any] | Failed]:
        if self.config.python is None:
            return super().itune_score(inputs, context)
        called = partial(_called, context.function(self.config.python))
        return context.map(called, records(inputs["records"]))


def _asked_and_answered(record: Record) -> tuple[Sequence[Message], Sequence[Message]]:
    prompt, (answer,) = parts(record)
    if not prompt:
        raise RowError(
            "the conversation has no turn before the answer", "E-SCORE-003", fix="filter such conversations out"
        )
    return prompt, answer


def _called(function: Callable[..., Any], record: Record) -> Mapping[str, Any]:
    """The function's reward of a record.

    Raises:
        RowError: ``E-SCORE-003`` as for a model; ``E-DATA-039`` the function raised ValueError, or gave no number.
    """
    return {"": rewarded(function, *_asked_and_answered(record))}
