"""The answers to one question and to several, without what a model thought before it gave them.

Where an answer is part of a question that is asked next, another reading of thoughts asks that anew.
"""

from __future__ import annotations

from collections.abc import Sequence

from itune_core.api import Answer, Completion, Failed, RowError, spoken


def only(answer: Answer) -> Completion:
    """The one completion of an answer, as :func:`spoken` gives it, which see."""
    [completion] = answer.completions
    return spoken(completion)


def heard(replies: Sequence[Answer | Failed]) -> list[Completion | Failed]:
    """The same of the replies to several questions; a thought without an end is a failure in its place."""
    found: list[Completion | Failed] = []
    for reply in replies:
        try:
            found.append(reply if isinstance(reply, Failed) else only(reply))
        except RowError as error:
            found.append(Failed.of(error))
    return found
