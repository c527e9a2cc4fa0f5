"""The answer to one question, without what a model thought before it gave it.

Where an answer is part of a question that is asked next, another reading of thoughts asks that anew.
"""

from __future__ import annotations

from itune_core.api import Answer, Completion, spoken


def answer_alone(answer: Answer) -> Completion:
    """The one completion of an answer, as :func:`spoken` gives it, which see."""
    [completion] = answer.completions
    return spoken(completion)
