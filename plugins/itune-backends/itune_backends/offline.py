"""Requests as vLLM takes them in this process, and its outputs as replies: plain values on both sides, no vLLM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from itune_backends.answering import prompt_ids
from itune_backends.choosing import first_tokens
from itune_backends.scoring import encode
from itune_core.api import Ask, Choices, Completion, LogProbs, OptionLogProbs, RowError, TokenLogProbs


@dataclass(frozen=True)
class Job:
    """One prompt to run.

    Attributes:
        ids: its tokens.
        sampling: fields of ``vllm.SamplingParams``.
        schema: of the answer, for ``vllm.sampling_params.StructuredOutputsParams``.
        wanted: the places of the prompt whose log-probabilities are, or the tokens that the answer may begin with.
    """

    ids: list[int]
    sampling: Mapping[str, Any]
    schema: Mapping[str, Any] | None = None
    wanted: list[int] = field(default_factory=list)


def to_write(tokenizer: Any, ask: Ask, seed: int, context: int) -> Job:
    """A question for one answer, drawn with `seed`.

    Raises:
        RowError: as :func:`~itune_backends.answering.prompt_ids`.
    """
    sampling: dict[str, Any] = {
        "max_tokens": ask.max_tokens,
        "temperature": ask.temperature,
        "top_p": ask.top_p,
        "top_k": ask.top_k,
        "presence_penalty": ask.presence_penalty,
        "stop": list(ask.stop),
    }
    if ask.temperature > 0:
        sampling["seed"] = seed
    return Job(prompt_ids(tokenizer, ask, context), sampling, ask.schema)


def to_score(tokenizer: Any, request: LogProbs, context: int) -> Job:
    """A row for the log-probabilities of its completion. vLLM writes a token after it, which must fit too.

    Raises:
        RowError: as :func:`~itune_backends.scoring.encode`.
    """
    row = encode(tokenizer, request, context - 1)
    sampling = {"max_tokens": 1, "temperature": 0.0, "prompt_logprobs": 0, "detokenize": False}
    return Job(list(row.ids), sampling, wanted=[place for place, trained in enumerate(row.trained) if trained])


def to_choose(tokenizer: Any, request: Choices, context: int) -> Job:
    """A prompt for the log-probabilities of the first tokens of some options.

    Raises:
        RowError: as :func:`~itune_backends.choosing.first_tokens`.
    """
    rows = first_tokens(request, lambda each: encode(tokenizer, each, context))
    tokens = [row.ids[-1] for row in rows]
    sampling = {"max_tokens": 1, "temperature": 1.0, "seed": 0, "logprob_token_ids": tokens, "detokenize": False}
    return Job(list(rows[0].ids[:-1]), sampling, wanted=tokens)


def written(output: Any) -> Completion:
    """The answer in a ``vllm.RequestOutput``.

    Raises:
        RowError: ``E-BACKEND-036`` it was not finished.
    """
    [made] = output.outputs
    if made.finish_reason not in ("stop", "length"):
        raise RowError(f"vLLM ended the answer as {made.finish_reason!r}", "E-BACKEND-036")
    return Completion(made.text, made.finish_reason, len(output.prompt_token_ids), len(made.token_ids))


def scored(output: Any, job: Job) -> TokenLogProbs:
    """The log-probabilities of the wanted places of a prompt; the first token of all has none."""
    places: Sequence[Mapping[int, Any] | None] = output.prompt_logprobs
    values = []
    for place in job.wanted:
        here = places[place]
        if here is not None:
            values.append(min(0.0, float(here[job.ids[place]].logprob)))
    return TokenLogProbs(values)


def chosen(output: Any, job: Job) -> OptionLogProbs:
    """The log-probabilities of the wanted tokens as the first of the answer."""
    [made] = output.outputs
    return OptionLogProbs([min(0.0, float(made.logprobs[0][token].logprob)) for token in job.wanted])
