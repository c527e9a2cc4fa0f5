"""What a reasoning model thinks before it answers, and the answer: told apart in one way wherever a text is used.

The journal holds what the model wrote. What a component records, reads, or shows to a next prompt is the answer.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from itune_core.api.asking import Completion
from itune_core.api.errors import RowError

_OPENS, _ENDS = "<think>", "</think>"


class Thinking(NamedTuple):
    """A text in two parts.

    Attributes:
        thought: without its marks and white space around it; empty if there is none.
        answer: the rest, without white space before it; where there is no thought, the text as it is.
    """

    thought: str
    answer: str

    def __str__(self) -> str:
        """Both, as templates of reasoning models write them."""
        return f"{_OPENS}\n{self.thought}\n{_ENDS}\n\n{self.answer}" if self.thought else self.answer


def thinking(text: str) -> Thinking:
    """The thought that a text begins with, and the answer.

    A thought stands between ``<think>`` and the first ``</think>``, at the beginning of the text; several that follow
    one another are one. Some templates open it themselves, so that a text begins within it: then all up to ``</think>``
    is thought; one that was cut before that mark cannot be told from any other answer that was cut. Marks that open and
    end within an answer are words of it.

    Raises:
        RowError: ``E-MODEL-020`` a thought has no end.
    """
    thoughts: list[str] = []
    rest = text
    while True:
        head, ended, tail = rest.partition(_ENDS)
        before, opened, thought = head.partition(_OPENS)
        if opened and not before.strip():
            if not ended:
                raise _endless(f"it begins {rest.strip()[:60]!r}")
        elif opened or not ended or thoughts:
            break
        else:  # the template has opened it
            thought = head
        thoughts.append(thought.strip())
        rest = tail.lstrip()
    return Thinking("\n\n".join(filter(None, thoughts)), rest)


def spoken(completion: Completion) -> Completion:
    """`completion` with the answer for its text.

    Raises:
        RowError: ``E-MODEL-020`` it hit ``max_tokens`` within its thought, or a thought has no end. Of a server that
            keeps thoughts to itself, nothing has come then.
    """
    counted = completion.prompt_tokens or completion.completion_tokens
    if completion.finish == "length" and not completion.text and (completion.completion_tokens or not counted):
        raise _endless(f"none of its {completion.completion_tokens if counted else 'uncounted'} tokens is of an answer")
    return replace(completion, text=thinking(completion.text).answer)


def _endless(why: str) -> RowError:
    return RowError(
        "the model was still thinking when its answer ended",
        "E-MODEL-020",
        why=why,
        fix="raise max_tokens, leave out stop strings that a thought may hold, or have it answer without thinking",
    )
