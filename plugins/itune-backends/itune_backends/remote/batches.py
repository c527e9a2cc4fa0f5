"""Requests in batches: gathered, put into a file, waited for, handed their answers.

A batch outlives the run that began it. Nothing is written down here to find it again: a batch carries the model's
identity among its metadata and each of its lines a digest of the request as its ``custom_id``, so a run that is begun
again asks the server which batches of this model there are, and waits for those in place of asking twice.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from itune_backends.remote.batch_server import AT_WORK, OVER, BatchServer, batch_failed, digest
from itune_backends.remote.client import Client, Read
from itune_backends.remote.faults import AGAIN, Fault, Refusal, said
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


@dataclass(frozen=True)
class _Given:
    """What a batch holds for a request: its body; and whether the batch was over before this run began."""

    body: Mapping[str, Any]
    old: bool


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
                    return self._client.counted(given.body, read)
                except (Fault, RowError):
                    if not given.old:
                        raise
                    self._useless.add(name)  # asked anew: a failure is not an answer
            except Fault as fault:
                faults.append(fault.kind)
            except Refusal as refusal:
                if not self._client.dialect.learns(call.body, body, refusal.said):
                    raise
        raise RowError(f"no usable answer in {len(faults)} batches: {', '.join(faults)}", "E-BACKEND-026")

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
        lines, self._gathered = self._gathered, {}
        for path in sorted({line.path for line in lines.values()}):
            task = asyncio.get_running_loop().create_task(
                self._answer(path, {name: line for name, line in lines.items() if line.path == path})
            )
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
            found = await self._earlier(path, lines)
            following = [self._follow(number, {name: lines[name] for name in names}) for number, names in found.items()]
            taken = set().union(*found.values())
            rest = [(name, line) for name, line in lines.items() if name not in taken and not line.answer.done()]
            await asyncio.gather(*following, *(self._ask_anew(path, part) for part in _parts(rest)))
        except (ItuneError, Refusal) as error:
            _tell(lines.values(), error)

    async def _earlier(self, path: str, lines: Mapping[str, _Line]) -> dict[str, set[str]]:
        """What an earlier run has asked already.

        Lines that a finished batch holds an answer to are answered. The others are given back, by the batch that is
        still at work on them.
        """
        found: dict[str, set[str]] = {}
        async for batch in self._server.batches():
            open_lines = {name for name, line in lines.items() if not line.answer.done()}
            open_lines -= self._useless.union(*found.values())
            if not open_lines:
                break
            if batch.get("status") in OVER:
                old = {name: lines[name] for name in open_lines}
                await self._server.responses(batch, partial(self._give_again, old))
            elif batch.get("status") in AT_WORK and (names := await self._server.asked(batch, open_lines)):
                found[batch["id"]] = names
        return found

    async def _ask_anew(self, path: str, lines: Mapping[str, _Line]) -> None:
        """Put lines into a batch of their own."""
        self._client.spending.check()
        file = await self._server.upload(_as_line(name, line) for name, line in lines.items())
        await self._follow(await self._server.begin(file, path), lines)

    async def _follow(self, number: str, lines: Mapping[str, _Line]) -> None:
        """Wait until a batch is over, and hand out what it holds.

        Raises:
            ModelError: ``E-BACKEND-032`` it failed as a whole, or somebody cancelled it.
        """
        pause, longest = POLLS
        while True:
            batch = await self._server.look(number)
            status = batch["status"]
            if status in OVER or status == "failed":
                break
            await self._client.rest(pause)
            pause = min(1.5 * pause, longest)
        await self._server.responses(batch, partial(self._give, lines))
        missing = [line for line in lines.values() if not line.answer.done()]
        if missing and status in ("failed", "cancelled"):
            raise batch_failed(
                f"the batch {number} {status}" if status == "failed" else f"the batch {number} was cancelled",
                _said(batch.get("errors") or ""),
            )
        _tell(missing, Fault(f"not in the batch, which {status}" if status == "completed" else f"batch {status}"))

    def _give(self, lines: Mapping[str, _Line], name: str, response: Mapping[str, Any]) -> None:
        """Hand a line its answer, as that of a request by itself would be: a body, or what was wrong."""
        if name not in lines or lines[name].answer.done():
            return
        line, status, body = lines[name], response.get("status_code"), response.get("body")
        if status == 200 and isinstance(body, Mapping):
            line.answer.set_result(_Given(body, old=False))
        elif isinstance(status, int) and 400 <= status < 500 and status not in AGAIN:
            line.answer.set_exception(Refusal(status, _said(body)))
        else:
            line.answer.set_exception(Fault(str(status) if status != 200 else "JSON of another form"))

    def _give_again(self, lines: Mapping[str, _Line], name: str, response: Mapping[str, Any]) -> None:
        """Hand a line what an earlier run asked it for: an answer; what failed then is asked anew."""
        if name not in lines or lines[name].answer.done():
            return
        if response.get("status_code") == 200 and isinstance(response.get("body"), Mapping):
            lines[name].answer.set_result(_Given(response["body"], old=True))


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


def _said(complaint: Any) -> str:
    return said(json.dumps(complaint).encode())
