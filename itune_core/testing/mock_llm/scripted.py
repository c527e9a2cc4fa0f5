"""Answers that a test has written, by what is asked."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from itune_core.api.errors import RecipeError


@dataclass(frozen=True)
class Rule:
    """What is answered to the questions that `match` finds something in.

    Attributes:
        match: searched in the last user turn.
        answers: texts and their probabilities.
        weighted: whether the probabilities were given; then they are those of the answers' first tokens, too.
    """

    match: re.Pattern[str]
    answers: Mapping[str, float]
    weighted: bool

    def draw(self, rng: random.Random, greedy: bool) -> str:
        """One of the answers: the likeliest if `greedy` and the test has said which that is."""
        if greedy and self.weighted:
            return max(self.answers, key=lambda text: self.answers[text])
        return rng.choices(list(self.answers), list(self.answers.values()))[0]


class Script:
    """Rules in their order; the first that matches answers."""

    def __init__(self, rules: Sequence[Rule] = ()) -> None:
        self._rules = rules

    @classmethod
    def read(cls, given: Path | str | Sequence[Mapping[str, Any]]) -> Script:
        """The rules as :attr:`Settings.answers` gives them.

        Raises:
            RecipeError: ``E-MOCK-004`` the file cannot be read; ``E-MOCK-005`` a rule is none.
        """
        if not isinstance(given, (Path, str)):
            return cls([_rule(item, f"rule {number}") for number, item in enumerate(given, 1)])
        try:
            rules = yaml.safe_load(Path(given).read_text("utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise RecipeError(
                "E-MOCK-004", "the file of answers cannot be read", where=str(given), why=str(error)
            ) from error
        if not isinstance(rules, list):
            raise _wrong("the file holds no list of rules", str(given))
        return cls([_rule(item, f"{given}, rule {number}") for number, item in enumerate(rules, 1)])

    def find(self, question: str) -> Rule | None:
        """The rule that answers `question`; None: the server writes a text of its own."""
        return next((rule for rule in self._rules if rule.match.search(question)), None)


def _rule(item: Any, where: str) -> Rule:
    if not isinstance(item, Mapping) or not {"answer"} <= {*item} <= {"match", "answer"}:
        raise _wrong("a rule has `answer`, and `match` if it is not for every question", where)
    answer, match = item["answer"], item.get("match", "")
    if not isinstance(match, str):
        raise _wrong("`match` is no text", where)
    try:
        pattern = re.compile(match)
    except re.error as error:
        raise _wrong(f"`match` is no regular expression: {error}", where) from error
    weighted = isinstance(answer, Mapping)
    shares = dict(answer) if isinstance(answer, Mapping) else {}
    if isinstance(answer, str):
        shares = {answer: 1}
    elif isinstance(answer, Sequence):
        for text in answer:  # a text that stands there twice is twice as likely
            shares[text] = shares.get(text, 0) + 1
    if not shares or not all(isinstance(text, str) for text in shares):
        raise _wrong("`answer` is a text, a list of texts, or a mapping of texts to weights", where)
    if not all(isinstance(share, (int, float)) and share > 0 for share in shares.values()):
        raise _wrong("the weight of an answer is no number above 0", where)
    total = sum(shares.values())
    return Rule(pattern, {text: share / total for text, share in shares.items()}, weighted)


def _wrong(what: str, where: str) -> RecipeError:
    return RecipeError(
        "E-MOCK-005",
        what,
        where=where,
        fix="write - {match: 'capital of France', answer: Paris}; in YAML, quote texts such as 'yes' and '7'",
    )
