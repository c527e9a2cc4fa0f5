"""Requests on their way: sent, sent again, given up. One thread with one event loop holds all of it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from contextlib import suppress
from copy import copy
from typing import Any, TypeVar

from tenacity import AsyncRetrying, retry_if_exception_type

from itune_backends.remote.admission import Admission
from itune_backends.remote.answers import usage
from itune_backends.remote.complaints import said
from itune_backends.remote.dialect import Dialect
from itune_backends.remote.faults import BUSY, Fault, Refusal, check, json_object
from itune_backends.remote.key import Key, Unlogged
from itune_backends.remote.spending import Spending
from itune_backends.remote.transport import UNREACHED, Transport
from itune_backends.remote.trying import Patience, Tries
from itune_backends.remote.wire import Call
from itune_core.api import Failed, ItuneError, ModelError, RowError

Found = TypeVar("Found")
Read = Callable[[Mapping[str, Any]], Found]
"""Makes something of the JSON object that a server answered. It raises :class:`Fault` for one to be asked for again,
RowError for one that is of no use, and ModelError for one that says that none will be."""

HOPELESS = 20
"""Requests given up one after the other, with no usable answer in between, after which the rest is not tried."""


class Client:
    """Sends requests to one server.

    Args:
        base_url: what paths are put behind.
        key: None: the server asks for none.
        admission: decides who goes when.
        spending: keeps the account; asked right before each request.
        patience: with each request.

    Attributes:
        counts: of requests, retries, and faults by kind.
        dialect: how the server wants to be asked.
    """

    def __init__(
        self, base_url: str, key: Key | None, admission: Admission, spending: Spending, patience: Patience
    ) -> None:
        self.base_url, self.admission, self.spending, self.patience = base_url, admission, spending, patience
        self.counts: Counter[str] = Counter()
        self.dialect = Dialect()
        self._halted: ItuneError | None = None
        self._over = asyncio.Event()  # set when that is
        self._responses = 0  # of whatever kind: there is a server
        self._given_up = 0  # since the last usable answer
        self._transport = Transport(base_url, key, patience.timeout)
        self._key, self._unlogged = key, Unlogged(key) if key is not None else None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"requests to {base_url}", daemon=True)
        self._thread.start()

    def start(self, work: Coroutine[Any, Any, Found]) -> Future[Found]:
        """Run `work` in the client's event loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def drain(self) -> None:
        """Send nothing more: what was sent comes in, what was not ends with an error."""
        over = ModelError("E-BACKEND-037", "nothing more is sent: the step is over")
        self._loop.call_soon_threadsafe(self._halt, over)

    def close(self) -> None:
        """Give up what is on its way, and end; at once, if that is interrupted."""
        try:
            self.start(self._end()).result()
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
            if self._unlogged is not None:
                self._unlogged.remove()

    async def answered(self, work: Coroutine[Any, Any, Found]) -> Found | Failed:
        """What comes of `work` that sends requests, or why nothing does.

        Raises:
            ItuneError: no request will be answered any more; those that wait are told the same.
        """
        try:
            return await work
        except RowError as error:
            return Failed.of(error)
        except Refusal as refusal:
            return Failed("E-BACKEND-025", f"the server refused the request with {refusal.status}: {refusal.said}")
        except ItuneError as error:
            self._halt(error)
            raise

    def _halt(self, error: ItuneError) -> None:
        """Let nothing go any more, and tell those that wait why."""
        if self._halted is None:
            self._halted = error
            self.admission.halt(error)
            self._over.set()

    async def rest(self, seconds: float) -> None:
        """Do nothing for so long; not longer than there is anything to do afterwards."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._over.wait(), seconds)

    async def ask(self, call: Call, read: Read[Found]) -> Found:
        """What `read` makes of the server's answer to `call`.

        Raises:
            RowError: ``E-BACKEND-026`` no try came to anything; and what `read` raises.
            Refusal: the server will not answer this one.
            ItuneError: it will answer none.
        """

        def counted(found: bytes) -> Found:
            return self.counted(json_object(found), read, call.tokens)

        while True:
            body = self.dialect.spoken(call.body)
            try:
                return await self.send("POST", call.path, counted, tokens=call.tokens, paid=True, **as_json(body))
            except Refusal as refusal:
                if not self.dialect.learns(call.body, body, refusal.hints):
                    raise

    def counted(self, body: Mapping[str, Any], read: Read[Found], tokens: float = 0.0) -> Found:
        """What `read` makes of `body`, after its cost is noted: what is of no use has its price, too.

        Args:
            body: what a server answered.
            read: makes something of it.
            tokens: that it was thought to cost.

        Raises:
            ModelError: ``E-BACKEND-024`` there is a budget, and the server does not say what it used.
        """
        self.charge(body, tokens)
        return self.used(body, read)

    def charge(self, body: Mapping[str, Any], tokens: float = 0.0) -> None:
        """Note what an answer cost; the arguments are as those of :meth:`counted`."""
        spent = usage(body)
        if spent is None:
            self.counts["uncounted"] += 1
        else:
            self.spending.add(spent)
            self.admission.correct(spent.prompt_tokens + spent.completion_tokens - tokens)

    def used(self, body: Mapping[str, Any], read: Read[Found]) -> Found:
        """What `read` makes of an answer; the arguments and errors are as those of :meth:`counted`."""
        found = read(body)
        self._given_up = 0
        if usage(body) is None and self.spending.limited:
            raise ModelError(
                "E-BACKEND-024",
                "there is a budget, and the server does not say how many tokens it used",
                why="its answer has no `usage`",
                fix="leave max_cost and max_tokens out, or use a server that counts",
            )
        return found

    def told(self, complaint: Any) -> str:
        """A complaint that came in a file, a JSON value, in one short line without the key."""
        body = json.dumps(complaint).encode()
        return said(self._key.out_of(body) if self._key is not None else body)

    async def send(
        self,
        method: str,
        path: str,
        take: Callable[[bytes], Found],
        *,
        tokens: float = 0.0,
        paid: bool = False,
        **how: Any,
    ) -> Found:
        """One request, as often as it takes.

        Args:
            method, path: of the request.
            take: makes something of the body of the response.
            tokens: that it may cost.
            paid: whether it costs anything: it is not sent when the budget is spent.
            how: what else the transport is told.

        Raises:
            As :meth:`ask`.
        """

        async def once(tries: Tries) -> Found:
            return take(await self.once(method, path, tries, tokens=tokens, paid=paid, **how))

        return await self.repeated(once)

    async def repeated(self, once: Callable[[Tries], Coroutine[Any, Any, Found]]) -> Found:
        """What `once` gives, which is tried until it raises no :class:`Fault`, or there is no patience left.

        Raises:
            RowError: ``E-BACKEND-026`` no try came to anything.
            ModelError: ``E-BACKEND-033`` and it looks as if none will, of this request or of others.
        """
        tries = Tries(self.patience, self._loop.time, self.counts)
        responses = self._responses
        retrying = AsyncRetrying(
            sleep=self.rest,
            retry=retry_if_exception_type(Fault),
            wait=tries.pause,
            after=tries.note,
            stop=tries.enough,
            reraise=True,
        )
        try:
            return await retrying(once, tries)
        except Fault as fault:
            self._given_up += 1
            passing = not fault.final
        if set(tries.faults) == {UNREACHED} and self._responses == responses:
            raise self._unreached(tries)
        if self._given_up >= HOPELESS:
            raise ModelError(
                "E-BACKEND-033",
                f"the server at {self.base_url} answers nothing any more",
                why=f"{HOPELESS} requests one after the other came to nothing; the last: {tries}",
                fix="see what is wrong with the server, and run again: what was answered is kept",
            )
        raise RowError(f"no usable answer in {tries}", "E-BACKEND-026", transient=passing)

    async def once(
        self, method: str, path: str, tries: Tries, *, tokens: float = 0.0, paid: bool = False, **how: Any
    ) -> bytes:
        """The body of the response to one try; the arguments are as those of :meth:`send`.

        Raises:
            Fault: there is none, or it asks to try again; and what else
                :func:`~itune_backends.remote.faults.check` says.
        """
        ticket = await self.admission.enter(tokens, again=tries.again)
        busy: bool | None = None
        try:
            if self._halted is not None:
                raise copy(self._halted)
            if paid:
                self.spending.check()
            tries.begin()
            self.counts["requests"] += 1
            self.counts["retries"] += tries.again
            response = await self._transport.request(method, path, **how)
            self._responses += 1
            busy = response.status in BUSY
            check(*response)
            return response.body
        except Fault as fault:
            busy = fault.busy or busy
            self.admission.correct(-tokens)
            # Who asks for more than there is patience is not left alone: the run would hang for as long.
            if fault.after is not None and fault.after <= self.patience.retry_for:
                self.admission.be_quiet(fault.after)
            raise
        finally:
            self.admission.leave(ticket, busy)

    def _unreached(self, tries: Tries) -> ModelError:
        """There is no server, or nothing that leads to it."""
        why, fix = f"{tries}; nothing else was answered meanwhile", "start the server, or correct `base_url`"
        if (proxy := self._transport.proxy) is not None:
            why = f"{why}; it is asked through the proxy that {proxy.named} names, which may be what is not there"
            fix = f"{fix}; else correct {proxy.named}, or name the server's host in no_proxy"
        return ModelError("E-BACKEND-033", f"there is no server at {self.base_url}", why=why, fix=fix)

    async def _end(self) -> None:
        mine = asyncio.current_task()
        others = [task for task in asyncio.all_tasks() if task is not mine]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._transport.close()


def as_json(body: Mapping[str, Any]) -> dict[str, Any]:
    """How the transport is told to send a JSON object."""
    return {"content": json.dumps(body).encode(), "kind": "application/json"}
