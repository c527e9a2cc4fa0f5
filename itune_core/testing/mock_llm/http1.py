"""HTTP/1.1 without I/O: bytes in, requests out; heads of responses.

Small on purpose: the server runs on the cores that the client under test is timed on, and its faults are breaches of
the protocol, which a library would rightly refuse to commit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import unquote

MAX_HEAD = 64 * 1024
MAX_BODY = 256 * 1024 * 1024
"""Bytes. A batch's file may have 200 MB."""


class BadRequest(Exception):
    """What was sent is no request that can be read; the connection ends after the reply."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


@dataclass(frozen=True)
class Request:
    """One request.

    Attributes:
        method, path: as sent; the path is decoded and without its query.
        headers: by name in lower case; of a name that is there twice, the last.
        body: whole.
        keep_alive: whether the connection stays open after the reply.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    keep_alive: bool


class Reader:
    """Cuts what a client sends into requests."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._head: tuple[str, str, dict[str, str], bool] | None = None

    def feed(self, data: bytes) -> None:
        self._buffer += data

    @property
    def waits_to_continue(self) -> bool:
        """Whether the client sends the body only when it is told to (``Expect: 100-continue``)."""
        return self._head is not None and not self._buffer and self._head[2].get("expect", "") == "100-continue"

    def next(self) -> Request | None:
        """The next request, once all of it is here.

        Raises:
            BadRequest: it cannot be read.
        """
        if self._head is None and not self._read_head():
            return None
        assert self._head is not None
        method, path, headers, keep_alive = self._head
        if "transfer-encoding" in headers:
            body = self._chunked_body(headers["transfer-encoding"])
        else:
            body = self._sized_body(headers.get("content-length", "0"))
        if body is None:
            return None
        self._head = None
        return Request(method, path, headers, body, keep_alive)

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end > MAX_HEAD or (end < 0 and len(self._buffer) > MAX_HEAD):
            raise BadRequest(431, "the head of the request is too long")
        if end < 0:
            return False
        first, *lines = self._buffer[:end].decode("latin-1").split("\r\n")
        del self._buffer[: end + 4]
        words = first.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            raise BadRequest(400, "no request of HTTP/1")
        headers = {}
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon or not name or name != name.strip():
                raise BadRequest(400, "a header cannot be read")
            headers[name.lower()] = value.strip()
        connection = headers.get("connection", "").lower()
        keep_alive = connection != "close" if words[2] == "HTTP/1.1" else connection == "keep-alive"
        self._head = words[0], unquote(words[1].partition("?")[0]), headers, keep_alive
        return True

    def _sized_body(self, length: str) -> bytes | None:
        if not (length.isascii() and length.isdigit()):
            raise BadRequest(400, "Content-Length is no number")
        if len(length) > 20 or (size := int(length)) > MAX_BODY:  # Python itself refuses numbers of thousands of digits
            raise BadRequest(413, "the body is too large")
        if len(self._buffer) < size:
            return None
        body = bytes(self._buffer[:size])
        del self._buffer[:size]
        return body

    def _chunked_body(self, encoding: str) -> bytes | None:
        """Read from its beginning each time that more of it comes: few clients send chunks, and short ones."""
        if encoding.lower() != "chunked":
            raise BadRequest(501, "this transfer encoding is not known")
        parts: list[bytes] = []
        position = 0
        while (end := self._buffer.find(b"\r\n", position)) >= 0:
            try:
                size = int(self._buffer[position:end].partition(b";")[0], 16)
            except ValueError:
                raise BadRequest(400, "the size of a chunk is no number") from None
            start, after = end + 2, end + 2 + size + 2
            if size < 0 or start + size > MAX_BODY:
                raise BadRequest(413, "the body is too large")
            if len(self._buffer) < after:
                return None
            if size == 0:  # trailers are not read: no client of an API sends them
                del self._buffer[:after]
                return b"".join(parts)
            parts.append(bytes(self._buffer[start : start + size]))
            position = after
        if len(self._buffer) - position > MAX_HEAD:
            raise BadRequest(400, "the size of a chunk is too long")
        return None


CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def head(status: int, headers: Mapping[str, str], *, keep_alive: bool) -> bytes:
    """The head of a response, with the empty line that ends it."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines.append(f"connection: {'keep-alive' if keep_alive else 'close'}\r\n\r\n")
    return "\r\n".join(lines).encode("latin-1")


def chunk(data: bytes) -> bytes:
    """A part of a body whose length is not known beforehand; an empty one ends it."""
    return b"%x\r\n%b\r\n" % (len(data), data)
