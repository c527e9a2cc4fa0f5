"""The mask engine: from messages to token ids and which of them are trained.

The template is rendered and the text tokenised exactly once, with ``add_special_tokens=False``. Which tokens belong
to which message is found by rendering prefixes of the conversation and comparing text, never by looking for a
template's keywords; so any template that writes a conversation from left to right works, and one that does not is
refused, not guessed at.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from itune_core.api import ModelError, RowError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Message = Mapping[str, Any]
Overlength = Literal["error", "drop", "truncate-prompt", "truncate-response"]


@dataclass(frozen=True)
class Encoded:
    """One tokenised row.

    Attributes:
        ids: token ids.
        trained: for each token whether it is trained, i.e. whether its log-probability enters a loss.
        cut: how many tokens the overlength policy removed.
        lost_end: the cut took trained tokens off the end, so the model does not see this row stop.
        merged: how many tokens span a boundary between trained and untrained text: there the model is trained on a
            token it does not meet at inference. Each counts as trained where the trained text follows, else as
            untrained.
    """

    ids: list[int]
    trained: list[bool]
    cut: int = 0
    lost_end: bool = False
    merged: int = 0

    @property
    def supervised(self) -> int:
        """The number of trained tokens that can be predicted: all but one that opens the row."""
        return sum(self.trained[1:])


def encode_conversation(
    tokenizer: PreTrainedTokenizerBase,
    messages: Sequence[Message],
    *,
    max_length: int | None = None,
    overlength: Overlength = "error",
    row: str | None = None,
) -> Encoded | None:
    """Tokenise a conversation and mark what is trained.

    A message is trained if its ``train`` flag says so; with no flag, if it is the assistant's. A trained assistant
    message covers all the template writes after the generation prompt, its end-of-turn token included; a trained
    message of another role, or one that opens the conversation, covers its content and what closes the turn, not the
    header.

    Args:
        tokenizer: with a chat template.
        messages: ``{role, content, name, tool_calls, train}``; missing and null fields are left out, and
            ``tool_calls`` may be JSON text.
        max_length: most tokens allowed; None for no bound.
        overlength: what to do with a longer row: raise (``error``), return None (``drop``), remove the oldest tokens
            before the first trained one (``truncate-prompt``, keeps a leading BOS), or cut the end
            (``truncate-response``).
        row: the row's id, for errors.

    Returns:
        the row, or None if it was dropped.

    Raises:
        RowError: no supervised token, too long, or a conversation the template refuses or does not render left to
            right.
        ModelError: the tokenizer has no chat template or does not say where its tokens are.
    """
    plain = [fields_of(message, row) for message in messages]
    text = render(tokenizer, plain, row=row)
    spans = [
        (_start(tokenizer, plain, index, text, row), _end(tokenizer, plain, index, text, row))
        for index, message in enumerate(messages)
        if _is_trained(message)
    ]
    return _finish(tokenizer, text, spans, max_length, overlength, row)


def encode_completion(
    tokenizer: PreTrainedTokenizerBase,
    prompt: Sequence[Message] | str,
    completion: Sequence[Message] | str,
    *,
    max_length: int | None = None,
    overlength: Overlength = "error",
    row: str | None = None,
) -> Encoded | None:
    """Tokenise a prompt and its completion; all of the completion is trained, none of the prompt.

    Messages go through the chat template; two strings are joined as they are, and the end-of-sequence token is
    appended if it is not there. Both give the ids and mask that TRL's `SFTTrainer` builds for the same row.
    Arguments, result and errors otherwise as in :func:`encode_conversation`; ``train`` flags are not read.
    """
    if isinstance(prompt, str) and isinstance(completion, str):
        text = prompt + completion
        if not completion.endswith(tokenizer.eos_token):
            text += tokenizer.eos_token
        return _finish(tokenizer, text, [(len(prompt), len(text))], max_length, overlength, row)
    if isinstance(prompt, str) or isinstance(completion, str):
        raise RowError("prompt and completion must both be messages or both be text", "E-TORCH-010", where=row)
    plain = [fields_of(message, row) for message in (*prompt, *completion)]
    text = render(tokenizer, plain, row=row)
    start = _start(tokenizer, plain, len(prompt), text, row)
    return _finish(tokenizer, text, [(start, len(text))], max_length, overlength, row)


def encode_text(
    tokenizer: PreTrainedTokenizerBase,
    text: str,
    *,
    max_length: int | None = None,
    overlength: Overlength = "error",
    row: str | None = None,
) -> Encoded | None:
    """Tokenise plain text, as in pre-training: every token trained, the end-of-sequence token appended.

    A tokenizer that opens a sequence with BOS does so here too. Arguments, result and errors as in
    :func:`encode_conversation`.
    """
    ids = tokenizer(text)["input_ids"]
    if ids[-1:] != [tokenizer.eos_token_id]:
        ids = [*ids, tokenizer.eos_token_id]
    return fit(Encoded(ids, [True] * len(ids)), tokenizer, max_length, overlength, row)


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


def _is_trained(message: Message) -> bool:
    flag = message.get("train")
    return message["role"] == "assistant" if flag is None else bool(flag)


def render(
    tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, Any]], *, row: str | None, generation: bool = False
) -> str:
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


def _prefix(
    tokenizer: PreTrainedTokenizerBase,
    messages: list[dict[str, Any]],
    text: str,
    row: str | None,
    *,
    generation: bool = False,
) -> int:
    """Where in `text` the rendering of its first messages ends."""
    part = render(tokenizer, messages, row=row, generation=generation)
    if text.startswith(part):
        return len(part)
    same = next((i for i, (a, b) in enumerate(zip(part, text, strict=False)) if a != b), min(len(part), len(text)))
    raise RowError(
        f"the chat template writes the first {len(messages)} messages differently when more follow",
        "E-TORCH-013",
        where=row,
        why=f"it wrote {part[same : same + 40]!r} and then {text[same : same + 40]!r}, so what the model is asked to "
        "continue at inference is not what it would be trained on",
        fix="use a training variant of the template that leaves earlier turns as they are, or train the last turn only",
    )


def _start(
    tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, Any]], index: int, text: str, row: str | None
) -> int:
    before = messages[:index]
    if before and messages[index]["role"] == "assistant":
        return _prefix(tokenizer, before, text, row, generation=True)
    # No generation prompt leads here. A stand-in content shows where the header ends.
    mark = "\u2063content\u2063"
    marked = render(tokenizer, [*before, {**messages[index], "content": mark}], row=row)
    place = marked.find(mark)
    if place < 0 or not text.startswith(marked[:place]):
        raise RowError(
            f"the chat template does not write the content of message {index} ({messages[index]['role']}) in its "
            "place, so it cannot be trained",
            "E-TORCH-014",
            where=row,
            fix="remove the train flag from this message",
        )
    return place


def _end(
    tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, Any]], index: int, text: str, row: str | None
) -> int:
    return len(text) if index + 1 == len(messages) else _prefix(tokenizer, messages[: index + 1], text, row)


def _finish(
    tokenizer: PreTrainedTokenizerBase,
    text: str,
    spans: list[tuple[int, int]],
    max_length: int | None,
    overlength: Overlength,
    row: str | None,
) -> Encoded | None:
    if not tokenizer.is_fast:
        raise ModelError(
            "E-TORCH-015",
            f"the tokenizer {type(tokenizer).__name__} does not say which characters a token covers",
            fix="use a model whose tokenizer is a tokenizer.json",
        )
    encoding = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ids: list[int] = encoding["input_ids"]
    offsets: list[tuple[int, int]] = encoding["offset_mapping"]
    if len(ids) > 1 and ids[0] == ids[1] == tokenizer.bos_token_id:
        raise RowError(
            f"the row begins with {tokenizer.bos_token!r} twice",
            "E-TORCH-016",
            where=row,
            why="the chat template writes it and the text has it too",
            fix="remove it from the text",
        )
    # Ends, not starts: a tokenizer that trims white space from its offsets moves a token's start, never its end.
    ends = [end for _, end in offsets]
    trained = [False] * len(ids)
    merged = 0
    for start, end in spans:
        first, last = bisect_right(ends, start), bisect_right(ends, end)
        trained[first:last] = [True] * (last - first)
        merged += sum(low < len(ids) and offsets[low][0] < edge for low, edge in ((first, start), (last, end)))
    return fit(Encoded(ids, trained, merged=merged), tokenizer, max_length, overlength, row)


def fit(
    encoded: Encoded,
    tokenizer: PreTrainedTokenizerBase,
    max_length: int | None,
    overlength: Overlength,
    row: str | None,
) -> Encoded | None:
    """Apply the overlength policy, and refuse a row that trains nothing."""
    excess = 0 if max_length is None else max(0, len(encoded.ids) - max_length)
    if excess and overlength == "drop":
        return None
    if excess and overlength == "error":
        raise RowError(
            f"the row has {len(encoded.ids)} tokens, more than max_length {max_length}",
            "E-TORCH-017",
            where=row,
            fix="raise max_length, or say what to do with such rows: overlength: drop, truncate-prompt or "
            "truncate-response",
        )
    if excess and overlength == "truncate-response":
        lost = any(encoded.trained[-excess:])
        encoded = Encoded(encoded.ids[:-excess], encoded.trained[:-excess], excess, lost, encoded.merged)
    elif excess:
        keep = 1 if encoded.ids[0] == tokenizer.bos_token_id else 0
        prompt = encoded.trained.index(True) if any(encoded.trained) else len(encoded.ids)
        if excess >= prompt:  # the first trained token must keep something to be predicted from
            raise RowError(
                f"the row is {excess} tokens over max_length {max_length}; its prompt has only {prompt} to cut from",
                "E-TORCH-018",
                where=row,
                fix="raise max_length, or use overlength: drop or truncate-response",
            )
        ids = encoded.ids[:keep] + encoded.ids[keep + excess :]
        trained = encoded.trained[:keep] + encoded.trained[keep + excess :]
        encoded = Encoded(ids, trained, excess, False, encoded.merged)
    if not encoded.supervised:
        raise RowError(
            "the row has no token to train on",
            "E-TORCH-019",
            where=row,
            why="the cut took them all" if encoded.cut else "no message of it is trained, or what is trained is empty",
            fix="filter such rows out, set train: true on a message, or raise max_length",
        )
    return encoded
