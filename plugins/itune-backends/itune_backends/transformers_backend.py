"""A model in this process, run by transformers. (Not ``transformers.py``: that name belongs to the library.)"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Literal

from pydantic import Field

from itune_backends import choosing, scoring, seq2seq
from itune_backends.answering import answer, prompt_ids
from itune_backends.batching import Budget
from itune_backends.embedding import vectors
from itune_backends.judging import judge, one_by_one
from itune_core.api import (
    Answer,
    AnswerRewards,
    Ask,
    Backend,
    Choices,
    Embed,
    Facts,
    Failed,
    LogProbs,
    ModelError,
    ModelSource,
    OptionLogProbs,
    Rewards,
    Runtime,
    TokenLogProbs,
    Vectors,
)

WINDOW = 2
"""How many full batches' worth of questions are sorted by length together. Answers leave in the order of the questions,
so this bounds what is lost when the run is killed."""

WORTHWHILE = 1.1
"""How many times faster bfloat16 must be before ``dtype: auto`` takes it: it costs digits."""


class Transformers(Backend):
    """Loads a model into this process and runs it with transformers.

    Answers questions and scores completions with a language model, causal or encoder-decoder (T5, BART); judges
    answers with a reward model, which is a causal one with a head for one number; embeds texts with a
    sentence-transformers model. The reply to a request depends on the request and its seeds alone: every draw has
    a random stream of its own, so batch settings are a matter of speed. Rounding is the exception: a batch of another
    shape may add floats in another order, which changes the last digits of a log-probability, and an answer where two
    tokens are all but equally likely; more so in bfloat16.

    Nothing is cut. A prompt that leaves no room for ``max_tokens`` in the model's context fails (``E-BACKEND-003``),
    and so do a row longer than that context (``E-BACKEND-004``) or than its request allows (``E-TORCH-017``), and a
    text longer than an embedding model reads (``E-BACKEND-005``). An encoder-decoder model has its context on either
    side and reads a prompt as ``trainers/seq2seq-sft`` has it read one; what cannot be written so fails
    (``E-TORCH-041``).

    Source: https://github.com/huggingface/transformers.
    """

    class Config(Backend.Config):
        dtype: Literal["auto", "float32", "bfloat16"] = Field(
            "auto", description="Type of a language model's weights; auto: bfloat16 where this machine is faster in it."
        )
        template: dict[str, str | bool | int | float] = Field(
            {},
            description="Variables of a language model's chat template by name: `enable_thinking: false`, say. One "
            "that the template does not read changes nothing.",
        )
        device: Runtime[Literal["auto", "cpu", "cuda"]] = Field(
            "auto", description="Where to compute; auto: a CUDA GPU if there is one."
        )
        batch_tokens: Runtime[int] = Field(
            8192, ge=1, description="Largest padded batch: rows times the tokens of longest prompt and answer."
        )
        max_batch: Runtime[int] = Field(32, ge=1, description="Most rows in a batch.")

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self._model: Any = None
        self._tokenizer: Any = None
        self._judge: Any = None
        self._embedder: Any = None
        self._isolated: bool | None = None
        self._shares: bool | None = None
        self._seq2seq = False

    def settle(self, facts: Facts) -> Any:
        """``auto`` settings resolved by what was measured on this machine; torch is imported only to measure."""
        device, dtype = self.config.device, self.config.dtype
        if device == "auto":
            device = "cuda" if facts.get("torch.best_device", _best_device) == "cuda" else "cpu"
        if dtype == "auto":
            fact = "torch.bfloat16_speedup" if device == "cpu" else f"torch.bfloat16_speedup.{device}"
            speedup = facts.get(fact, lambda: _bfloat16_speedup(device))
            dtype = "bfloat16" if speedup > WORTHWHILE else "float32"
        return self.config.model_copy(update={"device": device, "dtype": dtype})

    def open(self, source: ModelSource | None) -> None:
        """Load the weights, an adapter's merged into them. The config must be settled.

        Raises:
            ModelError: ``E-BACKEND-001`` the model neither writes, judges nor embeds text; and what loading says.
        """
        from itune_torch import is_seq2seq, load_causal, load_embedder, load_reward, load_seq2seq

        embeds = source is not None and source.layout == "sentence-transformers"
        if source is None or not (embeds or source.architecture in ("causal", "seq2seq", "reward")):
            raise ModelError(
                "E-BACKEND-001",
                f"the backend transformers cannot run {self.config.model!r}",
                why="its weights are not here" if source is None else f"it is a {source.architecture} model",
                fix="name a language model, a reward model or a sentence-transformers model",
            )
        if embeds:
            self._embedder = load_embedder(source, device=self.config.device)
            return
        self._tokenizer = self._load_tokenizer(source)
        if source.architecture == "reward":
            self._judge = load_reward(source, dtype=self.config.dtype, device=self.config.device, adapter="merge")
        else:
            self._seq2seq = is_seq2seq(source)
            load = load_seq2seq if self._seq2seq else load_causal
            self._model = load(source, dtype=self.config.dtype, device=self.config.device, adapter="merge")

    def close(self) -> None:
        """Let go of the weights."""
        self._model = self._tokenizer = self._judge = self._embedder = self._isolated = self._shares = None

    def generate(self, requests: Sequence[tuple[Ask, Sequence[int]]]) -> Iterator[Answer | Failed]:
        """Answer each question, with one draw a seed."""
        model = self._loaded(self._model, "answer questions")
        read = seq2seq.source_ids if self._seq2seq else prompt_ids
        window = WINDOW * self.config.max_batch
        for start in range(0, len(requests), window):
            yield from answer(
                model,
                self._tokenizer,
                requests[start : start + window],
                read=partial(read, self._tokenizer, context=_context(model)),
                batch_tokens=self.config.batch_tokens,
                max_batch=self.config.max_batch,
            )

    def logprobs(self, requests: Sequence[LogProbs]) -> Iterator[TokenLogProbs | Failed]:
        """Score each request's completion: after its prompt, or (causal) as plain text where there is none."""
        model = self._loaded(self._model, "score completions")
        lay: Callable[..., Any]
        if self._seq2seq:
            encode, lay = seq2seq.encode, partial(seq2seq.batches, model)
        else:
            encode, lay = scoring.encode, partial(scoring.batches, isolated=self._keeps_rows_apart(model))
        return scoring.score(
            model,
            requests,
            encode=partial(encode, self._tokenizer, context=_context(model)),
            lay=partial(lay, budget=self._budget),
        )

    def choices(self, requests: Sequence[Choices]) -> Iterator[OptionLogProbs | Failed]:
        """Say how likely each request's answer begins with each option. Causal models read a prompt once for all its
        options, where they can; others once an option."""
        from itune_torch import prefixes_can_be_shared

        model = self._loaded(self._model, "weigh options")
        lay: Callable[..., Any]
        if self._seq2seq:
            encode, lay = seq2seq.encode, lambda rows, _: seq2seq.batches(model, rows, budget=self._budget)
        else:
            if self._shares is None:
                self._shares = prefixes_can_be_shared(model)
            lay = partial(
                scoring.batches,
                isolated=self._keeps_rows_apart(model),
                shares=self._shares,
                budget=self._budget,
            )
            encode = scoring.encode
        return choosing.choose(
            model, requests, encode=partial(encode, self._tokenizer, context=_context(model)), lay=lay
        )

    def rewards(self, requests: Sequence[Rewards]) -> Iterator[AnswerRewards | Failed]:
        """Judge each request's completions, each as what a trainer would read after the prompt."""
        model = self._loaded(self._judge, "judge answers")
        return judge(
            model,
            requests,
            encode=partial(scoring.encode, self._tokenizer, context=_context(model)),
            lay=partial(scoring.batches, isolated=self._keeps_rows_apart(model), budget=self._budget),
        )

    def embed(self, requests: Sequence[Embed]) -> Iterator[Vectors | Failed]:
        """Embed each request's texts."""
        return vectors(self._loaded(self._embedder, "embed texts"), requests, max_batch=self.config.max_batch)

    def render(self, request: Ask | LogProbs | Choices | Rewards, source: ModelSource | None) -> str:
        """The text behind the tokens that the model would read; only its tokenizer is loaded."""
        from itune_torch import is_seq2seq

        if source is None:
            return super().render(request, source)
        tokenizer, reads = self._load_tokenizer(source), is_seq2seq(source)
        if isinstance(request, Choices):
            request = Ask(request.model, request.prompt)
        if isinstance(request, Rewards):
            request = one_by_one(request)[0]
        if isinstance(request, Ask):
            ids = (seq2seq.source_ids if reads else prompt_ids)(tokenizer, request, None)
        else:
            ids = (seq2seq if reads else scoring).encode(tokenizer, request, None).ids
        return str(tokenizer.decode(ids))

    @property
    def _budget(self) -> Budget:
        return Budget(self.config.batch_tokens, self.config.max_batch)

    def _keeps_rows_apart(self, model: Any) -> bool:
        """Whether joined rows do not read each other; asked of the model as loaded, once."""
        from itune_torch import rows_are_isolated

        if self._isolated is None:
            self._isolated = rows_are_isolated(model)
        return self._isolated

    def _load_tokenizer(self, source: ModelSource) -> Any:
        from itune_torch import load_tokenizer, with_variables

        tokenizer = load_tokenizer(source)
        return with_variables(tokenizer, self.config.template) if self.config.template else tokenizer

    def _loaded(self, model: Any, task: str) -> Any:
        if model is None:
            raise ModelError(
                "E-BACKEND-002",
                f"the model {self.config.model!r} does not {task}",
                fix="name a language model for text, a reward model for rewards, or a sentence-transformers model for "
                "vectors",
            )
        return model


def _context(model: Any) -> int | None:
    """Most tokens the model reads; None if it does not say."""
    return getattr(model.config.get_text_config(), "max_position_embeddings", None)


def _best_device() -> str:
    from itune_torch import best_device

    return best_device()


def _bfloat16_speedup(device: str) -> float:
    from itune_torch import bfloat16_speedup

    return bfloat16_speedup(device)
