"""The provider's batch mode: a file of requests in, a look now and then, files of answers out."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message
from typing import Any

import orjson

from itune_core.testing.mock_llm.refusal import Refused

Ask = Callable[[str, bytes], tuple[int | None, Any]]
"""Asks the service one line: path and body in; status and body out, no status if it was not answered in time."""

MAX_LINES = 50_000
WINDOW = 24 * 3600
_STARTED, _ENDING = 0.1, 0.9
"""Shares of a batch's time after which it is no longer being validated, and is being finalized."""


@dataclass(frozen=True)
class _File:
    told: Mapping[str, Any]
    content: bytes


class Files:
    """Files that clients sent, and those that batches made."""

    def __init__(self) -> None:
        self._files: dict[str, _File] = {}
        self._made = 0

    def upload(self, content_type: str, body: bytes) -> dict[str, Any]:
        """Keep the file in the body of a form; it is told about as the API tells it.

        Raises:
            Refused: the body is no form with a file and a purpose.
        """
        fields = _form(content_type, body)
        for required in ("file", "purpose"):
            if required not in fields:
                raise Refused(400, "it is required", required)
        name, content = fields["file"]
        return dict(self.add(name or "upload", fields["purpose"][1].decode("utf-8", "replace"), content))

    def add(self, name: str, purpose: str, content: bytes) -> Mapping[str, Any]:
        self._made += 1
        told = {
            "id": f"file-{self._made:06}",
            "object": "file",
            "bytes": len(content),
            "created_at": int(time.time()),
            "filename": name,
            "purpose": purpose,
            "status": "processed",
        }
        self._files[str(told["id"])] = _File(told, content)
        return told

    def find(self, identity: str) -> _File:
        if identity not in self._files:
            raise Refused(404, f"no such file: {identity}", "file_id")
        return self._files[identity]

    def all(self) -> dict[str, Any]:
        return {"object": "list", "data": [file.told for file in self._files.values()], "has_more": False}

    def delete(self, identity: str) -> dict[str, Any]:
        self.find(identity)
        del self._files[identity]
        return {"id": identity, "object": "file", "deleted": True}


def _form(content_type: str, body: bytes) -> dict[str, tuple[str | None, bytes]]:
    """Name to (file name, content) of the fields of a multipart form (RFC 7578)."""
    kind = Message()
    kind["content-type"] = content_type
    boundary = kind.get_param("boundary")
    if kind.get_content_type() != "multipart/form-data" or not isinstance(boundary, str):
        raise Refused(400, "the body is no multipart/form-data")
    fields = {}
    for part in (b"\r\n" + body).split(b"\r\n--" + boundary.encode())[1:-1]:
        lines, _, content = part.partition(b"\r\n\r\n")
        head = Message()
        for line in lines.decode("utf-8", "replace").split("\r\n"):
            name, colon, value = line.partition(":")
            if colon:
                head[name] = value.strip()
        field = head.get_param("name", header="content-disposition")
        if isinstance(field, str):
            fields[field] = head.get_filename(), content
    return fields


@dataclass
class _Batch:
    told: dict[str, Any]
    lines: list[dict[str, Any]]
    problems: list[dict[str, Any]]
    began: float
    stopped: float | None = None
    ended: bool = False


