"""Requests in batches, by files: up with the questions, wait, down with the answers.

A batch outlives the run that began it. Nothing is written down here to find it again: a batch carries the model's
identity among its metadata and each of its lines a digest of the request as its ``custom_id``, so a run that is begun
again asks the server which batches of this model there are, and waits for those in place of asking twice.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from itune_backends.remote.client import Client, Read, as_json
from itune_backends.remote.faults import AGAIN, Fault, Refusal, json_object, said
from itune_backends.remote.trying import Tries
from itune_backends.remote.wire import Call
from itune_core.api import ItuneError, ModelError, RowError

if TYPE_CHECKING:
    import httpx

Found = TypeVar("Found")

QUIET = 1.0
"""Seconds without a new request after which a batch is begun."""

LINES, BYTES = 50_000, 100_000_000
"""Most requests in a batch, and the size of its file; half of what OpenAI takes, and all that others do."""

ROUNDS = 3
"""Batches that one request is put into, at most."""

POLLS = (0.5, 60.0)
"""Seconds between two looks at a batch, first and at most."""

PAGES = 5
"""Pages of a hundred batches that are looked through for those of an earlier run."""

OVER = ("completed", "expired", "cancelled")
"""What a batch is called that holds answers, which are paid for."""

MARK = "itune"
"""The name among a batch's metadata."""


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
        self._mark = _digest(identity)
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
            name = _digest([call.path, body, call.seed])
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
        async for batch in self._batches():
            open_lines = {name for name, line in lines.items() if not line.answer.done()}
            open_lines -= self._useless.union(*found.values())
            if not open_lines:
                break
            if batch.get("status") in OVER:
                for name, response in await self._responses(batch):
                    if name in open_lines and response.get("status_code") == 200:
                        self._give(lines[name], response, old=True)
            elif batch.get("status") in ("validating", "in_progress", "finalizing"):
                lines_of_it = await self._lines(str(batch.get("input_file_id")))
                if names := open_lines & {line["custom_id"] for line in lines_of_it}:
                    found[batch["id"]] = names
        return found

    async def _ask_anew(self, path: str, lines: Mapping[str, _Line]) -> None:
        """Put lines into a batch of their own."""
        self._client.spending.check()
        text = b"".join(_as_line(name, line) for name, line in lines.items())
        form = {"files": {"file": ("requests.jsonl", text)}, "data": {"purpose": "batch"}}
        file = (await self._sent("POST", "files", "id", **form))["id"]

        async def create(tries: Tries) -> Mapping[str, Any]:
            if tries.again:  # the server may have begun one, and its answer been lost
                async for batch in self._batches():
                    if batch.get("input_file_id") == file:
                        return batch
            body = {
                "input_file_id": file,
                "endpoint": f"/v1/{path}",
                "completion_window": "24h",
                "metadata": {MARK: self._mark},
            }
            response = await self._client.once("POST", "batches", tries, paid=True, **as_json(body))
            return _with(json_object(response.content), "id")

        batch = await _as_batches(self._client.repeated(create))
        await self._follow(batch["id"], lines)

    async def _follow(self, number: str, lines: Mapping[str, _Line]) -> None:
        """Wait until a batch is over, and hand out what it holds.

        Raises:
            ModelError: ``E-BACKEND-032`` it failed as a whole, or somebody cancelled it.
        """
        pause, longest = POLLS
        while True:
            batch = await self._sent("GET", f"batches/{number}", "status")
            status = batch["status"]
            if status in OVER or status == "failed":
                break
            await self._client.rest(pause)
            pause = min(1.5 * pause, longest)
        for name, response in await self._responses(batch):
            if name in lines:
                self._give(lines[name], response, old=False)
        missing = [line for line in lines.values() if not line.answer.done()]
        if missing and status in ("failed", "cancelled"):
            raise _failed(
                f"the batch {number} {status}" if status == "failed" else f"the batch {number} was cancelled",
                self._said(batch.get("errors") or ""),
            )
        _tell(missing, Fault(f"not in the batch, which {status}" if status == "completed" else f"batch {status}"))

    async def _responses(self, batch: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
        """By ``custom_id`` what a batch that is over answered, or how it failed."""
        found = []
        for file in (batch.get("output_file_id"), batch.get("error_file_id")):
            for line in await self._lines(file) if file else ():
                response = line.get("response")
                error = line.get("error")
                if not isinstance(response, Mapping):
                    response = {"status_code": 500, "body": {"error": error}}
                found.append((line["custom_id"], response))
        return found

    def _give(self, line: _Line, response: Mapping[str, Any], *, old: bool) -> None:
        """Hand a line its answer, as that of a request by itself would be: a body, or what was wrong."""
        if line.answer.done():
            return
        status, body = response.get("status_code"), response.get("body")
        if status == 200 and isinstance(body, Mapping):
            line.answer.set_result(_Given(body, old))
        elif isinstance(status, int) and 400 <= status < 500 and status not in AGAIN:
            line.answer.set_exception(Refusal(status, self._said(body)))
        else:
            line.answer.set_exception(Fault(str(status) if status != 200 else "JSON of another form"))

    def _said(self, complaint: Any) -> str:
        return said(json.dumps(complaint).encode(), self._client.hidden)

    async def _batches(self) -> AsyncIterator[Mapping[str, Any]]:
        """Batches of this model, newest first."""
        after: dict[str, str] = {}
        for _ in range(PAGES):
            page = await self._sent("GET", "batches", "data", params={"limit": 100, **after})
            for batch in page["data"]:
                marks = batch.get("metadata")
                if isinstance(marks, Mapping) and marks.get(MARK) == self._mark:
                    yield batch
            if not page["data"] or not page.get("has_more"):
                return
            after = {"after": page["data"][-1]["id"]}

    async def _lines(self, file: str) -> list[dict[str, Any]]:
        """The lines of a file, each with its ``custom_id``."""
        return await _as_batches(self._client.send("GET", f"files/{file}/content", _lines_of))

    async def _sent(self, method: str, path: str, field: str, **how: Any) -> Mapping[str, Any]:
        """What the server says to a request, which must have that field."""

        def take(response: httpx.Response) -> Mapping[str, Any]:
            return _with(json_object(response.content), field)

        return await _as_batches(self._client.send(method, path, take, **how))


def _with(found: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    """`found`, if it has the field.

    Raises:
        Fault: it is something else, or a list of something else than objects with a number.
    """
    value = found.get(field)
    listed = isinstance(value, list) and all(isinstance(item, dict) and "id" in item for item in value)
    if not (listed if field == "data" else isinstance(value, str)):
        raise Fault("JSON of another form")
    return found


async def _as_batches(work: Coroutine[Any, Any, Found]) -> Found:
    """What `work` gives.

    Raises:
        ModelError: ``E-BACKEND-032`` in the place of a refusal or of an address that is not there.
    """
    try:
        return await work
    except Refusal as refusal:
        raise _failed("the server refuses to work in batches", f"it said {refusal.status}: {refusal.said}") from None
    except ModelError as error:
        if error.code != "E-BACKEND-022":
            raise
        raise _failed("the server does not work in batches", error.why or error.what) from None


def _failed(what: str, why: str) -> ModelError:
    return ModelError("E-BACKEND-032", what, why=why, fix="mend what it complains of, or leave `batch` out")


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


def _lines_of(response: httpx.Response) -> list[dict[str, Any]]:
    """The lines of a file of a batch.

    Raises:
        Fault: it is something else.
    """
    lines = [json_object(line) for line in response.content.splitlines() if line.strip()]
    if not all(isinstance(line.get("custom_id"), str) for line in lines):
        raise Fault("JSON of another form")
    return lines


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]
