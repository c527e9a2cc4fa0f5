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
    from itune_torch._encode import encode_completion, encode_conversation, encode_text
    from itune_torch._encode_seq2seq import encode_source, encode_source_target
    from itune_torch._encoded import Encoded
    from itune_torch._generate import Generated, generate
    from itune_torch._isolation import prefixes_can_be_shared, rows_are_isolated
    from itune_torch._load import base_of, load_causal, load_tokenizer
    from itune_torch._load_reward import load_reward, reward_adapter
    from itune_torch._logprobs import logprobs, sequence_logprobs
    from itune_torch._prefix import shared_prefix
    from itune_torch._probe import best_device, bfloat16_speedup
    from itune_torch._quantize import require_quantization
    from itune_torch._quiet import quietly
    from itune_torch._render import encode_prompt
    from itune_torch._resolve import resolve
    from itune_torch._rewards import rewards, sequence_rewards
    from itune_torch._seq2seq import Seq2SeqBatch, decoder_start, is_seq2seq, load_seq2seq, pad_seq2seq, sides
    from itune_torch._template import with_variables
    from itune_torch._tiny import make_tiny_llama
    from itune_torch._tiny_reward import make_tiny_reward
    from itune_torch._tiny_t5 import make_tiny_t5

_HOME = {
    "Batch": "_batch",
    "Encoded": "_encoded",
    "Generated": "_generate",
    "Seq2SeqBatch": "_seq2seq",
    "base_of": "_load",
    "best_device": "_probe",
    "bfloat16_speedup": "_probe",
    "decoder_start": "_seq2seq",
    "embed": "_embed",
    "encode_completion": "_encode",
    "encode_conversation": "_encode",
    "encode_prompt": "_render",
    "encode_source": "_encode_seq2seq",
    "encode_source_target": "_encode_seq2seq",
    "encode_text": "_encode",
    "generate": "_generate",
    "is_seq2seq": "_seq2seq",
    "lay_out": "_batch",
    "load_causal": "_load",
    "load_embedder": "_embed",
    "load_seq2seq": "_seq2seq",
    "load_reward": "_load_reward",
    "load_tokenizer": "_load",
    "logprobs": "_logprobs",
    "make_tiny_llama": "_tiny",
    "make_tiny_reward": "_tiny_reward",
    "make_tiny_t5": "_tiny_t5",
    "pad": "_batch",
    "pad_seq2seq": "_seq2seq",
    "prefixes_can_be_shared": "_isolation",
    "quietly": "_quiet",
    "require_quantization": "_quantize",
    "resolve": "_resolve",
    "reward_adapter": "_load_reward",
    "rewards": "_rewards",
    "rows_are_isolated": "_isolation",
    "sequence_logprobs": "_logprobs",
    "sequence_rewards": "_rewards",
    "shared_prefix": "_prefix",
    "sides": "_seq2seq",
    "with_variables": "_template",
}

__all__ = [
    "Batch",
    "Encoded",
    "Generated",
    "Seq2SeqBatch",
    "base_of",
    "best_device",
    "bfloat16_speedup",
    "decoder_start",
    "embed",
    "encode_completion",
    "encode_conversation",
    "encode_prompt",
    "encode_source",
    "encode_source_target",
    "encode_text",
    "generate",
    "is_seq2seq",
    "lay_out",
    "load_causal",
    "load_embedder",
    "load_reward",
    "load_seq2seq",
    "load_tokenizer",
    "logprobs",
    "make_tiny_llama",
    "make_tiny_reward",
    "make_tiny_t5",
    "pad",
    "pad_seq2seq",
    "prefixes_can_be_shared",
    "quietly",
    "require_quantization",
    "resolve",
    "reward_adapter",
    "rewards",
    "rows_are_isolated",
    "sequence_logprobs",
    "sequence_rewards",
    "shared_prefix",
    "sides",
    "with_variables",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value  # the next look-up does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