class Batches:
    """Batches; what becomes of one is a function of the time since it was made.

    Args:
        files: where they read and write.
        ask: answers a line.
        seconds: how long one takes.
        clock: gives seconds.
    """

    def __init__(self, files: Files, ask: Ask, seconds: float, clock: Callable[[], float]) -> None:
        self._files, self._ask, self._seconds, self._clock = files, ask, seconds, clock
        self._batches: dict[str, _Batch] = {}

    def create(self, body: bytes, endpoints: tuple[str, ...]) -> dict[str, Any]:
        """Begin a batch over a file that was uploaded.

        Raises:
            Refused: no such file, or not what batches can do. What is wrong inside of the file shows later, as with
                the real API.
        """
        try:
            given = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise Refused(400, f"the body is not JSON: {error}") from None
        given = given if isinstance(given, dict) else {}
        if given.get("endpoint") not in endpoints:
            raise Refused(400, f"one of: {', '.join(endpoints)}", "endpoint")
        if given.get("completion_window") != "24h":
            raise Refused(400, "it is 24h", "completion_window")
        file = self._files.find(str(given.get("input_file_id")))
        if file.told["purpose"] != "batch":
            raise Refused(400, "the purpose of the file is not batch", "input_file_id")
        lines, problems = _lines(file.content, given["endpoint"])
        now, identity = int(time.time()), f"batch_{len(self._batches) + 1:06}"
        told = {
            "id": identity,
            "object": "batch",
            "endpoint": given["endpoint"],
            "errors": None,
            "input_file_id": file.told["id"],
            "completion_window": "24h",
            "status": "validating",
            "output_file_id": None,
            "error_file_id": None,
            "created_at": now,
            "in_progress_at": None,
            "expires_at": now + WINDOW,
            "finalizing_at": None,
            "completed_at": None,
            "failed_at": None,
            "expired_at": None,
            "cancelling_at": None,
            "cancelled_at": None,
            "request_counts": {"total": 0, "completed": 0, "failed": 0},
            "metadata": given.get("metadata"),
        }
        self._batches[identity] = _Batch(told, lines, problems, self._clock())
        return told

    def look(self, identity: str) -> dict[str, Any]:
        """How a batch is doing now."""
        if identity not in self._batches:
            raise Refused(404, f"no such batch: {identity}", "batch_id")
        batch = self._batches[identity]
        if not batch.ended:
            self._advance(batch)
        return batch.told

    def cancel(self, identity: str) -> dict[str, Any]:
        """Stop a batch; what it has answered so far is in its files at the next look."""
        told = self.look(identity)
        batch = self._batches[identity]
        if not batch.ended and batch.stopped is None:
            batch.stopped = self._share(batch)
            told.update(status="cancelling", cancelling_at=int(time.time()))
        return told

    def all(self) -> dict[str, Any]:
        told = [self.look(identity) for identity in reversed(self._batches)]
        return {"object": "list", "data": told, "has_more": False}

    def _share(self, batch: _Batch) -> float:
        """The part of its time that has passed."""
        return min(1.0, (self._clock() - batch.began) / self._seconds) if self._seconds else 1.0

    def _advance(self, batch: _Batch) -> None:
        now, told, share = int(time.time()), batch.told, self._share(batch)
        if batch.stopped is not None:
            self._end(batch, math.floor(batch.stopped * len(batch.lines)))
            told.update(status="cancelled", cancelled_at=now)
        elif share < _STARTED:
            pass
        elif batch.problems:
            batch.ended = True
            told.update(status="failed", failed_at=now, errors={"object": "list", "data": batch.problems})
        elif share < 1:
            done = math.floor(share * len(batch.lines))
            told["in_progress_at"] = told["in_progress_at"] or now
            told["request_counts"] = {"total": len(batch.lines), "completed": done, "failed": 0}
            told["status"] = "in_progress" if share < _ENDING else "finalizing"
        else:
            self._end(batch, len(batch.lines))
            told["in_progress_at"] = told["in_progress_at"] or now
            told.update(status="completed", finalizing_at=now, completed_at=now)

    def _end(self, batch: _Batch, count: int) -> None:
        """Answer the first `count` lines and write the files: answers in another order than the questions, for nobody
        promises theirs, and what failed apart."""
        batch.ended = True
        told = batch.told
        good: list[bytes] = []
        bad: list[bytes] = []
        for number, line in enumerate(batch.lines[:count], 1):
            status, body = self._ask(line["url"], orjson.dumps(line["body"]))
            name = f"{told['id']}_{number:06}"
            response = None if status is None else {"status_code": status, "request_id": f"req_{name}", "body": body}
            error = None if status else {"code": "batch_expired", "message": "not executed before the window's end"}
            made = {"id": f"batch_req_{name}", "custom_id": line["custom_id"], "response": response, "error": error}
            (good if status == 200 else bad).append(orjson.dumps(made) + b"\n")
        random.Random(told["id"]).shuffle(good)
        for field, lines in (("output_file_id", good), ("error_file_id", bad)):
            if lines:
                name = f"{told['id']}_{field.partition('_')[0]}.jsonl"
                told[field] = self._files.add(name, "batch_output", b"".join(lines))["id"]
        told["request_counts"] = {"total": len(batch.lines), "completed": len(good), "failed": len(bad)}
        batch.lines = []  # its file has them


def _lines(content: bytes, endpoint: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The requests of a batch's file, and what is wrong with it."""
    lines: list[dict[str, Any]] = []
    problems: list[dict[str, Any]] = []
    names = set()

    def wrong(code: str, message: str, number: int | None = None, param: str | None = None) -> None:
        problems.append({"code": code, "message": message, "line": number, "param": param})

    for number, text in enumerate(content.splitlines(), 1):
        if not text.strip():
            continue
        try:
            line = orjson.loads(text)
        except orjson.JSONDecodeError:
            line = None
        if not isinstance(line, dict) or not isinstance(line.get("body"), dict):
            wrong("invalid_json_line", "This line is not parseable as valid JSON with a body.", number)
        elif not isinstance(line.get("custom_id"), str):
            wrong("missing_required_parameter", "The custom_id is missing.", number, "custom_id")
        elif line["custom_id"] in names:
            wrong("duplicate_custom_id", "The custom_id was already used in this file.", number, "custom_id")
        elif line.get("method") != "POST":
            wrong("invalid_method", "The method is not POST.", number, "method")
        elif line.get("url") != endpoint:
            wrong("mismatched_endpoint", "The URL is not the endpoint of the batch.", number, "url")
        else:
            names.add(line["custom_id"])
            lines.append(line)
    if not lines and not problems:
        wrong("empty_file", "The input file is empty.")
    if len(lines) > MAX_LINES:
        wrong("too_many_tasks", f"The file has more than {MAX_LINES} requests.")
    return lines, problems
