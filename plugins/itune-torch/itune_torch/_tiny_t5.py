"""A two-layer random T5 with a real tokenizer, made on the spot: the whole path for tests, without a download."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from string import ascii_letters, digits
from typing import TYPE_CHECKING

from itune_torch._quiet import quietly
from itune_torch._tiny import CORPUS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SPECIAL = ("<pad>", "</s>", "<unk>")
"""With ids 0 to 2, as T5's."""
SPACE = "▁"
"""What sentencepiece writes for the space before a word."""
WORDS = 256
"""Most words that are tokens."""


def make_tiny_t5(folder: Path, texts: Iterable[str] = (), seed: int = 0) -> Path:
    """Write a random T5, two layers each side (hidden size 64, 4 heads), and its tokenizer.

    It is of the form of T5 1.1 and FLAN-T5 (gated GELU), but has no dropout. The same seed and texts give the same
    bytes.

    Args:
        folder: where to save; made if missing.
        texts: what the tokenizer's vocabulary is from, beside a small text of this package: their characters and most
            frequent words (a Unigram model in the form of T5's own). A character that is in neither, and no English
            letter or digit, has no token.
        seed: of the weights.

    Returns:
        `folder`: ``config.json``, ``model.safetensors`` (float32), tokenizer without chat template.
    """
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    tokenizer = _tokenizer([*CORPUS, *texts])
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=64,
        d_kv=16,
        d_ff=128,
        num_layers=2,
        num_heads=4,
        feed_forward_proj="gated-gelu",
        dropout_rate=0.0,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = T5ForConditionalGeneration(config).to(torch.float32)
    folder.mkdir(parents=True, exist_ok=True)
    with quietly():
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return folder


def _tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerBase:
    """T5's, of the form that it has in transformers, with a vocabulary counted here: the trainer of `tokenizers` adds
    floats in another order each time, and would give other bytes."""
    from transformers import T5Tokenizer

    words = [word for text in texts for word in text.split()]
    pieces = Counter(SPACE + part for word in words for part in re.findall(r"^\w+", word))
    chosen = Counter(dict(sorted(pieces.items(), key=lambda item: (-item[1], item[0]))[:WORDS]))
    chosen.update(ascii_letters + digits)
    chosen.update(letter for word in words for letter in SPACE + word)
    total = math.log(chosen.total())
    scored = [(piece, math.log(count) - total) for piece, count in sorted(chosen.items())]
    return T5Tokenizer(vocab=[*((token, 0.0) for token in SPECIAL), *scored], extra_ids=0)
