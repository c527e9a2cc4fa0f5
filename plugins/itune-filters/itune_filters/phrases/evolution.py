"""Which evolved instructions failed: WizardLM's three rules that words tell, and the answer to its fourth."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from itune_core.api import Drop, RowError
from itune_filters.phrases.elimination import COPIED, SORRY, says_nothing
from itune_filters.phrases.refusal import plain
from itune_filters.phrases.wordcount import word_count

SHORT = 80
"""An answer that says sorry in fewer words is a refusal."""

_WORD = r"(?:equal|different|unequal|not\W+equal)\b"
_VERDICT = re.compile(rf"\W*({_WORD})(?!\W*(?:/|\bor\b)\W*{_WORD})", re.IGNORECASE)


@dataclass(frozen=True)
class Parent:
    """What is known of a record that others were made from.

    Attributes:
        prompt: its instruction.
        whole: instruction, answers and references.
    """

    prompt: str
    whole: str


def evolution_failure(
    evolved: str,
    answer: str | None,
    parents: Callable[[], Sequence[Parent]],
    *,
    copied: Sequence[str] = (),
    calls_tools: bool = False,
) -> Drop | None:
    """Why an evolution failed, by the rules of ``filters/evol-elimination`` that need no model; None if it did not.

    Args:
        evolved: the instruction.
        answer: to it; None: there is none yet, and the rules for answers are left out.
        parents: gives what it was made from. Called where a rule needs it; with none, it was not evolved.
        copied: more words that the instruction must not copy.
        calls_tools: whether the answer calls a tool, so that few words are no fault.

    Returns:
        ``sorry``, ``only-stop-words`` or ``copied-prompt-words``.
    """
    if answer is not None:
        apology = next((word for word in SORRY if word in plain(answer)), None)
        words = word_count(answer)
        if apology and words < SHORT and not any(word in plain(of.whole) for of in parents() for word in SORRY):
            return Drop("sorry", f"the answer says {apology!r} in {words} words, fewer than {SHORT}")
        if says_nothing(answer) and not calls_tools:
            return Drop("only-stop-words", f"the answer is {answer[:40]!r}")
    said = plain(evolved)
    for phrase in (*COPIED, *map(plain, copied)):
        if phrase in said:
            known = parents()
            if known and not any(phrase in plain(parent.prompt) for parent in known):
                return Drop("copied-prompt-words", f"it says {phrase!r}")
    return None


def judged_equal(answer: str) -> bool:
    """Whether a judge calls an evolved instruction equal to its parent: it begins with ``equal`` or ``different``.

    Raises:
        RowError: ``E-FILTER-021`` with neither, or with the question: "equal or different".
    """
    found = _VERDICT.match(answer)
    if found is None:
        raise RowError(
            "the judge answers neither equal nor different",
            "E-FILTER-021",
            why=f"it says {answer[:40]!r}",
            fix="use a model that follows instructions, or a prompt that it understands",
        )
    return found[1].lower() == "equal"
