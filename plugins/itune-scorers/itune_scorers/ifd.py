"""Instruction-following difficulty: how much an instruction helps a model to write its answer."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping
from typing import Any, Literal

from pydantic import Field

from itune_core.api import ComponentConfig, Input, Kind, ModelRef, Record, RowError, Scorer, message
from itune_scorers.asking.surprise import surprise
from itune_scorers.asking.turns import question, response


class Ifd(Scorer):
    r"""How little an instruction helps a model to write its answer: instruction-following difficulty.

    With Q all turns before a conversation's last one, A that last turn, and s the mean negative log-likelihood per
    token of A, its end-of-turn token included:

    .. math:: \mathrm{IFD}(Q, A) = \frac{s(A \mid Q)}{s(A)}

    Near 0 the instruction says all; near 1 it says nothing; above 1 it misleads, as that of another answer would. Both
    published forms agree on which side of 1 a record lies, and order records differently. Columns:

    - ``score.<step>``: the ratio of mean losses, as above (Cherry);
    - ``score.<step>.perplexities``: the ratio of perplexities, :math:`e^{s(A \mid Q) - s(A)}` (Superfiltering);
    - ``score.<step>.conditioned``, ``unconditioned``: s(A|Q) and s(A), in nats;
    - ``score.<step>.tokens``: how many tokens s(A|Q) is a mean of. Ratios over few tokens are noise: a filter may ask
      for some.

    What A is scored on its own in (``alone``) is part of the definition. By default it stands in the chat template
    after an empty user turn, so that both means are over the same tokens behind the same markers, and differ by the
    question alone; no turn of Q is kept, a system turn neither. With ``alone: text`` A is plain text, as
    `scorers/perplexity` has it with ``condition: none``: then s(A) also pays for finding out that this is an answer at
    all, its first token is not scored, and its last is the end of the sequence, not of a turn. Nothing is cut, so that
    both see the same answer.

    The `model` of the paper is first tuned for an epoch on a thousand varied records, so that it knows the form of an
    answer; name the step that trains it. The small untuned models of Superfiltering order records much as large ones
    do. What ``scorers/perplexity`` has asked the same model is not asked again.

    Source: arXiv:2308.12032 (Cherry), arXiv:2402.00530 (Superfiltering).
    """

    inputs = {"records": Input((Kind.CONVERSATION,))}
    columns = {
        "": "float64",
        "perplexities": "float64",
        "conditioned": "float64",
        "unconditioned": "float64",
        "tokens": "int64",
    }

    class Config(ComponentConfig):
        model: ModelRef = Field(description="The model that is helped or not: one of the recipe's, or a training step.")
        alone: Literal["template", "text"] = Field(
            "template",
            description="Score the answer on its own after an empty user turn, or as plain text without the template.",
        )
        max_length: int = Field(
            2048, ge=2, description="Most tokens of prompt and answer together; a longer record fails, nothing is cut."
        )

    def score(self, record: Record) -> Generator[Any, Any, Mapping[str, Any]]:
        """Ask for the log-probabilities of the answer's tokens, twice.

        Raises:
            RowError: ``E-SCORE-020`` nothing precedes the answer; ``E-SCORE-023`` it has no text, and is scored as
                plain text; ``E-SCORE-021`` the chat template makes other tokens
                of the answer where it follows nothing; ``E-SCORE-022`` the model is certain of the answer on its own,
                so that there is no ratio; ``E-SCORE-002`` it gives a token of it no probability at all; and what the
                backend says of rows it cannot score.
        """
        model, longest = self.config.model, self.config.max_length
        prompt, answer = question(record), record["messages"][-1:]
        if self.config.alone == "text":
            response(record)  # refuses one without text: of a call of a tool, nothing is left without the template
        conditioned, tokens = yield from surprise(model, prompt, answer, longest)
        nothing = [message("user", "")] if self.config.alone == "template" else []
        unconditioned, tokens_alone = yield from surprise(model, nothing, answer, longest)
        if nothing and tokens != tokens_alone:
            raise RowError(
                "the chat template writes the answer differently where it follows nothing",
                "E-SCORE-021",
                why=f"it is {tokens} tokens after its prompt, and {tokens_alone} on its own",
                fix="compare it with plain text: alone: text",
            )
        if unconditioned == 0:
            raise RowError(
                "the model is certain of the answer without its prompt, so that nothing can be said of what that adds",
                "E-SCORE-022",
            )
        return {
            "": conditioned / unconditioned,
            "perplexities": math.exp(conditioned - unconditioned),
            "conditioned": conditioned,
            "unconditioned": unconditioned,
            "tokens": tokens,
        }
