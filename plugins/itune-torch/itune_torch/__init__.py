"""What backends, scorers, trainers and evaluators share when they touch a model. A library: no components here.

The usual path::

    tokenizer = load_tokenizer(source)
    model = load_causal(source, dtype="bfloat16")
    rows = [encode_completion(tokenizer, r["prompt"], r["completion"], row=r["id"]) for r in records]
    for batch in lay_out(rows, max_tokens=512):
        loss = -logprobs(model, batch).mean()

Names are imported when first used, so ``import itune_torch`` costs nothing and does not import torch. The modules are
private: a public ``logprobs`` module would shadow the function of that name as soon as a sibling imported it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from itune_torch._batch import Batch, lay_out, pad
    from itune_torch._embed import embed, load_embedder
    from itune_torch._encode import Encoded, encode_completion, encode_conversation, encode_text
    from itune_torch._generate import Generated, generate
    from itune_torch._isolation import rows_are_isolated
    from itune_torch._load import load_causal, load_tokenizer
    from itune_torch._logprobs import logprobs, sequence_logprobs
    from itune_torch._probe import best_device, bfloat16_speedup
    from itune_torch._resolve import resolve
    from itune_torch._tiny import make_tiny_llama

_HOME = {
    "Batch": "_batch",
    "Encoded": "_encode",
    "Generated": "_generate",
    "best_device": "_probe",
    "bfloat16_speedup": "_probe",
    "embed": "_embed",
    "encode_completion": "_encode",
    "encode_conversation": "_encode",
    "encode_text": "_encode",
    "generate": "_generate",
    "lay_out": "_batch",
    "load_causal": "_load",
    "load_embedder": "_embed",
    "load_tokenizer": "_load",
    "logprobs": "_logprobs",
    "make_tiny_llama": "_tiny",
    "pad": "_batch",
    "resolve": "_resolve",
    "rows_are_isolated": "_isolation",
    "sequence_logprobs": "_logprobs",
}

__all__ = [
    "Batch",
    "Encoded",
    "Generated",
    "best_device",
    "bfloat16_speedup",
    "embed",
    "encode_completion",
    "encode_conversation",
    "encode_text",
    "generate",
    "lay_out",
    "load_causal",
    "load_embedder",
    "load_tokenizer",
    "logprobs",
    "make_tiny_llama",
    "pad",
    "resolve",
    "rows_are_isolated",
    "sequence_logprobs",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value  # the next look-up does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
