"""A two-layer random Llama with a real tokenizer, made on the spot: the whole path for tests, without a download."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from itune_torch._quiet import quietly

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)

CORPUS = [
    "The river runs past the old mill, and in spring the water reaches the lowest step of the garden.",
    "What is the capital of the country whose flag is a red circle on white? The capital is Tokyo.",
    "Write a short letter to a neighbour who has lent you a ladder, and thank them for their patience.",
    "To boil an egg, bring the water to the boil, put the egg in gently, and wait for seven minutes.",
    "Sort these numbers from the smallest to the largest: 42, 7, 19, 3, 88, 61. The answer is 3, 7, 19, 42, 61, 88.",
    "A list has an order and a set has none; both can be empty, and both can be asked how long they are.",
    "The user asks a question and the assistant gives an answer; the system says how the assistant should behave.",
    "Why is the sky blue? Because air scatters short waves of light more strongly than long ones.",
    "Explain in one sentence why the train was late: snow had blocked a switch outside the station.",
    "def add(left, right):\n    return left + right\n\nprint(add(2, 3))\n",
    "Give three reasons to learn to cook: it saves money, it is healthier, and friends come to visit more often.",
    "She opened the window, looked at the clouds, and decided that the washing could stay outside a little longer.",
]


def make_tiny_llama(folder: Path, tokenizer_source: Path | None = None, seed: int = 0) -> Path:
    """Write a two-layer Llama with random weights (hidden size 64, 4 heads, 2 key-value heads) and its tokenizer.

    The same seed gives the same bytes.

    Args:
        folder: where to save; made if missing.
        tokenizer_source: folder of a tokenizer to use, with its whole vocabulary; None trains a byte-level BPE of 512
            tokens with ChatML's special tokens and template on a small text of this module.
        seed: of the weights.

    Returns:
        `folder`: ``config.json``, ``model.safetensors`` (float32), tokenizer with chat template.
    """
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    tokenizer = _train_tokenizer() if tokenizer_source is None else AutoTokenizer.from_pretrained(tokenizer_source)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        # With the usual 0.02 a model this narrow ignores its context, and tests of leaks and masks would see nothing.
        initializer_range=0.2,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=True,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config).to(torch.float32)
    folder.mkdir(parents=True, exist_ok=True)
    with quietly():
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return folder


def _train_tokenizer() -> PreTrainedTokenizerBase:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(
            vocab_size=512,
            special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        ),
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        unk_token="<|endoftext|>",
        chat_template=CHATML,
        clean_up_tokenization_spaces=False,
    )
