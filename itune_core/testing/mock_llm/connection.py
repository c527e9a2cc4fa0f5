"""One connection: reads requests, waits, sends replies or spoils the sending.

Made of callbacks rather than tasks: a waiting request costs one timer, so that hundreds of them leave the processor to
the client.
"""

from __future__ import annotations

import asyncio

import orjson

from itune_core.testing.mock_llm.http1 import CONTINUE, BadRequest, Reader, Request, chunk, head
from itune_core.testing.mock_llm.refusal import Refused
from itune_core.testing.mock_llm.reply import JSON, Reply
from itune_core.testing.mock_llm.service import Service


class Connection(asyncio.Protocol):
    """What a client's connection is served by.

    Args:
        service: decides on replies.
        drip: seconds between the bytes of a reply that drips.
        among: the connections that are open; it takes itself out at its end.
    """

    def __init__(self, service: Service, drip: float, among: set[Connection]) -> None:
        self._service, self._drip, self._among = service, drip, among
        self._reader = Reader()
        self._transport: asyncio.Transport
        self._reply: Reply | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._keep_alive = True
        self._told_to_continue = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._among.add(self)
        self._service.stats.connections += 1

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        if self._reply is None:
            self._advance()

    def abort(self) -> None:
        """Break off at once."""
        self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._among.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        if self._reply is not None:
            self._service.done(self._reply, given_up=True)
            self._reply = None

    def _advance(self) -> None:
        """Take up the next request, if it is here."""
        try:
            request = self._reader.next()
        except BadRequest as error:
            body = orjson.dumps(Refused(error.status, error.message).body)
            headers = {"content-type": JSON, "content-length": str(len(body))}
            self._transport.write(head(error.status, headers, keep_alive=False) + body)
            self._transport.close()
            return
        if request is not None:
            self._serve(request)
        elif self._reader.waits_to_continue and not self._told_to_continue:
            self._told_to_continue = True
            self._transport.write(CONTINUE)

    def _serve(self, request: Request) -> None:
        self._told_to_continue, self._keep_alive = False, request.keep_alive
        self._reply = reply = self._service.reply(request)
        if reply.fault == "hang":
            return
        if reply.delay:
            self._timer = asyncio.get_running_loop().call_later(reply.delay, self._send, reply)
        else:
            self._send(reply)

    def _send(self, reply: Reply) -> None:
        if reply.fault == "hang-up":
            self._end(close=True)
            return
        data = self._spelt(reply)
        if reply.fault == "truncate":
            self._service.sent(reply)
            self._transport.write(data[: self._cut(data)])
            self._end(close=True)
        elif reply.fault == "drip":
            start = data.index(b"\r\n\r\n") + 4
            self._transport.write(data[:start])
            self._drop(reply, data, start)
        else:
            self._service.sent(reply)
            self._transport.write(data)
            self._end(close=not self._keep_alive)

    def _spelt(self, reply: Reply) -> bytes:
        if reply.events is None:
            headers = {**reply.headers, "content-length": str(len(reply.body))}
            return head(reply.status, headers, keep_alive=self._keep_alive) + reply.body
        headers = {**reply.headers, "transfer-encoding": "chunked"}
        parts = [head(reply.status, headers, keep_alive=self._keep_alive), *map(chunk, reply.events), chunk(b"")]
        return b"".join(parts)

    @staticmethod
    def _cut(data: bytes) -> int:
        """Where a truncated response ends: half-way through its body."""
        start = data.index(b"\r\n\r\n") + 4
        return start + (len(data) - start) // 2

    def _drop(self, reply: Reply, data: bytes, place: int) -> None:
        """Send one byte, and the next one later."""
        last = place + 1 >= len(data)
        if last:
            self._service.sent(reply)
        self._transport.write(data[place : place + 1])
        if last:
            self._end(close=not self._keep_alive)
        else:
            self._timer = asyncio.get_running_loop().call_later(self._drip, self._drop, reply, data, place + 1)

    def _end(self, *, close: bool) -> None:
        """Nothing more is sent in reply to this request."""
        assert self._reply is not None
        self._service.done(self._reply)
        self._reply = self._timer = None
        if close:
            self._transport.close()
        else:
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        """A client may have sent its next request already."""
        if self._reply is None and not self._transport.is_closing():
            self._advance()
