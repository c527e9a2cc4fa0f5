"""What the API answers where it does not do what is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

KINDS = {400: "invalid_request_error", 401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}


class Refused(Exception):
    """A request gets an error for an answer.

    Args:
        status: of HTTP.
        message: what is wrong.
        param: the field of the body that is.
        code: a word for programs.
        headers: of the response.
    """

    def __init__(
        self,
        status: int,
        message: str,
        param: str | None = None,
        *,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code, self.headers = status, message, param, code, headers or {}

    @property
    def body(self) -> dict[str, Any]:
        """The body of the response."""
        kind = KINDS.get(self.status, "invalid_request_error" if self.status < 500 else "server_error")
        message = f"{self.param}: {self.message}" if self.param else self.message
        return {"error": {"message": message, "type": kind, "param": self.param, "code": self.code}}


def integer(given: Mapping[str, Any], name: str, default: int | None, low: int | None, high: int | None) -> int | None:
    """The integer `name` of a body.

    Raises:
        Refused: it is none, or out of range.
    """
    value = given.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool):
        raise Refused(400, "it is an integer", name)
    if (low is not None and value < low) or (high is not None and value > high):
        raise Refused(400, f"it is {f'from {low} to {high}' if high is not None else f'{low} or more'}", name)
    return value
