"""A round of requests of a bootstrap: what is asked after it depends on all of its answers."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from itune_core.api import Answer, Ask, Completion, Failed, ModelError
from itune_generators.asking.together import together


def answers(
    dialogues: Sequence[Generator[Ask, Answer, Completion]],
) -> Generator[Any, Any, list[Completion | Failed]]:
    """What each of `dialogues` returns, asked together, or why nothing came of it; use with ``yield from``.

    What would have been asked after a request that came to nothing for the moment was never asked without its answer: a
    pool that grew on past it would be another one, and the next run, which has that answer, would ask everything anew.
    So the step ends there, when all other answers of the round are in the journal.

    Raises:
        ModelError: ``E-GEN-022`` requests came to nothing that may be answered at another time.
    """
    replies = yield from together(dialogues)
    lost = [reply for reply in replies if isinstance(reply, Failed) and reply.transient]
    if lost:
        raise ModelError(
            "E-GEN-022",
            f"{len(lost)} of {len(replies)} requests came to nothing for now",
            why=f"the first: {lost[0].code}: {lost[0].message}",
            fix="run again: these alone are asked again, and what was answered is kept",
        )
    return replies
