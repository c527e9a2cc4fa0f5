"""Perplexity of an answer, or of plain text, under a causal model."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping
from typing import Any, Literal

from pydantic import Field

from itune_core.api import (
    ComponentConfig,
    Input,
    Kind,
    ModelRef,
    Record,
    RowError,
    Scorer,
    message,
)
from itune_scorers.asking.surprise import surprise
from itune_scorers.asking.turns import response


class Perplexity(Scorer):
    """How surprising the answer is to a model: ``exp`` of its mean negative log-likelihood per token.

    Of a conversation the last turn is scored, its end-of-turn token included; of a text record, the text with an
    end-of-sequence token. Columns:

    - ``score.<step>.perplexity``: exp(mean_nll), at least 1;
    - ``score.<step>.mean_nll``: mean negative natural-log likelihood per token, in nats;
    - ``score.<step>.tokens``: how many tokens the mean is over.

    With ``condition: none`` an answer is scored as plain text, without prompt and chat template; its first token is
    then not among the scored ones, unless the tokenizer puts a begin-of-sequence token before it. What the prompt
    contributes is `scorers/ifd`. Values are comparable only between records scored by the same model: tokenizer and
    chat template are part of what is measured.

    Source: as an indicator of the quality of instruction data, arXiv:2307.06290.
    """

    inputs = {"records": Input((Kind.CONVERSATION, Kind.TEXT))}
    columns = {"perplexity": "float64", "mean_nll": "float64", "tokens": "int64"}

    class Config(ComponentConfig):
        model: ModelRef = Field(description="The causal model whose surprise is measured.")
        condition: Literal["prompt", "none"] = Field(
            "prompt",
            description="Score an answer given the turns before it, or on its own. Text has nothing before it.",
        )
        max_length: int = Field(
            2048, ge=2, description="Most tokens of prompt and answer together; a longer record fails, nothing is cut."
        )

    def score(self, record: Record) -> Generator[Any, Any, Mapping[str, Any]]:
        """Ask for the log-probabilities of the answer's tokens.

        Raises:
            RowError: ``E-SCORE-001`` nothing precedes the answer that the condition is about; ``E-SCORE-002`` the model
                gives a token of it no probability at all; ``E-SCORE-023`` it has no text, and is scored as plain text;
                and what the backend says of rows it cannot score.
        """
        if record.kind is Kind.TEXT:
            prompt, completion = [], [message("assistant", record["text"])]
        else:
            *prompt, last = record["messages"]
            if self.config.condition == "none":
                response(record)  # refuses one without text: of a call of a tool, nothing is left without the template
                prompt = []
            elif not prompt:
                raise RowError(
                    "the conversation has no turn before the answer", "E-SCORE-001", fix="score it with condition: none"
                )
            completion = [last]
        mean_nll, tokens = yield from surprise(self.config.model, prompt, completion, self.config.max_length)
        return {"perplexity": math.exp(mean_nll), "mean_nll": mean_nll, "tokens": tokens}
