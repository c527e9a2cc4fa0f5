"""HTTP as far as httpx does it: a response that is read to its end and no further than it may be long, or a fault."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Set
from contextlib import AsyncExitStack, suppress
from functools import lru_cache
from typing import Any, NamedTuple

import httpx

from itune_backends.remote.complaints import hints
from itune_backends.remote.faults import Fault
from itune_backends.remote.key import Key
from itune_backends.remote.proxy import proxy
from itune_backends.remote.trust import distrust, nobody, trusted

UNREACHED = "no connection"

LONGEST = 32 * 2**20
"""Bytes of a body, or of each line of one that is read by lines. The log-probabilities of a prompt of 128,000 tokens,
the largest of answers, have about 10 MB."""

HEADERS = ("retry-after", "location")
"""Of a response: what is read of them."""


class Response(NamedTuple):
    """What is read of a response. The key is in none of it, should the server have repeated it.

    Attributes:
        status: of HTTP.
        headers: some of them, names in lower case.
        body: whole; nothing of one that was taken by lines, or of a refusal in more words than are read.
        hints: what there is to learn from it, if it is a refusal.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    hints: Set[str]


TakeLine = Callable[[bytes, bool], None]
"""Takes a line, and whether it is whole: of one with more than `LONGEST` bytes there is only the beginning."""


class Transport:
    """Connections to one server, kept open between requests; as many as there are requests at once.

    Each has a pool of its own. A pool of httpcore looks at all of its connections several times in each request, and
    with dozens of them spends more time on that than on everything else. Of httpx nothing is used but requests and
    pools: its clients would keep a server's cookies and look at where it redirects to.

    Args:
        base_url: what paths are put behind.
        key: sent with each request; None: none is.
        timeout: seconds for a request, from the connection to the last byte; a server that sends a byte now and then
            gains nothing by it. For a body that is taken by lines, which may be large: to its first byte, and from
            there to each that follows.

    Attributes:
        proxy: that requests go through, if any.

    Raises:
        ModelError: ``E-BACKEND-038`` the certificates that ``SSL_CERT_FILE`` or ``SSL_CERT_DIR`` names cannot be read;
            ``E-BACKEND-039`` the environment names a proxy of a kind that is not known.
    """

    def __init__(self, base_url: str, key: Key | None, timeout: float) -> None:
        self._base_url, self._key, self._timeout = base_url.rstrip("/"), key, timeout
        self._url = lru_cache(maxsize=8)(lambda path: httpx.URL(f"{self._base_url}/{path}"))
        self.proxy = proxy(base_url)
        tls = any(each.startswith("https:") for each in (base_url, self.proxy.url if self.proxy else ""))
        self._trust = trusted() if tls else nobody()
        self._idle = [self._connection()]

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
            ModelError: ``E-BACKEND-038`` the server cannot be trusted, or does not speak TLS; ``E-BACKEND-039`` the
                proxy refuses us.
        """
        request = httpx.Request(method, self._url(path), headers=_OURS, **how)
        if kind is not None:
            request.headers["Content-Type"] = kind
        if self._key is not None:
            request.headers["Authorization"] = self._key.header()
        connection = self._idle.pop() if self._idle else self._connection()
        error: Exception
        try:
            async with asyncio.timeout(self._timeout) as limit:
                response = await self._exchange(connection, request, line, limit)
            if response.status != 407 or self.proxy is None:
                return response
            error = self.proxy.refused()
        except TimeoutError:
            error = Fault("time-out", busy=True)
        except (httpx.TransportError, OSError) as found:  # httpx lets errors of TLS pass that come after the handshake
            if self.proxy is not None and isinstance(found, httpx.ProxyError) and str(found).startswith("407"):
                error = self.proxy.refused()
            else:
                error = distrust(self._base_url, found) or Fault(_kind(found))
        finally:
            self._idle.append(connection)
        # Not raised above, as the consequence of what httpx raised: that holds the request, with its headers.
        raise error

    async def close(self) -> None:
        """Close all connections; none is in use."""
        async with AsyncExitStack() as closing:  # one that cannot be closed leaves none open
            while self._idle:
                closing.push_async_callback(self._idle.pop().aclose)

    async def _exchange(
        self,
        connection: httpx.AsyncHTTPTransport,
        request: httpx.Request,
        line: TakeLine | None,
        limit: asyncio.Timeout,
    ) -> Response:
        response = await connection.handle_async_request(request)
        try:
            status, good, body = response.status_code, 200 <= response.status_code < 300, b""
            packed = response.headers.get("content-encoding", "identity") != "identity"
            if good and packed:  # in spite of what we accept: few bytes may unpack to more than the memory holds
                raise Fault("compressed body", final=True)
            if good and line is not None:
                async for each in _lines(response, lambda: self._renew(limit)):
                    line(self._cleaned(each, good=True), len(each) <= LONGEST)
            elif good:
                body = await _whole(response)
            elif not packed:
                with suppress(Fault):  # nothing is better than its beginning, which may end within the key
                    body = await _whole(response)
            headers = {name: response.headers[name] for name in HEADERS if name in response.headers}
            if self._key is not None:
                headers = {name: self._key.hidden(text) for name, text in headers.items()}
            learnt = frozenset() if good else hints(body)
            return Response(status, headers, self._cleaned(body, good=good), learnt)
        finally:
            await response.aclose()

    def _renew(self, limit: asyncio.Timeout) -> None:
        limit.reschedule(asyncio.get_running_loop().time() + self._timeout)

    def _cleaned(self, body: bytes, *, good: bool) -> bytes:
        """Without the key; but an answer may have any word in it."""
        if self._key is None or (good and self._key.is_word):
            return body
        return self._key.out_of(body)

    def _connection(self) -> httpx.AsyncHTTPTransport:
        if self.proxy is None:
            return httpx.AsyncHTTPTransport(verify=self._trust, limits=_ONE)
        try:
            through = httpx.Proxy(self.proxy.url)
            through.ssl_context = self._trust if through.url.scheme == "https" else None
            return httpx.AsyncHTTPTransport(verify=self._trust, limits=_ONE, proxy=through)
        except (ImportError, ValueError, httpx.InvalidURL):
            error = self.proxy.unusable()
        raise error  # not above, where what httpx raised holds the address


async def _whole(response: httpx.Response) -> bytes:
    """A body of `LONGEST` bytes at most.

    Raises:
        Fault: it has more.
    """
    body = bytearray()
    async for part in _parts(response):
        body += part
        if len(body) > LONGEST:
            raise Fault(f"body over {LONGEST // 2**20} MiB", final=True)
    return bytes(body)


async def _lines(response: httpx.Response, came: Callable[[], None]) -> AsyncIterator[bytes]:
    """The lines of a body; little more than `LONGEST` bytes of one that has more. `came` is told of each part."""
    line = bytearray()
    async for part in _parts(response):
        came()
        first, *others = part.split(b"\n")
        if len(line) <= LONGEST:
            line += first
        for other in others:
            yield bytes(line)
            line = bytearray(other)
    yield bytes(line)


def _parts(response: httpx.Response) -> httpx.AsyncByteStream:
    """A body as it comes in: not unpacked, nor counted, as httpx would."""
    assert isinstance(response.stream, httpx.AsyncByteStream)
    return response.stream


_ONE = httpx.Limits(max_connections=1, max_keepalive_connections=1)
_OURS = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "itune"}


def _kind(error: Exception) -> str:
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout)):
        return UNREACHED
    if isinstance(error, (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError, OSError)):
        return "connection broken off"
    return type(error).__name__
