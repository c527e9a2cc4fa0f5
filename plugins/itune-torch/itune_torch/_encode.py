"""The mask engine: from messages to token ids and which of them are trained.

The template is rendered and the text tokenised exactly once, with ``add_special_tokens=False``. Which tokens belong
to which message is found by rendering prefixes of the conversation and comparing text, never by looking for a
template's keywords; so any template that writes a conversation from left to right works, and one that does not is
refused, not guessed at.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from itune_core.api import ModelError, RowError
from itune_torch._encoded import Encoded, Overlength, fit
from itune_torch._render import Message, fields_of, render

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


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


def _is_trained(message: Message) -> bool:
    flag = message.get("train")
    return message["role"] == "assistant" if flag is None else bool(flag)


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
