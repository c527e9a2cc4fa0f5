"""Functions of a user's own as rewards."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from itune_core.api.errors import RowError

if TYPE_CHECKING:
    from itune_core.api.asking import Message


def rewarded(function: Callable[..., Any], prompt: Sequence[Message], answer: Sequence[Message]) -> float:
    """What a function that a ``Function`` setting names gives for an answer: a finite number, larger is better.

    Args:
        function: called with prompt and answer, each a list of messages of its own to keep.
        prompt: the turns before the answer.
        answer: its turns.

    Raises:
        RowError: ``E-DATA-039`` it raised ValueError, or gave no finite number; true and false are none.
    """
    try:
        reward = function([dict(turn) for turn in prompt], [dict(turn) for turn in answer])
    except ValueError as error:
        raise RowError("the reward function raised ValueError", "E-DATA-039", why=str(error)) from error
    if isinstance(reward, bool) or not isinstance(reward, (int, float)) or not math.isfinite(reward):
        raise RowError(f"the reward function gave {reward!r:.80}", "E-DATA-039", why="a finite number was expected")
    return float(reward)
