"""HTTP as far as httpx does it: whole responses, or a fault."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

import httpx

from itune_backends.remote.faults import Fault
from itune_backends.remote.key import Key

UNREACHED = "no connection"


class Transport:
    """Connections to one server, kept open between requests; as many as there are requests at once.

    Each has a client of its own. A pool of httpcore looks at all of its connections several times in each request, and
    with dozens of them spends more time on that than on everything else.

    Args:
        base_url: what paths are put behind.
        key: sent with each request; None: none is.
        timeout: seconds for a request, from the connection to the last byte; a server that sends a byte now and then
            gains nothing by it.
    """

    def __init__(self, base_url: str, key: Key | None, timeout: float) -> None:
        self._base_url = base_url.rstrip("/") + "/"
        self._bearer = _Bearer(key) if key else None
        self._timeout = timeout
        self._trust = httpx.create_ssl_context()  # reads all certificates: once
        self._idle: list[httpx.AsyncClient] = []

    async def request(self, method: str, path: str, **how: Any) -> httpx.Response:
        """A response with its whole body.

        Args:
            method, path: of the request.
            how: what else httpx is told.

        Raises:
            Fault: there was none.
        """
        connection = self._idle.pop() if self._idle else self._connection()
        try:
            async with asyncio.timeout(self._timeout):
                return await connection.request(method, path, **how)
        except TimeoutError:
            kind = "time-out"
        except (httpx.ConnectError, httpx.ConnectTimeout):
            kind = UNREACHED
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            kind = "connection broken off"
        except httpx.DecodingError:
            kind = "body broken off"
        except httpx.TransportError as error:
            kind = type(error).__name__
        finally:
            self._idle.append(connection)
        # Not raised above, as the consequence of what httpx raised: that holds the request, with its headers.
        raise Fault(kind, busy=kind == "time-out")

    async def close(self) -> None:
        """Close all connections; none is in use."""
        while self._idle:
            await self._idle.pop().aclose()

    def _connection(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self._base_url,
            auth=self._bearer,
            timeout=None,
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1),
            verify=self._trust,
        )


class _Bearer(httpx.Auth):
    """Puts the key on each request; a client that had it among its headers would hold it in the open."""

    def __init__(self, key: Key) -> None:
        self._key = key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = self._key.header()
        yield request
