"""Inference loss: how well a model predicts reference answers it was not trained on."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from statistics import fmean
from typing import Any

from pydantic import Field

from itune_core.api import Evaluator, Input, Kind, LogProbs, Message, Record, RowError, TokenLogProbs, message
from itune_evaluators.intervals import standard_error


class InferenceLoss(Evaluator):
    """Mean negative log-likelihood of reference answers, in nats per token.

    Only the answer's tokens count, its end-of-turn token included; the prompt is context. Of a conversation the last
    turn is the reference; a prompt has its references in the column of that name, often several. Figures of a model:

    - ``token_mean``: all nats over all tokens: every token counts once, as in a training loss over these rows;
    - ``example_mean``: mean over records of the record's loss, which is the mean of its references' losses per token:
      every record counts once;
    - ``example_se``: standard error of ``example_mean`` (from two records on);
    - ``best_reference_mean``: as ``example_mean`` but with each record's best predicted reference, which forgives a
      model that settled on one of several good answers (only where some record has several);
    - ``tokens``, ``examples``: what the means are over.

    Compare only models that share a tokenizer and a chat template: a tokenizer with longer tokens has fewer of them and
    more nats in each. Source: evaluation loss of InstructMining, arXiv:2307.06290.
    """

    inputs = {"records": Input((Kind.CONVERSATION, Kind.PROMPT))}

    class Config(Evaluator.Config):
        max_length: int = Field(
            2048, ge=2, description="Most tokens of prompt and reference together; a longer record fails, never cut."
        )

    def evaluate(self, record: Record, model: str) -> Generator[Any, Any, Mapping[str, Any]]:
        """Score every reference of `record`.

        Returns:
            ``nll`` (nats) and ``tokens`` over all references, ``loss`` and ``best_loss`` (nats per token) as described
            above, and how many ``references`` there are.

        Raises:
            RowError: ``E-EVAL-001`` there is no reference; ``E-EVAL-003`` nothing precedes it; and what the backend
                says of rows it cannot score.
        """
        prompt, answers = _references(record)
        nlls, tokens = [], []
        for answer in answers:
            scored: TokenLogProbs = yield LogProbs(model, prompt, [answer], self.config.max_length)
            nlls.append(-scored.sum)
            tokens.append(len(scored))
        losses = [nll / count for nll, count in zip(nlls, tokens, strict=True)]
        return {
            "nll": math.fsum(nlls),
            "tokens": sum(tokens),
            "loss": fmean(losses),
            "best_loss": min(losses),
            "references": len(losses),
        }

    def summarise(self, rows: Sequence[Mapping[str, Any]]) -> Mapping[str, float]:
        """The figures of one model."""
        tokens = sum(row["tokens"] for row in rows)
        losses = [row["loss"] for row in rows]
        figures = {
            "token_mean": math.fsum(row["nll"] for row in rows) / tokens,
            "example_mean": fmean(losses),
            "tokens": tokens,
            "examples": len(rows),
        }
        error = standard_error(losses)
        if error is not None:
            figures["example_se"] = error
        if any(row["references"] > 1 for row in rows):
            figures["best_reference_mean"] = fmean(row["best_loss"] for row in rows)
        return figures


def _references(record: Record) -> tuple[Sequence[Message], Sequence[Message]]:
    """The prompt, and the turns that may follow it."""
    if record.kind is Kind.CONVERSATION:
        *prompt, last = record["messages"]
        if not prompt:  # asked for with no prompt, log-probabilities are those of plain text, without the template
            raise RowError("the conversation has no turn before its answer", "E-EVAL-003", fix="leave such rows out")
        return prompt, [last]
    answers = [message("assistant", reference) for reference in record["references"]]
    if not answers:
        raise RowError(
            "the prompt has no reference answer to measure",
            "E-EVAL-001",
            fix="evaluate on conversations, or fill `references` in the formatter",
        )
    return record["prompt"], answers
