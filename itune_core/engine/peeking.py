"""What a step would ask a model first, without asking it."""

from __future__ import annotations

from collections.abc import Sequence

from itune_core.api.asking import Request
from itune_core.api.outcomes import Failed
from itune_core.engine.asking import Answered, Question

NOT_ASKED = Failed("E-INSPECT-007", "nothing is asked here: a prompt is only looked at")


class Found(Exception):
    """Ends a component's work as soon as the request that was looked for is seen.

    Args:
        request: the request.
    """

    def __init__(self, request: Request) -> None:
        super().__init__("the request that was looked for")
        self.request = request


class Peeking:
    """Stands where :class:`~itune_core.engine.serving.Serving` does, and waits for one question.

    A component that asks for every record has one dialogue for each, called by its id. One that asks for the whole data
    set (a pool that grows) has others: there, question number `row` of those that come first is meant.

    Args:
        item: id of the record that is asked about.
        row: its number.
        items: ids of all records: a dialogue that is not called by one of them asks for the whole.

    Attributes:
        seen: the first questions that were asked for the whole.
    """

    def __init__(self, item: str, row: int, items: frozenset[str]) -> None:
        self.item, self.row, self.items = item, row, items
        self.seen: list[Request] = []

    def figures(self) -> dict[str, float]:
        return {}

    def exchange(self, questions: Sequence[Question]) -> Answered:
        """Fail every question, until the one that is looked for is among them.

        Raises:
            Found: it is.
        """
        for question in questions:
            if question.key == self.item:
                raise Found(question.request)
            if question.key not in self.items and len(self.seen) <= self.row:
                self.seen.append(question.request)
        return [(question, NOT_ASKED) for question in questions]
