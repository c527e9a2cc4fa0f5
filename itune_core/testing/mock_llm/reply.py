"""A reply before it is sent: to answer, to refuse, or to spoil."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from itune_core.testing.mock_llm.refusal import Refused

JSON = "application/json"


@dataclass
class Reply:
    """What is sent, when and how.

    Attributes:
        status, body, headers: of the response.
        events: in place of a body, the parts of a stream.
        delay: seconds before anything is sent.
        fault: ``truncate``, ``hang-up``, ``hang`` or ``drip``: how the sending goes wrong. The other faults are
            already in status and body.
        question: digest of what was asked, of a question that was let in.
        tokens: of question and answer.
        counts: whether the statistics show it.
    """

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    events: Sequence[bytes] | None = None
    delay: float = 0.0
    fault: str | None = None
    question: bytes | None = None
    tokens: tuple[int, int] = (0, 0)
    counts: bool = True

    @classmethod
    def refusal(cls, error: Refused) -> Reply:
        return cls(error.status, orjson.dumps(error.body), {"content-type": JSON, **error.headers})

    @classmethod
    def told(cls, body: Any, tokens: tuple[int, int] = (0, 0)) -> Reply:
        return cls(200, orjson.dumps(body), {"content-type": JSON}, tokens=tokens)

    @property
    def right(self) -> bool:
        """Whether, sent whole, it answers what was asked."""
        return self.status == 200 and self.fault in (None, "drip")
