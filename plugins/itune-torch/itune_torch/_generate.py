"""Batched generation whose draws do not depend on the batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList, PreTrainedTokenizerBase
from transformers.generation import StoppingCriteria, StoppingCriteriaList

from itune_core.api import ModelError
from itune_torch._load import base_of
from itune_torch._seq2seq import decoder_start


@dataclass(frozen=True)
class Generated:
    """One answer.

    Attributes:
        text: what was generated, without special tokens, cut before the stop string that ended it.
        ids: the generated tokens, the end token included if there was one; longer than `text` if a stop string cut it.
        finish_reason: ``stop`` for an end token or a stop string, ``length`` for `max_new_tokens`.
        prompt_tokens: length of the prompt.
    """

    text: str
    ids: list[int]
    finish_reason: Literal["stop", "length"]
    prompt_tokens: int


def generate(
    model: nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    temperature: float = 0.0,
    top_p: float = 1.0,
    top_k: int = 0,
    presence_penalty: float = 0.0,
    seeds: Sequence[int] | None = None,
    stop: Sequence[str] = (),
) -> list[Generated]:
    """Continue each prompt, or answer it: a causal model writes on, an encoder-decoder model reads it and begins anew.

    Prompts are padded to the longest, so batches of like length waste least; sorting is the caller's.
    Each row draws from a generator of its own, one number a token, so its text depends on its seed and not on its
    neighbours (but for rounding: a batch of another shape may add floats in another order, which can matter where two
    tokens are all but equally likely, and more so in bfloat16).

    Args:
        model: language model in eval mode.
        tokenizer: its tokenizer.
        prompts: token ids, none empty; of an encoder-decoder model as :func:`encode_source` gives them.
        max_new_tokens: most tokens to generate for a row.
        temperature: 0 takes the most likely token; else logits are divided by it.
        top_p: draw from the most likely tokens that together have at least this probability, 0 < top_p <= 1.
        top_k: draw from so many of the most likely tokens, of which `top_p` then takes its part; 0: from all.
        presence_penalty: taken from the logit of each token that the row's answer holds already, before anything else;
            tokens of the prompt do not count.
        seeds: one for each prompt; needed when the temperature is above 0.
        stop: strings that end a row.

    Returns:
        one answer for each prompt, in order.

    Raises:
        ModelError: the tokenizer names no end token.
        ValueError: a prompt is empty, or seeds are missing.
    """
    if not prompts:
        return []
    if not all(prompts):
        raise ValueError("a prompt has no tokens")
    if temperature > 0 and (seeds is None or len(seeds) != len(prompts)):
        raise ValueError(f"{len(prompts)} prompts need as many seeds to draw with temperature {temperature}")
    ends = _end_tokens(model, tokenizer)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else ends[0]
    width = max(len(prompt) for prompt in prompts)
    device = next(model.parameters()).device
    reads = bool(base_of(model).config.is_encoder_decoder)
    # What a causal model writes follows its prompt at once. An encoder counts places from the left.
    filled = [[pad] * (width - len(prompt)) for prompt in prompts]
    rows = [[*prompt, *more] if reads else [*more, *prompt] for prompt, more in zip(prompts, filled, strict=True)]
    input_ids = torch.tensor(rows, device=device)
    lengths = torch.tensor([len(prompt) for prompt in prompts], device=device)
    places = torch.arange(width, device=device)
    mask = (places < lengths[:, None] if reads else places >= width - lengths[:, None]).long()
    before = 1 if reads else width  # what stands before the answer: the token a decoder begins with, or the prompt

    processors = LogitsProcessorList()
    if presence_penalty:
        processors.append(_Penalise(presence_penalty, before))
    if temperature > 0 and seeds is not None:
        processors.append(_Draw(temperature, top_p, top_k, seeds))
    stopper = _StopAt(tokenizer, stop, before, len(prompts))
    config = GenerationConfig(
        max_new_tokens=max_new_tokens,
        do_sample=False,
        num_beams=1,  # some models' own config says otherwise (BART's for summaries)
        eos_token_id=ends,
        pad_token_id=pad,
        use_cache=True,
    )
    if reads:
        config.decoder_start_token_id = decoder_start(model)
    with torch.inference_mode():
        output = cast(Any, model).generate(
            input_ids=input_ids,
            attention_mask=mask,
            generation_config=config,
            logits_processor=processors,
            stopping_criteria=StoppingCriteriaList([stopper] if stop else []),
        )
    return [
        _answer(tokenizer, new, ends, stop, stopped_after, len(prompt))
        for new, stopped_after, prompt in zip(output[:, before:].tolist(), stopper.after, prompts, strict=True)
    ]


def _end_tokens(model: nn.Module, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The tokens that end an answer: what the model's generation config says, and the tokenizer's end token."""
    said = base_of(model).generation_config.eos_token_id
    ends = said if isinstance(said, list) else [said]
    known = list(dict.fromkeys(end for end in (*ends, tokenizer.eos_token_id) if end is not None))
    if not known:
        raise ModelError(
            "E-TORCH-030",
            "neither the model nor its tokenizer names an end token, so no answer would ever end",
            fix="set eos_token in the tokenizer's config",
        )
    return known


