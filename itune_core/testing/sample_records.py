"""Sample records of every kind, different enough to show what a component does with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from itune_core.api.records import (
    Kind,
    Record,
    conversation,
    feedback,
    message,
    preference,
    prompt,
    ranking,
    text,
)

SYSTEM = "You answer in one or two sentences."

QUESTIONS = [
    ("garden", "en", "Why do tomatoes want a stake?", "The stems are soft, and the fruit would pull them down."),
    ("garden", "en", "When are pears picked?", "Before they are ripe: they soften on a shelf, not on the tree."),
    ("harbour", "en", "What is a bollard?", "A short post that a ship is moored to."),
    ("kitchen", "de", "Wie lange zieht grüner Tee?", "Zwei Minuten, und nicht mit kochendem Wasser."),
    (
        "harbour",
        "en",
        "Who gives way, the sailing boat or the ferry?",
        "The ferry; in a narrow channel the boat.",
    ),
    ("kitchen", "ja", "ご飯はどのくらい炊きますか。", "沸いてから弱火で十二分です。"),
    ("garden", "en", "Why do tomatoes want a stake?", "The stems are soft, and the fruit would pull them down."),
    ("kitchen", "en", "Convert 180 degrees Celsius to Fahrenheit.", "180 * 9 / 5 + 32 = 356."),
    ("harbour", "en", "Say yes.", "Yes."),
    ("garden", "fr", "À quoi sert le paillis ?", "Il garde l'humidité du sol et freine les mauvaises herbes 🌱."),
    (
        "kitchen",
        "en",
        "How do I keep a cut onion?\nAnd for how long?",
        "Wrap the half with the root, put it in the cold, and use it within three days. What smells sharp is still "
        "good; what has gone soft or slimy is not, and belongs on the compost.",
    ),
]
"""Group, language, question, answer. The first and the seventh are the same; lengths differ by a factor of fifty."""


def samples(kind: Kind) -> list[Record]:
    """Eleven records of `kind`, in a fixed order, without ids.

    They come from three sources, in four languages; two are equal, one begins with a system turn, one has several
    turns, and lengths differ widely. Prompts have references.
    """
    build = BUILDERS[kind]
    made = []
    for number, (group, language, question, answer) in enumerate(QUESTIONS):
        turns = [message("user", question)]
        if number == 2:
            turns = [message("system", SYSTEM), *turns]
        if number == 4:
            turns = [message("user", "A question of the sea."), message("assistant", "Ask."), *turns]
        first = QUESTIONS.index((group, language, question, answer))  # so that equal rows stay equal
        other = QUESTIONS[(first + 1) % len(QUESTIONS)][3]
        common = {"source": group, "task": f"{group}-questions", "category": group, "language": language}
        made.append(build(turns, answer, other, common))
    return made


def _conversation(turns: list[dict[str, Any]], answer: str, other: str, common: Mapping[str, Any]) -> Record:
    return conversation([*turns, message("assistant", answer)], **common)


def _prompt(turns: list[dict[str, Any]], answer: str, other: str, common: Mapping[str, Any]) -> Record:
    return prompt(turns, references=[answer], **common)


def _preference(turns: list[dict[str, Any]], answer: str, other: str, common: Mapping[str, Any]) -> Record:
    return preference(turns, [message("assistant", answer)], [message("assistant", other)], **common)


def _ranking(turns: list[dict[str, Any]], answer: str, other: str, common: Mapping[str, Any]) -> Record:
    candidates = [
        {"completion": [message("assistant", words)], "model": model, "score": score}
        for words, model, score in ((answer, "careful", 1.0), (other, "hasty", 0.25), ("I do not know.", None, 0.0))
    ]
    return ranking(turns, candidates, **common)


def _feedback(turns: list[dict[str, Any]], answer: str, other: str, common: Mapping[str, Any]) -> Record:
    good = common["category"] != "harbour"
    words = answer if good else other
    return feedback(turns, [message("assistant", words)], label=good, value=1.0 if good else -0.5, **common)


def _text(turns: list[dict[str, Any]], answer: str, other: str, common: Mapping[str, Any]) -> Record:
    return text(f"{turns[-1]['content']}\n\n{answer}", **common)


BUILDERS: Mapping[Kind, Callable[[list[dict[str, Any]], str, str, Mapping[str, Any]], Record]] = {
    Kind.CONVERSATION: _conversation,
    Kind.PROMPT: _prompt,
    Kind.PREFERENCE: _preference,
    Kind.RANKING: _ranking,
    Kind.FEEDBACK: _feedback,
    Kind.TEXT: _text,
}
