"""Text that reads like an answer, and its tokens.

Short plain sentences about the words of the question, so that two questions have two answers, and what is made of them
(novelty, length, similarity) behaves as with real text. It says nothing that is true.
"""

from __future__ import annotations

import random
import re

TOKEN = re.compile(r"\s*(?:[^\W_]{1,8}|[^\s\w]|_)|\s+")
"""A token: up to eight letters and digits, or one other mark, with the blanks before it. Together they are the text."""

_TOPIC = re.compile(r"[^\W\d_]{4,}")
_READ = 400
"""Characters of a question in which its words are looked for."""

_OPENINGS = (
    "A good start for {} is",
    "What matters about {} is",
    "With {} most people forget",
    "Before {} there should be",
    "Nothing helps {} as much as",
    "In practice {} asks for",
    "The short answer on {} is",
    "Whoever knows {} well values",
    "It is easier to see {} through",
    "A common mistake with {} is to skip",
)
_CENTRES = (
    "one small example",
    "a list of plain facts",
    "the order of the steps",
    "an honest estimate of the cost",
    "the reason behind the rule",
    "a second look on another day",
    "the difference between two cases",
    "what was tried before",
    "a clear question",
    "the measure that will be used",
    "enough time for the last part",
    "the opinion of somebody who disagrees",
    "a sketch on paper",
    "the part that rarely changes",
    "the smallest thing that works",
    "a name that everybody understands",
)
_ENDINGS = (
    ".",
    ", which takes an hour at most.",
    ", because the rest follows from it.",
    ", and it costs nothing.",
    " rather than a long plan.",
    ", so write it down first.",
    ", as any careful reader will notice.",
    ", even if it seems obvious.",
    ", unless there is a better source.",
    " in the first week.",
)
_NO_TOPIC = ("the matter", "the task", "this", "the question")


def tokens(text: str) -> list[str]:
    """The tokens of `text`; joined they are `text` again."""
    return TOKEN.findall(text)


def write(rng: random.Random, question: str) -> str:
    """Two to six sentences about the words of `question`."""
    topics = list(dict.fromkeys(_TOPIC.findall(question[:_READ].lower()))) or _NO_TOPIC
    return " ".join(
        f"{rng.choice(_OPENINGS).format(rng.choice(topics))} {rng.choice(_CENTRES)}{rng.choice(_ENDINGS)}"
        for _ in range(rng.randint(2, 6))
    )


def words(rng: random.Random, count: int) -> str:
    """So many words of those sentences."""
    return " ".join(rng.choice(rng.choice(_CENTRES).split()) for _ in range(count))
