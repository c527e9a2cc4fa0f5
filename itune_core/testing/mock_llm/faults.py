"""Which fault a request has, and what spoilt bodies look like."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from itune_core.testing.mock_llm.settings import NONE, Settings


class Faults:
    """Draws a fault for each request, or none.

    The draw is a function of the server's seed, of what is asked and of how often it was asked before: it does not
    depend on the order in which requests arrive, so a client that asks more at once meets the same faults, and one
    that asks again is not met by the same fault for ever.
    """

    def __init__(self, settings: Settings) -> None:
        self._first = list(reversed(settings.first))
        self._shares = {name: share for name, share in settings.faults.items() if share > 0}

    def draw(self, number: int) -> str | None:
        """The fault of a request whose draw is `number`, of 64 bits; None: it has none."""
        if self._first:
            name = self._first.pop()
            return None if name == NONE else name
        point, reached = (number >> 11) / 2**53, 0.0  # all that a float holds: never 1
        for name, share in self._shares.items():
            reached += share
            if point < reached:
                return name
        return None


_PAGE = b"<html><head><title>502 Bad Gateway</title></head><body>upstream sent no answer</body></html>"
_CUT = b'{"id": "chatcmpl-1", "object": "chat.completion", "choices": [{"index": 0, "message": {"ro'
_NO_CHOICE: Mapping[str, object] = {"id": "chatcmpl-1", "object": "chat.completion", "model": "m", "choices": []}
_NO_TEXT: Mapping[str, object] = {**_NO_CHOICE, "choices": [{"index": 0, "message": {"role": "assistant"}}]}
_NUMBER: Mapping[str, object] = {**_NO_CHOICE, "choices": [{"index": 0, "message": {"content": 7}}]}

NOT_JSON: tuple[bytes, ...] = (
    _PAGE,  # what a proxy says
    _CUT,  # whole by its length
    b"\xff\xfe\x00{}",
    b"",
)
OTHER_FORM: tuple[bytes, ...] = (
    b"null",
    b"[]",
    *map(orjson.dumps, (_NO_CHOICE, _NO_TEXT, _NUMBER)),
    b'{"error": {"message": "the model is being loaded", "type": "server_error"}}',  # in spite of status 200
)


def garbage(number: int) -> bytes:
    """A body that comes with status 200 and answers nothing."""
    bodies = NOT_JSON + OTHER_FORM
    return bodies[number % len(bodies)]


def wrong_form(number: int) -> bytes:
    """One of these that is JSON."""
    return OTHER_FORM[number % len(OTHER_FORM)]
