"""What a server turns out not to take, remembered, so that it is offered once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Set
from typing import Any

from itune_backends.remote.complaints import COMPLETION_TOKENS, RESPONSE_FORMAT


class Dialect:
    """The requests of one server's users, in the server's own words."""

    def __init__(self) -> None:
        self._completion_tokens = False
        self._refused_schemas: set[str] = set()

    def spoken(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """`body` as this server takes it, as far as that is known."""
        said = dict(body)
        if self._completion_tokens and "max_tokens" in said and "messages" in said:
            said["max_completion_tokens"] = said.pop("max_tokens")
        if "response_format" in said and _written(said["response_format"]) in self._refused_schemas:
            del said["response_format"]
        return said

    def learns(self, body: Mapping[str, Any], sent: Mapping[str, Any], hints: Set[str]) -> bool:
        """Whether a request can be put otherwise than it was.

        Args:
            body: of the request.
            sent: how it was put.
            hints: what the server's complaint about that tells.
        """
        if "max_tokens" in sent and COMPLETION_TOKENS in hints:
            self._completion_tokens = True
        elif "response_format" in sent and hints & RESPONSE_FORMAT:
            self._refused_schemas.add(_written(sent["response_format"]))
        # The complaint may be about something else, but another request has learnt meanwhile.
        return self.spoken(body) != sent


def _written(form: Any) -> str:
    return json.dumps(form, sort_keys=True)
