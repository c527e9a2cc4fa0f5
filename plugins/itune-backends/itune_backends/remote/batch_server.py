"""Batches as a server has them: files up, batches begun, looked at and listed, files down."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from typing import Any, TypeVar
from urllib.parse import quote

from itune_backends.remote.client import Client, as_json
from itune_backends.remote.faults import Fault, Refusal, json_object
from itune_backends.remote.transport import TakeLine
from itune_backends.remote.trying import Tries
from itune_core.api import ModelError, RowError

Found = TypeVar("Found")

PAGES = 5
"""Pages of a hundred batches that are looked through for those of an earlier run."""

OVER = ("completed", "expired", "cancelled")
"""What a batch is called that holds answers, which are paid for."""

AT_WORK = ("validating", "in_progress", "finalizing")
"""What it is called before."""

MARK = "itune"
"""The name among a batch's metadata."""

CUSTOM_ID = re.compile(rb'"custom_id"\s*:\s*"([0-9a-f]{32})"')
"""One of ours, in a line too long to be read as JSON; within a text its quotes would have backslashes before them."""

TakeResponse = Callable[[str, Mapping[str, Any] | None], None]
"""Takes the ``custom_id`` of a line, and what it was answered or how it failed; None: the line is too long to read."""


class BatchServer:
    """A server's batches of one model.

    Args:
        client: sends what there is to send.
        identity: of the model; batches of another are left alone.

    Raises:
        ModelError: of all methods: ``E-BACKEND-032`` the server has no batches, or refuses to work in them.
    """

    def __init__(self, client: Client, identity: str) -> None:
        self._client = client
        self._mark = digest(identity)

    async def upload(self, lines: Iterable[bytes]) -> str:
        """Send a file of requests; gives its number."""
        form = {"files": {"file": ("requests.jsonl", b"".join(lines))}, "data": {"purpose": "batch"}}
        return str((await self._sent("POST", "files", "id", **form))["id"])

    async def begin(self, file: str, path: str) -> str:
        """Begin a batch over a file of requests to `path`; gives its number."""

        async def create(tries: Tries) -> Mapping[str, Any]:
            if tries.again:  # the server may have begun one, and its answer been lost
                async for batch in self.batches():
                    if batch.get("input_file_id") == file:
                        return batch
            body = {
                "input_file_id": file,
                "endpoint": f"/v1/{path}",
                "completion_window": "24h",
                "metadata": {MARK: self._mark},
            }
            return _with(await self._client.once("POST", "batches", tries, paid=True, **as_json(body)), "id")

        return str((await _working_in_batches(self._client.repeated(create)))["id"])

    async def look(self, number: str) -> Mapping[str, Any]:
        """How a batch is doing: its ``status`` and the rest."""
        return await self._sent("GET", f"batches/{quote(number, safe='')}", "status")

    async def batches(self) -> AsyncIterator[Mapping[str, Any]]:
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

    async def asked(self, batch: Mapping[str, Any]) -> set[str]:
        """The ``custom_id`` of each line that a batch was begun with.

        Raises:
            RowError: ``E-BACKEND-026`` its file cannot be read.
        """
        found: set[str] = set()
        await self._read(batch.get("input_file_id"), lambda name, line: found.add(name))
        return found

    async def responses(self, batch: Mapping[str, Any], take: TakeResponse) -> None:
        """Hand `take` what a batch that is over answered; a line may come twice, if a file has to be read again.

        Raises:
            RowError: ``E-BACKEND-026`` one of its files cannot be read.
        """

        def response(name: str, line: Mapping[str, Any] | None) -> None:
            said = line.get("response") if line is not None else None
            if line is not None and not isinstance(said, Mapping):
                said = {"status_code": 500, "body": {"error": line.get("error")}}
            take(name, said)

        for file in (batch.get("output_file_id"), batch.get("error_file_id")):
            if file:
                await self._read(file, response)

    async def _read(self, file: Any, take: TakeResponse) -> None:
        """Read a file line by line: answers are not held here that nobody waits for."""
        path = f"files/{quote(str(file), safe='')}/content"

        async def once(tries: Tries) -> None:
            await self._client.once("GET", path, tries, line=_by_name(take))

        try:
            await self._client.repeated(once)
        except (Refusal, ModelError) as error:  # not there any more, say: files do not outlive their batch by much
            if isinstance(error, ModelError) and error.code != "E-BACKEND-022":
                raise
            why = f"the server said {error.status}: {error.said}" if isinstance(error, Refusal) else error.why
            raise RowError("a file of a batch cannot be read", "E-BACKEND-026", why=why, transient=True) from None

    async def _sent(self, method: str, path: str, field: str, **how: Any) -> Mapping[str, Any]:
        """What the server says to a request, which must have that field."""
        return await _working_in_batches(self._client.send(method, path, lambda body: _with(body, field), **how))


def batch_failed(what: str, why: str) -> ModelError:
    """Why nothing comes of batches."""
    return ModelError("E-BACKEND-032", what, why=why, fix="mend what it complains of, or leave `batch` out")


def digest(value: Any) -> str:
    """A short name of a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]


def _with(body: bytes, field: str) -> Mapping[str, Any]:
    """The JSON object that a body is, if it has the field.

    Raises:
        Fault: it is something else, or a list of something else than objects with a number.
    """
    found = json_object(body)
    value = found.get(field)
    listed = isinstance(value, list) and all(
        isinstance(item, dict) and isinstance(item.get("id"), str) for item in value
    )
    if not (listed if field == "data" else isinstance(value, str)):
        raise Fault("JSON of another form")
    return found


def _by_name(take: TakeResponse) -> TakeLine:
    """Takes lines of a file of a batch as they are spelt; raises :class:`Fault` where one is something else."""

    def line(spelt: bytes, whole: bool) -> None:
        if not whole:
            if named := CUSTOM_ID.search(spelt):
                take(named[1].decode(), None)
            return
        if not spelt.strip():
            return
        found = json_object(spelt)
        if not isinstance(found.get("custom_id"), str):
            raise Fault("JSON of another form")
        take(found["custom_id"], found)

    return line


async def _working_in_batches(work: Coroutine[Any, Any, Found]) -> Found:
    """What `work` gives.

    Raises:
        ModelError: ``E-BACKEND-032`` in the place of a refusal or of an address that is not there.
    """
    try:
        return await work
    except Refusal as refusal:
        raise batch_failed(
            "the server refuses to work in batches", f"it said {refusal.status}: {refusal.said}"
        ) from None
    except ModelError as error:
        if error.code != "E-BACKEND-022":
            raise
        raise batch_failed("the server does not work in batches", error.why or error.what) from None
