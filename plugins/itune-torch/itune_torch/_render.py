"""Conversations as a chat template writes them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from itune_core.api import ModelError, RowError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Message = Mapping[str, Any]


def encode_prompt(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], *, row: str | None = None
) -> list[int]:
    """The tokens that an answer to `messages` goes on from: the chat template with its generation prompt.

    Raises:
        RowError: ``E-TORCH-012`` the template refuses the conversation; ``E-TORCH-021`` tool calls that are not JSON.
        ModelError: ``E-TORCH-011`` the tokenizer has no chat template.
    """
    text = render(tokenizer, [fields_of(message, row) for message in messages], row=row, generation=True)
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def fields_of(message: Message, row: str | None) -> dict[str, Any]:
    """What a template may read: no null fields (templates ask ``is defined``), tool calls as objects."""
    fields = {key: message[key] for key in ("role", "content", "name", "tool_calls") if message.get(key) is not None}
    if isinstance(fields.get("tool_calls"), str):
        try:
            fields["tool_calls"] = json.loads(fields["tool_calls"])
        except json.JSONDecodeError as error:
            raise RowError(
                "the tool calls of a message are not JSON",
                "E-TORCH-021",
                where=row,
                why=str(error),
                fix="correct the row, or leave it out",
            ) from error
    return fields


def render(
    tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, Any]], *, row: str | None, generation: bool = False
) -> str:
    """What the chat template writes for `messages`.

    Raises:
        RowError: ``E-TORCH-012`` it refuses them.
        ModelError: ``E-TORCH-011`` there is none.
    """
    from jinja2 import TemplateError

    if not tokenizer.chat_template:
        raise ModelError(
            "E-TORCH-011",
            "the tokenizer has no chat template, so it cannot write a conversation",
            fix="use a chat model, or give its tokenizer a chat template",
        )
    try:
        return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=generation))
    except TemplateError as error:
        raise RowError(
            "the chat template refuses this conversation",
            "E-TORCH-012",
            where=row,
            why=str(error),
            fix="filter such rows out, or change their roles to what the template accepts",
        ) from error
