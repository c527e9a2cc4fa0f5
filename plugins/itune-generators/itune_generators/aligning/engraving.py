"""Stage 2's answer without its thought, or why it is not kept: the filters of Dromedary's published code."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from itune_core.api import Drop
from itune_generators.aligning.marks import Marks
from itune_generators.reading.quoting import quotes

_CLAUSE = re.compile(r"(?<=[\n.?!;:,`。？！；：、，])")


class Engraved(NamedTuple):
    """What is learnt, and the thought that led to it; without white space around either."""

    reply: str
    thought: str


def engraved(text: str, *, cut: bool, asked: str, marks: Marks, leaks: Sequence[str]) -> Engraved | Drop:
    """The reply and the thought of an answer, or the first rule that it breaks.

    Args:
        text: what the model wrote.
        cut: whether it hit the most tokens it may have.
        asked: the user's last turn.
        marks: the format that was asked for.
        leaks: words that a reply must not have, unless `asked` has them.
    """
    opening = re.match(rf"\s*(?:{_mark(marks.thought)}\s*)?(?={re.escape(marks.opening)})", text, re.IGNORECASE)
    if opening is None:
        return Drop("no-thought", f"it begins {text[:60]!r}")
    thought, reply, *_ = [*re.split(_line(marks.reply), text[opening.end() :], maxsplit=1), ""]
    whole = reply.strip()
    if not whole:
        return Drop("no-reply", f"{marks.reply!r} and a reply are missing after the thought")
    kept = before_repeat(whole)
    kept, *goes_on = re.split(_line(marks.user), kept, maxsplit=1)
    kept = kept.strip()
    if goes_on and len(kept) < marks.shortest:
        return Drop("goes-on", f"a turn of the user follows after {len(kept)} characters, under {marks.shortest}")
    if cut and kept == whole:
        return Drop("unfinished", "it hit max_tokens before its end")
    if quotes(kept, asked):
        return Drop("copies-prompt", "it holds the prompt")
    formats = (f"{mark}{colon}" for mark in (marks.user, marks.thought) for colon in ":：")
    for word in (*leaks, *formats):
        if word in kept and word not in asked:
            return Drop("exemplar-words", f"it says {word!r}")
    apology = next((words for words in marks.apologies if kept.lower().startswith(words)), None)
    if apology is not None:
        return Drop("apology", f"it begins {kept[:20]!r}")
    return Engraved(kept, thought.strip())


def before_repeat(text: str) -> str:
    """`text` up to the first clause that it has said before: where a model has begun to turn in circles.

    A clause ends after a punctuation mark or the end of a line. Those without a letter (numbers, brackets) may recur.
    """
    seen: set[str] = set()
    kept = []
    for clause in _CLAUSE.split(text.strip()):
        if clause in seen:
            break
        if any(character.isalpha() for character in clause):
            seen.add(clause)
        kept.append(clause)
    return "".join(kept).strip()


def _mark(word: str) -> str:
    return rf"[#*]*[ \t]*{re.escape(word)}[ \t*]*[:：]\**"


def _line(word: str) -> re.Pattern[str]:
    return re.compile(rf"^[ \t]*{_mark(word)}", re.MULTILINE | re.IGNORECASE)
