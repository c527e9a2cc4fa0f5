"""Several dialogues side by side in one, so that what they ask is answered together."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, TypeVar

from itune_core.api import Failed, Reply, Request, RowError

Result = TypeVar("Result")


def together(
    dialogues: Sequence[Generator[Request, Any, Result]],
) -> Generator[list[Request], Sequence[Reply | Failed], list[Result | Failed]]:
    """Advance `dialogues` in rounds, each of which asks what all of them ask next; use with ``yield from``.

    Args:
        dialogues: generators that yield single requests.

    Returns:
        In their order, what they return; :class:`~itune_core.api.outcomes.Failed` in the place of one that a
        :class:`~itune_core.api.errors.RowError` ended.
    """
    results: dict[int, Result | Failed] = {}
    replies: dict[int, Reply | Failed | None] = dict.fromkeys(range(len(dialogues)))
    while replies:
        requests: dict[int, Request] = {}
        for number, reply in replies.items():
            dialogue = dialogues[number]
            try:
                if isinstance(reply, Failed):
                    requests[number] = dialogue.throw(RowError(reply.message, reply.code, transient=reply.transient))
                else:
                    requests[number] = dialogue.send(reply)
            except StopIteration as stop:
                results[number] = stop.value
            except RowError as error:
                results[number] = Failed.of(error)
        replies = {}
        if requests:
            answers = yield list(requests.values())
            replies.update(zip(requests, answers, strict=True))
    return [results[number] for number in range(len(dialogues))]


def all_or_first_failure(results: Sequence[Result | Failed]) -> list[Result] | Failed:
    """`results`, or the first failure among them."""
    found = []
    for result in results:
        if isinstance(result, Failed):
            return result
        found.append(result)
    return found


def succeeded(results: Sequence[Result | Failed]) -> list[Result]:
    """`results`, of which none failed.

    Raises:
        RowError: of the first that did.
    """
    found = all_or_first_failure(results)
    if isinstance(found, Failed):
        raise RowError(found.message, found.code, transient=found.transient)
    return found