def _answer(
    tokenizer: PreTrainedTokenizerBase,
    new: list[int],
    ends: list[int],
    stop: Sequence[str],
    stopped_after: int | None,
    prompt_tokens: int,
) -> Generated:
    # What follows a row's end is padding, and padding may be the end token: the first one counts.
    ended = next((place for place, token in enumerate(new) if token in ends), None)
    finish: Literal["stop", "length"] = "length"
    if stopped_after is not None and (ended is None or stopped_after <= ended):
        new, finish = new[:stopped_after], "stop"
    elif ended is not None:
        new, finish = new[: ended + 1], "stop"
    text = tokenizer.decode(new, skip_special_tokens=True)
    cuts = [place for place in (text.find(string) for string in stop) if place >= 0]
    if cuts:
        text, finish = text[: min(cuts)], "stop"
    return Generated(text, new, finish, prompt_tokens)


class _Penalise(LogitsProcessor):  # type: ignore[misc]
    """Makes tokens less likely, or more, that stand in a row's answer already; `before` is where answers begin."""

    def __init__(self, penalty: float, before: int) -> None:
        self.penalty, self.before = penalty, before

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        said = torch.zeros_like(scores).scatter_(1, input_ids[:, self.before :], 1.0)
        return scores - self.penalty * said


class _Draw(LogitsProcessor):  # type: ignore[misc]
    """Draws each row's token and leaves it as the only one greedy search can take.

    The draw is by inverse cumulative distribution, from one uniform number of the row's generator.
    """

    def __init__(self, temperature: float, top_p: float, top_k: int, seeds: Sequence[int]) -> None:
        self.temperature, self.top_p, self.top_k = temperature, top_p, top_k
        self.sources = [torch.Generator().manual_seed(seed % 2**63) for seed in seeds]

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        uniform = torch.cat([torch.rand(1, generator=source, dtype=torch.float64) for source in self.sources])
        probabilities = (scores.float() / self.temperature).softmax(-1)
        uniform = uniform.to(scores.device)
        if self.top_p < 1 or 0 < self.top_k < probabilities.shape[-1]:
            rows = zip(probabilities, uniform, strict=True)
            token = torch.stack([_from_nucleus(*row, self.top_p, self.top_k) for row in rows])
        else:
            token = _from_all(probabilities, uniform)
        return torch.full_like(scores, -torch.inf).scatter_(1, token[:, None], 0.0)


def _from_all(probabilities: Tensor, uniform: Tensor) -> Tensor:
    """(B,) tokens: where `uniform` (B,) falls in each row of `probabilities` (B, V)."""
    total = probabilities.double().cumsum(-1)
    place = torch.searchsorted(total, uniform[:, None] * total[:, -1:], right=True)
    return place.squeeze(1).clamp_(max=total.shape[-1] - 1)


def _from_nucleus(probabilities: Tensor, uniform: Tensor, top_p: float, top_k: int = 0) -> Tensor:
    """The token where `uniform` falls in the shortest list of most likely tokens that reaches `top_p`, or its share of
    the `top_k` most likely. Of equally likely tokens the first is taken to be likelier."""
    # Sorting a whole vocabulary costs more than a small model's step. Tokens below (1 - top_p) / V together weigh
    # less than 1 - top_p, so the nucleus lies among the others, which are few.
    least: Tensor | float = (1 - top_p) / len(probabilities)
    few = 0 < top_k < len(probabilities)
    if few:
        least = probabilities.topk(top_k).values[-1]
    tokens = (probabilities >= least).nonzero().squeeze(1)
    ordered, order = probabilities[tokens].sort(descending=True, stable=True)
    if few:
        ordered = ordered[:top_k]
    total = ordered.double().cumsum(-1)
    size = int((total < (top_p * total[-1] if few else top_p)).sum()) + 1
    place = torch.searchsorted(total[:size].contiguous(), uniform * total[:size][-1], right=True)
    return tokens[order[place.clamp_(max=min(size, len(ordered)) - 1)]]


class _StopAt(StoppingCriteria):  # type: ignore[misc]
    """Ends a row when its newest text holds a stop string; `after[row]` is then how many tokens it had."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, stop: Sequence[str], before: int, rows: int) -> None:
        self.tokenizer, self.stop, self.before = tokenizer, stop, before
        self.after: list[int | None] = [None] * rows
        # A token is at least one byte, and a character at most four.
        self.window = 4 * max((len(string) for string in stop), default=0) + 4

    def __call__(self, input_ids: Tensor, scores: Any, **_: Any) -> Tensor:
        new = input_ids.shape[1] - self.before
        tails = input_ids[:, -min(new, self.window) :].tolist()
        for row, tail in enumerate(tails):
            if self.after[row] is None:
                text = self.tokenizer.decode(tail, skip_special_tokens=True)
                if any(string in text for string in self.stop):
                    self.after[row] = new
        return torch.tensor([after is not None for after in self.after], device=input_ids.device)
