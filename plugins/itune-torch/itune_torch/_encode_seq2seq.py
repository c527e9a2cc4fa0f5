"""From messages to what an encoder reads and what its decoder is to write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from itune_core.api import RowError
from itune_torch._encoded import Encoded, Overlength, fit
from itune_torch._render import Message, encode_prompt

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def encode_source(
    tokenizer: PreTrainedTokenizerBase, prompt: Sequence[Message] | str, *, row: str | None = None
) -> list[int]:
    """The tokens that an encoder reads.

    A prompt of messages goes through the chat template, with the generation prompt, if the tokenizer has one; else, as
    those of the T5 family have none, the user's one message is the text, behind the system's and a blank line if there
    is one. Text gets the special tokens that the tokenizer puts around a sequence (T5: the end token); what a template
    has written gets none.

    Args:
        tokenizer: of the model.
        prompt: messages, or the text itself.
        row: the row's id, for errors.

    Raises:
        RowError: ``E-TORCH-041`` the prompt has several turns, or something else that plain text cannot say;
            ``E-TORCH-012`` the template refuses it; ``E-TORCH-044`` it has no tokens.
    """
    if not isinstance(prompt, str) and tokenizer.chat_template:
        ids = encode_prompt(tokenizer, prompt, row=row)
    else:
        ids = tokenizer(prompt if isinstance(prompt, str) else _as_text(prompt, row))["input_ids"]
    if not ids:
        raise RowError("the encoder has nothing to read", "E-TORCH-044", where=row, fix="filter such rows out")
    return ids


def encode_source_target(
    tokenizer: PreTrainedTokenizerBase,
    source: Sequence[Message] | str,
    target: Sequence[Message] | str,
    *,
    max_length: int | None = None,
    overlength: Overlength = "error",
    row: str | None = None,
) -> Encoded | None:
    """One row of an encoder-decoder model: the source, not trained, then the target with its end token, all trained.

    Args:
        tokenizer: of the model.
        source: as the prompt of :func:`encode_source`.
        target: the assistant's one message, or the text itself.
        max_length: most tokens allowed, of source and target together; None for no bound.
        overlength: what to do with a longer row, as in :func:`encode_conversation`: ``truncate-prompt`` removes the
            oldest tokens of the source (its end token stays), ``truncate-response`` cuts the end of the target.
        row: the row's id, for errors.

    Returns:
        the row, or None if it was dropped.

    Raises:
        RowError: as :func:`encode_source`; ``E-TORCH-041`` the target is not one message of text; ``E-TORCH-042`` the
            tokenizer has no token for a part of it; too long.
    """
    read = encode_source(tokenizer, source, row=row)
    text = target if isinstance(target, str) else _answer(target, row)
    written: list[int] = tokenizer(text_target=text)["input_ids"]
    if written[-1:] != [tokenizer.eos_token_id]:
        written = [*written, tokenizer.eos_token_id]
    if tokenizer.unk_token_id != tokenizer.eos_token_id and tokenizer.unk_token_id in written:
        raise RowError(
            f"the tokenizer has no token for {_unknown(tokenizer, text)} of the target",
            "E-TORCH-042",
            where=row,
            why=f"the model would learn to write {tokenizer.unk_token!r} there",
            fix="write it differently, or filter such rows out (T5 has no braces, no < and no \\, for example)",
        )
    made = Encoded([*read, *written], [False] * len(read) + [True] * len(written))
    return fit(made, tokenizer, max_length, overlength, row)


def _as_text(prompt: Sequence[Message], row: str | None) -> str:
    roles = [message["role"] for message in prompt]
    if roles not in (["user"], ["system", "user"]) or any(not _is_text(message) for message in prompt):
        raise RowError(
            "the prompt is more than one user message of text, with or without a system message before it",
            "E-TORCH-041",
            where=row,
            why=f"it has {', '.join(roles) or 'no message'}, and the tokenizer no chat template to write them with",
            fix="keep rows of one turn, or give the tokenizer a chat template",
        )
    return "\n\n".join(str(message["content"]) for message in prompt)


def _answer(target: Sequence[Message], row: str | None) -> str:
    if len(target) != 1 or target[0]["role"] != "assistant" or not _is_text(target[0]):
        raise RowError(
            "what the decoder is to write is not one assistant message of text",
            "E-TORCH-041",
            where=row,
            why=f"it is {', '.join(message['role'] for message in target) or 'no message'}",
            fix="keep rows that end with one answer in words",
        )
    return str(target[0]["content"])


def _is_text(message: Message) -> bool:
    return message.get("content") is not None and not message.get("tool_calls")


def _unknown(tokenizer: PreTrainedTokenizerBase, text: str) -> str:
    """Up to five of the characters that it cannot write, quoted."""
    found = [
        character
        for character in dict.fromkeys(text)
        if tokenizer.unk_token_id in tokenizer(text_target=character, add_special_tokens=False)["input_ids"]
    ]
    return ", ".join(map(repr, found[:5])) or "a part"
