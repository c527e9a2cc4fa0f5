"""Requests in batches: gathered, put into a file, waited for, handed their answers.

A batch outlives the run that began it. Nothing is written down here to find it again: a batch carries the model's
identity among its metadata and each of its lines a digest of the request as its ``custom_id``, so a run that is begun
again asks the server which batches of this model there are, and waits for those in place of asking twice.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from itune_backends.remote.batch_server import AT_WORK, OVER, BatchServer, batch_failed, digest
from itune_backends.remote.client import Client, Read
from itune_backends.remote.complaints import hints
from itune_backends.remote.faults import AGAIN, Fault, Refusal
from itune_backends.remote.wire import Call
from itune_core.api import ItuneError, RowError

Found = TypeVar("Found")

QUIET = 1.0
"""Seconds without a new request after which a batch is begun."""

LINES, BYTES = 50_000, 100_000_000
"""Most requests in a batch, and the size of its file; half of what OpenAI takes, and all that others do."""

ROUNDS = 3
"""Batches that one request is put into, at most."""

POLLS = (0.5, 60.0)
"""Seconds between two looks at a batch, first and at most."""


@dataclass
class _Line:
    """A request that waits for a batch, or in one."""

    path: str
    body: Mapping[str, Any]
    answer: asyncio.Future[_Given]


@dataclass
class _Given:
    """What a batch holds for a request.

    Attributes:
        body: as of a response.
        old: whether the batch was over before this run asked.
        charged: whether its cost is noted; those who share a line pay once.
    """

    body: Mapping[str, Any]
    old: bool
    charged: bool = False


class Batches:
    """Asks by batches; takes the place of a client.

    Args:
        client: sends what there is to send.
        identity: of the model; batches of another are left alone.
    """

    def __init__(self, client: Client, identity: str) -> None:
        self._client = client
        self._server = BatchServer(client, identity)
        self._gathered: dict[str, _Line] = {}
        self._known: dict[str, _Line] = {}
        self._useless: set[str] = set()  # requests whose old answers are of no use
        self._searched: dict[str, Set[str]] = {}  # the requests in a batch; of one begun here, none to look for
        self._alarm: asyncio.TimerHandle | None = None
        self._work: set[asyncio.Task[None]] = set()

    async def ask(self, call: Call, read: Read[Found]) -> Found:
        """What `read` makes of the answer to `call`; raises as :meth:`Client.ask`, and

        Raises:
            ModelError: ``E-BACKEND-032`` a batch failed as a whole.
        """
        faults: list[str] = []
        while len(faults) < ROUNDS:
            body = self._client.dialect.spoken(call.body)
            name = digest([call.path, body, call.seed])
            try:
                given = await self._line(name, call.path, body)
                try:
                    return self._used(given, read)
                except (Fault, RowError):
                    if not given.old:
                        raise
                    self._useless.add(name)  # asked anew: a failure is not an answer
            except Fault as fault:
                faults.append(fault.kind)
            except Refusal as refusal:
                if not self._client.dialect.learns(call.body, body, refusal.hints):
                    raise
        raise RowError(
            f"no usable answer in {len(faults)} batches: {', '.join(faults)}", "E-BACKEND-026", transient=True
        )

    def _used(self, given: _Given, read: Read[Found]) -> Found:
        """What `read` makes of an answer. What of this run is of no use has its price, too; an old answer has it where
        it is of use, and is in the journal from then on: it would be charged in every run that looks at it."""
        if not given.old:
            self._charge(given)
        found = self._client.used(given.body, read)
        self._charge(given)
        return found

    def _charge(self, given: _Given) -> None:
        if not given.charged:
            given.charged = True
            self._client.charge(given.body)

    async def _line(self, name: str, path: str, body: Mapping[str, Any]) -> _Given:
        """Wait for the answer to one line; requests that are the same share one."""
        line = self._known.get(name)
        if line is None:
            line = _Line(path, body, asyncio.get_running_loop().create_future())
            self._known[name] = self._gathered[name] = line
            self._wait_for_more()
        try:
            return await asyncio.shield(line.answer)
        finally:
            if self._known.get(name) is line:  # another who waited for it may have asked anew by now
                del self._known[name]

    def _wait_for_more(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        delay = 0.0 if len(self._gathered) >= LINES else QUIET
        self._alarm = asyncio.get_running_loop().call_later(delay, self._begin)

    def _begin(self) -> None:
        gathered, self._gathered = self._gathered, {}
        for path in sorted({line.path for line in gathered.values()}):
            lines = {name: line for name, line in gathered.items() if line.path == path}
            task = asyncio.get_running_loop().create_task(self._answer(path, lines))
            self._work.add(task)
            task.add_done_callback(partial(self._ended, lines))

    def _ended(self, lines: Mapping[str, _Line], task: asyncio.Task[None]) -> None:
        """Nobody waits for a task that ended by an error of ours."""
        self._work.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            _tell(lines.values(), error)

    async def _answer(self, path: str, lines: Mapping[str, _Line]) -> None:
        """See that every line is answered, or told why it is not."""
        try:
            found = await self._earlier(lines)
        except ItuneError as error:
            _tell(lines.values(), error)
            return
        taken = set().union(*found.values())
        rest = [(name, line) for name, line in lines.items() if name not in taken and not line.answer.done()]
        following = [self._follow(number, {name: lines[name] for name in names}) for number, names in found.items()]
        await asyncio.gather(*following, *(self._ask_anew(path, part) for part in _parts(rest)))

    async def _earlier(self, lines: Mapping[str, _Line]) -> dict[str, Set[str]]:
        """What an earlier run has asked already.

        Lines that a finished batch holds an answer to are answered. The others are given back, by the batch that is
        still at work on them. A batch whose files cannot be read any more is passed over.
        """
        found: dict[str, Set[str]] = {}
        async for batch in self._server.batches():
            open_lines = {name for name, line in lines.items() if not line.answer.done()}
            open_lines -= self._useless.union(*found.values())
            if not open_lines:
                break
            number, over = batch["id"], batch.get("status") in OVER
            if not over and batch.get("status") not in AT_WORK:
                continue
            if number in self._searched and not self._searched[number] & open_lines:
                continue
            try:
                if over:
                    old = {name: lines[name] for name in open_lines}
                    self._searched[number] = await self._give_again(batch, old)
                elif number not in self._searched:
                    self._searched[number] = await self._server.asked(batch)
            except RowError:
                self._searched[number] = frozenset()
                self._client.counts["batches_passed_over"] += 1
            if not over and (names := self._searched[number] & open_lines):
                found[number] = names
        return found

    async def _ask_anew(self, path: str, lines: Mapping[str, _Line]) -> None:
        """Put lines into a batch of their own, and answer them, or tell them why not."""
        try:
            self._client.spending.check()
            file = await self._server.upload(_as_line(name, line) for name, line in lines.items())
            number = await self._server.begin(file, path)
        except ItuneError as error:
            _tell(lines.values(), error)
            return
        self._searched[number] = frozenset()
        await self._follow(number, lines)

    async def _follow(self, number: str, lines: Mapping[str, _Line]) -> None:
        """Wait until a batch is over, and answer its lines, or tell them why not: those of other batches go on."""
        try:
            await self._hand_out(await self._over(number), lines)
        except ItuneError as error:
            _tell(lines.values(), error)

    async def _over(self, number: str) -> Mapping[str, Any]:
        """A batch, as soon as it is over."""
        pause, longest = POLLS
        while True:
            batch = await self._server.look(number)
            if batch["status"] in (*OVER, "failed"):
                return batch
            await self._client.rest(pause)
            pause = min(1.5 * pause, longest)

    async def _hand_out(self, batch: Mapping[str, Any], lines: Mapping[str, _Line]) -> None:
        """Give lines what a batch that is over holds for them.

        Raises:
            ModelError: ``E-BACKEND-032`` it failed as a whole, or somebody cancelled it.
            RowError: ``E-BACKEND-026`` its files cannot be read.
        """
        await self._server.responses(batch, partial(self._give, lines))
        missing = [line for line in lines.values() if not line.answer.done()]
        number, status = batch.get("id"), batch["status"]
        if missing and status in ("failed", "cancelled"):
            raise batch_failed(
                f"the batch {number} {status}" if status == "failed" else f"the batch {number} was cancelled",
                self._client.told(batch.get("errors") or ""),
            )
        _tell(missing, Fault(f"not in the batch, which {status}" if status == "completed" else f"batch {status}"))

    def _give(self, lines: Mapping[str, _Line], name: str, response: Mapping[str, Any] | None) -> None:
        """Hand a line its answer, as that of a request by itself would be: a body, or what was wrong."""
        if name not in lines or lines[name].answer.done():
            return
        line = lines[name]
        if response is None:
            line.answer.set_exception(RowError("the answer in the batch is too long to be read", "E-BACKEND-026"))
            return
        status, body = response.get("status_code"), response.get("body")
        if status == 200 and isinstance(body, Mapping):
            line.answer.set_result(_Given(body, old=False))
        elif isinstance(status, int) and 400 <= status < 500 and status not in AGAIN:
            learnt = hints(json.dumps(body).encode())
            line.answer.set_exception(Refusal(status, self._client.told(body), learnt))
        else:
            line.answer.set_exception(Fault(str(status) if status != 200 else "JSON of another form"))

    async def _give_again(self, batch: Mapping[str, Any], lines: Mapping[str, _Line]) -> set[str]:
        """Hand lines what an earlier run asked them for: an answer; what failed then is asked anew. Gives the names of
        all the answers there are."""
        answered: set[str] = set()

        def take(name: str, response: Mapping[str, Any] | None) -> None:
            if response is None or response.get("status_code") != 200 or not isinstance(response.get("body"), Mapping):
                return
            answered.add(name)
            if name in lines and not lines[name].answer.done():
                lines[name].answer.set_result(_Given(response["body"], old=True))

        await self._server.responses(batch, take)
        return answered


def _tell(lines: Iterable[_Line], error: Exception) -> None:
    for line in lines:
        if not line.answer.done():
            line.answer.set_exception(copy(error))


def _parts(lines: Sequence[tuple[str, _Line]]) -> Iterator[dict[str, _Line]]:
    """Lines in files that are not too large."""
    part: dict[str, _Line] = {}
    size = 0
    for name, line in lines:
        length = len(_as_line(name, line))
        if part and (len(part) == LINES or size + length > BYTES):
            yield part
            part, size = {}, 0
        part[name] = line
        size += length
    if part:
        yield part


def _as_line(name: str, line: _Line) -> bytes:
    asked = {"custom_id": name, "method": "POST", "url": f"/v1/{line.path}", "body": line.body}
    return json.dumps(asked).encode() + b"\n"
