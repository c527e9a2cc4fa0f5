"""What a server's answer is, before anybody reads what is in it: usable, worth another try, or the end."""

from __future__ import annotations

import json
from collections.abc import Mapping, Set
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from itune_backends.remote.complaints import NO_MONEY, SHOWN, said
from itune_core.api import ItuneError, ModelError

BUSY = frozenset({429, 503})
"""Too much at once: also a reason to send less."""

AGAIN = frozenset({408, 409, 425}) | BUSY
"""Worth another try, as is everything from 500."""

NO_LEAVE = frozenset({401, 402, 403})
"""About who asks, not what is asked: the next request would be answered the same."""

ELSEWHERE = frozenset({404, 405, 410})
"""Nothing is there to ask."""


class Fault(Exception):
    """A try that came to nothing, and may come to something next time.

    Args:
        kind: what happened, in a few words; faults are counted by it.
        busy: whether the server had too much to do.
        after: seconds that the server asked to wait.
        final: whether the next try would end like this one.
    """

    def __init__(self, kind: str, *, busy: bool = False, after: float | None = None, final: bool = False) -> None:
        super().__init__(kind)
        self.kind, self.busy, self.after, self.final = kind, busy, after, final


class Refusal(Exception):
    """The server understood this one request and will not answer it.

    Args:
        status: of the response.
        said: the server's words.
        hints: what there is to learn from them.
    """

    def __init__(self, status: int, said: str, hints: Set[str]) -> None:
        super().__init__(status, said, hints)
        self.status, self.said, self.hints = status, said, hints


def check(
    status: int, headers: Mapping[str, str], body: bytes, hints: Set[str], *, now: datetime | None = None
) -> None:
    """Let pass a response that says that all is well.

    Args:
        status, headers, body: of the response; names of headers in lower case, or a mapping that does not mind.
        hints: what there is to learn from the body.
        now: the time; for ``Retry-After`` with a date.

    Raises:
        Fault: try again.
        Refusal: this request is not answered.
        ModelError: none is, from us: ``E-BACKEND-021`` or ``E-BACKEND-022``.
    """
    if status == 429 and NO_MONEY in hints:
        raise closed(status, said(body))
    if status >= 500 or status in AGAIN:
        raise Fault(str(status), busy=status in BUSY, after=_seconds(headers.get("retry-after"), now))
    if 200 <= status < 300:
        return
    if status in NO_LEAVE or status in ELSEWHERE or status < 400:
        location = headers.get("location") if status < 400 else None
        raise closed(status, said(body), location)
    raise Refusal(status, said(body), hints)


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object that a body is.

    Raises:
        Fault: it is something else.
    """
    try:
        # Read as UTF-8, which JSON is: by itself Python would take UTF-16 as well, in which the key is not looked for.
        found = json.loads(body.decode("utf-8-sig", "surrogatepass"))
    except (ValueError, RecursionError):
        raise Fault("not JSON") from None
    if not isinstance(found, dict):
        raise Fault("JSON of another form")
    return found


def closed(status: int, words: str, location: str | None = None) -> ItuneError:
    """Why a server answers none of our requests."""
    why = f"the server said {status}: {words}" if words else f"the server said {status}"
    if status not in ELSEWHERE and status >= 400:
        return ModelError(
            "E-BACKEND-021",
            "the server does not let us ask",
            why=why,
            fix="check `api_key`, and what the account that it belongs to may use and has paid for",
        )
    return ModelError(
        "E-BACKEND-022",
        "there is no such model or address" if location is None else f"the server is elsewhere: {location[:SHOWN]}",
        why=why,
        fix="check `base_url` (most end in /v1) and `model`, the name that the server knows it by",
    )


def _seconds(written: str | None, now: datetime | None) -> float | None:
    """``Retry-After``: seconds, or a date in one of the forms of HTTP; None for neither."""
    if written is None:
        return None
    try:
        seconds = float(written)
    except ValueError:
        try:
            date = parsedate_to_datetime(written)
        except ValueError:
            return None
        date = date if date.tzinfo is not None else date.replace(tzinfo=UTC)
        seconds = (date - (now or datetime.now(UTC))).total_seconds()
    return seconds if 0 <= seconds < float("inf") else None
