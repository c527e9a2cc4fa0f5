"""HTTP as far as httpx does it: a response that is read to its end and no further than it may be long, or a fault."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from itune_backends.remote.faults import Fault
from itune_backends.remote.key import Key, Unlogged
from itune_backends.remote.trust import distrust, trusted

UNREACHED = "no connection"

LONGEST = 32 * 2**20
"""Bytes of a body, or of each line of one that is read by lines. The log-probabilities of a prompt of 128,000 tokens,
the largest of answers, have about 10 MB."""

COMPLAINT = 64 * 2**10
"""Bytes of what a server says when it refuses, if that is read."""

HEADERS = ("retry-after", "location")
"""Of a response: what is read of them."""


class Response(NamedTuple):
    """What is read of a response. The key is in none of it, should the server have repeated it.

    Attributes:
        status: of HTTP.
        headers: some of them, names in lower case.
        body: whole; nothing of one that was taken by lines, or of a refusal in more words than are read.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


TakeLine = Callable[[bytes], None]


class Transport:
    """Connections to one server, kept open between requests; as many as there are requests at once.

    Each has a pool of its own. A pool of httpcore looks at all of its connections several times in each request, and
    with dozens of them spends more time on that than on everything else. Of httpx nothing is used but requests and
    pools: its clients would keep a server's cookies and look at where it redirects to.

    Args:
        base_url: what paths are put behind.
        key: sent with each request; None: none is.
        timeout: seconds for a request, from the connection to the last byte; a server that sends a byte now and then
            gains nothing by it.

    Raises:
        ModelError: ``E-BACKEND-038`` the certificates that ``SSL_CERT_FILE`` or ``SSL_CERT_DIR`` name cannot be read.
    """

    def __init__(self, base_url: str, key: Key | None, timeout: float) -> None:
        self._base_url, self._key, self._timeout = base_url.rstrip("/"), key, timeout
        self._url = lru_cache(maxsize=8)(lambda path: httpx.URL(f"{self._base_url}/{path}"))
        self._proxy = _proxy(base_url)
        self._trust = trusted()
        self._unlogged = Unlogged(key) if key else None
        self._idle: list[httpx.AsyncHTTPTransport] = []

    async def request(
        self, method: str, path: str, *, line: TakeLine | None = None, kind: str | None = None, **how: Any
    ) -> Response:
        """A response to its end.

        Args:
            method, path: of the request.
            line: takes the body of a good response, line by line, in place of this method's caller.
            kind: of the body that is sent, as HTTP calls it.
            how: what else an httpx.Request is told: its body.

        Raises:
            Fault: there was none; or what `line` raises.
            ModelError: ``E-BACKEND-038`` the server cannot be trusted, or does not speak TLS.
        """
        request = httpx.Request(method, self._url(path), headers=_OURS, **how)
        if kind is not None:
            request.headers["Content-Type"] = kind
        if self._key is not None:
            request.headers["Authorization"] = self._key.header()
        connection = self._idle.pop() if self._idle else self._connection()
        error: Exception
        try:
            async with asyncio.timeout(self._timeout):
                return await self._exchange(connection, request, line)
        except TimeoutError:
            error = Fault("time-out", busy=True)
        except httpx.TransportError as found:
            error = distrust(self._base_url, found) or Fault(_kind(found))
        finally:
            self._idle.append(connection)
        # Not raised above, as the consequence of what httpx raised: that holds the request, with its headers.
        raise error

    async def close(self) -> None:
        """Close all connections; none is in use."""
        while self._idle:
            await self._idle.pop().aclose()
        if self._unlogged is not None:
            self._unlogged.remove()

    async def _exchange(
        self, connection: httpx.AsyncHTTPTransport, request: httpx.Request, line: TakeLine | None
    ) -> Response:
        response = await connection.handle_async_request(request)
        try:
            status, good, body = response.status_code, 200 <= response.status_code < 300, b""
            packed = response.headers.get("content-encoding", "identity") != "identity"
            if good and packed:  # in spite of what we accept: few bytes may unpack to more than the memory holds
                raise Fault("compressed body")
            if good and line is not None:
                async for each in _lines(response):
                    line(self._cleaned(each, good=True))
            elif good:
                body = await _whole(response, LONGEST)
            elif not packed:
                with suppress(Fault):  # nothing is better than its beginning, which may end within the key
                    body = await _whole(response, COMPLAINT)
            headers = {name: self._clean(response.headers[name]) for name in HEADERS if name in response.headers}
            return Response(status, headers, self._cleaned(body, good=good))
        finally:
            await response.aclose()

    def _clean(self, text: str) -> str:
        return self._key.hidden(text) if self._key is not None else text

    def _cleaned(self, body: bytes, *, good: bool) -> bytes:
        """Without the key; but an answer may have any word in it."""
        if self._key is None or (good and self._key.is_word):
            return body
        return self._key.out_of(body)

    def _connection(self) -> httpx.AsyncHTTPTransport:
        return httpx.AsyncHTTPTransport(verify=self._trust, limits=_ONE, proxy=self._proxy)


async def _whole(response: httpx.Response, most: int) -> bytes:
    """A body of so many bytes at most.

    Raises:
        Fault: it has more.
    """
    body = bytearray()
    async for part in _parts(response):
        body += part
        if len(body) > most:
            raise _too_long(most)
    return bytes(body)


async def _lines(response: httpx.Response) -> AsyncIterator[bytes]:
    """The lines of a body.

    Raises:
        Fault: one has more than `LONGEST` bytes.
    """
    rest = bytearray()
    async for part in _parts(response):
        rest += part
        if b"\n" in part:
            *lines, rest = rest.split(b"\n")
            for line in lines:
                yield bytes(line)
        if len(rest) > LONGEST:
            raise _too_long(LONGEST)
    yield bytes(rest)


def _parts(response: httpx.Response) -> httpx.AsyncByteStream:
    """A body as it comes in: not unpacked, nor counted, as httpx would."""
    assert isinstance(response.stream, httpx.AsyncByteStream)
    return response.stream


def _too_long(most: int) -> Fault:
    return Fault(f"body over {most // 2**20} MiB", final=True)


_ONE = httpx.Limits(max_connections=1, max_keepalive_connections=1)
_OURS = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "itune"}


def _kind(error: httpx.TransportError) -> str:
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout)):
        return UNREACHED
    if isinstance(error, (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)):
        return "connection broken off"
    return type(error).__name__


def _proxy(base_url: str) -> str | None:
    """The proxy that the environment names for an address, if any."""
    parts, proxies = urlsplit(base_url), getproxies()
    if proxy_bypass(parts.netloc):
        return None
    found = proxies.get(parts.scheme) or proxies.get("all")
    return found if found is None or "://" in found else f"http://{found}"
