"""What a server says when something is wrong: a line to show, and what there is to learn from it."""

from __future__ import annotations

import json

SHOWN = 300
"""Characters of what a server said that are repeated."""

NO_MONEY = "insufficient_quota"
"""What OpenAI says, with status 429, when there is no money left."""

COMPLETION_TOKENS = "max_completion_tokens"
"""What a server names that wants the parameter ``max_tokens`` under this name."""

RESPONSE_FORMAT = frozenset({"response_format", "json_schema", "json schema", "guided", "grammar"})
"""Words by which a server complains of an answer's form, or of one schema."""


def said(body: bytes) -> str:
    """What a server says went wrong, in one short line; nothing where it is no text in UTF-8, as JSON is: the key is
    not looked for in other encodings."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return ""
    if "\0" in text:  # UTF-16 without its mark passes for UTF-8
        return ""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = text
    for name in ("error", "message", "detail"):
        if isinstance(found, dict) and name in found:
            found = found[name]
    words = found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)
    line = " ".join("".join(each if each.isprintable() else " " for each in words).split())
    return line if len(line) <= SHOWN else f"{line[:SHOWN]} [...]"


def hints(body: bytes) -> frozenset[str]:
    """What a complaint tells, of all that there is to learn.

    Args:
        body: as the server wrote it, the key not yet left out: a key that is a word (``x``) may be a part of others.
    """
    words = said(body).lower()
    found = {hint for hint in (COMPLETION_TOKENS, *RESPONSE_FORMAT) if hint in words}
    return frozenset(found | {NO_MONEY} if NO_MONEY.encode() in body else found)
