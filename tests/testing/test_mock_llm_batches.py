"""The test server's batch mode: files in, a look now and then, files out."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

import httpx
import openai
import pytest

from itune_core.testing import MockLLM
from itune_core.testing.mock_llm.batches import Batches, Files

Start = Callable[..., MockLLM]
CHAT = "/v1/chat/completions"


def line(number: int, **fields: Any) -> dict[str, Any]:
    body = {"model": "m", "messages": [{"role": "user", "content": f"bees {number}"}]}
    return {"custom_id": f"row-{number}", "method": "POST", "url": CHAT, "body": body, **fields}


def spelt(lines: list[Any]) -> bytes:
    return b"".join(json.dumps(item, ensure_ascii=False).encode() + b"\n" for item in lines)


def official(server: MockLLM) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.base_url, api_key=server.token, max_retries=0, timeout=30)


def read(api: openai.OpenAI, file: str | None) -> list[dict[str, Any]]:
    return [json.loads(text) for text in api.files.content(file).text.splitlines()] if file else []


def begin(api: openai.OpenAI, content: bytes, endpoint: Any = CHAT) -> openai.types.Batch:
    file = api.files.create(file=("rows.jsonl", content), purpose="batch")
    return api.batches.create(
        input_file_id=file.id, endpoint=endpoint, completion_window="24h", metadata={"run": "one"}
    )


def test_a_batch_answers_what_single_requests_do(mock_llm: Start) -> None:
    server = mock_llm()
    with official(server) as api:
        batch = begin(api, spelt([line(number) for number in range(40)]))
        assert (batch.status, batch.metadata) == ("validating", {"run": "one"})
        batch = api.batches.retrieve(batch.id)
        assert batch.status == "completed"
        assert batch.request_counts is not None
        assert (batch.request_counts.total, batch.request_counts.completed, batch.request_counts.failed) == (40, 40, 0)
        assert batch.error_file_id is None
        found = {item["custom_id"]: item for item in read(api, batch.output_file_id)}
        for number in (0, 7, 39):
            single = api.chat.completions.create(**line(number)["body"])
            response = found[f"row-{number}"]["response"]
            assert response["status_code"] == 200
            assert response["body"]["choices"][0]["message"]["content"] == single.choices[0].message.content
    assert len(found) == 40
    assert list(found) != sorted(found, key=lambda name: int(name[4:])), "nobody promises the order of the questions"
    assert server.stats()["answered"] == 43


def test_what_fails_stands_in_the_file_of_errors(mock_llm: Start) -> None:
    shares = {"429": 0.2, "500": 0.1, "garbage": 0.2, "hang": 0.2}
    server = mock_llm(faults=shares, seed=3)
    lines = [line(number) for number in range(100)]
    with httpx.Client(base_url=server.base_url, headers={"Authorization": f"Bearer {server.token}"}) as http:

        def insist(method: str, path: str, right: Callable[[httpx.Response], bool], **fields: Any) -> httpx.Response:
            """Requests have faults, too: asked until the reply is what it should be."""
            for _ in range(40):
                with contextlib.suppress(httpx.TransportError, ValueError, KeyError, TypeError):
                    response = http.request(method, path, timeout=httpx.Timeout(30, read=0.3), **fields)
                    if response.status_code == 200 and right(response):
                        return response
            raise AssertionError(f"no right reply to {method} {path} in 40 times")

        def lines_of(identity: str) -> list[dict[str, Any]]:
            size = insist("GET", f"/files/{identity}", is_("file")).json()["bytes"]
            content = insist("GET", f"/files/{identity}/content", lambda response: len(response.content) == size)
            return [json.loads(text) for text in content.content.splitlines()]

        def is_(kind: str) -> Callable[[httpx.Response], bool]:
            return lambda response: response.json()["object"] == kind

        upload = {"files": {"file": ("a.jsonl", spelt(lines))}, "data": {"purpose": "batch"}}
        file = insist("POST", "/files", is_("file"), **upload).json()
        asked = {"input_file_id": file["id"], "endpoint": CHAT, "completion_window": "24h"}
        made = insist("POST", "/batches", is_("batch"), json=asked).json()
        made = insist("GET", f"/batches/{made['id']}", is_("batch")).json()
        assert made["status"] == "completed"
        good, bad = lines_of(made["output_file_id"]), lines_of(made["error_file_id"])
    assert {item["custom_id"] for item in good + bad} == {item["custom_id"] for item in lines}
    assert len(good) + len(bad) == 100
    assert made["request_counts"] == {"total": 100, "completed": len(good), "failed": len(bad)}
    assert all(item["response"]["status_code"] == 200 and item["error"] is None for item in good)
    told = {(item["response"] or {}).get("status_code"): item["error"] for item in bad}
    assert {*told} == {429, 500, None}
    assert told[None]["code"] == "batch_expired"
    bodies = [item["response"]["body"] for item in good]
    assert 0 < sum(isinstance(body, dict) and "usage" in body for body in bodies) < len(bodies)


def test_it_takes_its_time() -> None:
    class Clock:
        now = 0.0

        def __call__(self) -> float:
            return self.now

    asked: list[bytes] = []

    def answer(path: str, body: bytes) -> tuple[int, Any]:
        asked.append(body)
        return 200, {"path": path}

    clock, files = Clock(), Files()
    batches = Batches(files, answer, 100, clock)
    file = files.add("a.jsonl", "batch", spelt([line(number) for number in range(10)]))
    body = json.dumps({"input_file_id": file["id"], "endpoint": CHAT, "completion_window": "24h"}).encode()
    one, other = (batches.create(body, (CHAT,))["id"] for _ in range(2))
    seen = []
    for clock.now in (5, 50, 95):
        told = batches.look(one)
        seen.append((told["status"], told["request_counts"]["completed"], told["output_file_id"]))
    assert seen == [("validating", 0, None), ("in_progress", 5, None), ("finalizing", 9, None)]
    assert asked == []
    clock.now = 100
    assert batches.look(one)["status"] == batches.look(one)["status"] == "completed"
    assert len(asked) == 10
    clock.now = 40
    assert batches.cancel(other)["status"] == "cancelling"
    cancelled = batches.look(other)
    assert (cancelled["status"], cancelled["request_counts"]["completed"]) == ("cancelled", 4)
    assert len(files.find(cancelled["output_file_id"]).content.splitlines()) == 4


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty_file"),
        (b"{\n", "invalid_json_line"),
        (spelt([{**line(1), "body": "text"}]), "invalid_json_line"),
        (spelt([line(1), line(2), line(1)]), "duplicate_custom_id"),
        (spelt([line(1, custom_id=None)]), "missing_required_parameter"),
        (spelt([line(1, method="GET")]), "invalid_method"),
        (spelt([line(1, url="/v1/embeddings")]), "mismatched_endpoint"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_file_fails_when_it_is_looked_at(mock_llm: Start, content: bytes, code: str) -> None:
    with official(mock_llm()) as api:
        batch = api.batches.retrieve(begin(api, content).id)
        assert batch.status == "failed"
        assert batch.errors is not None
        assert batch.errors.data is not None
        assert [problem.code for problem in batch.errors.data] == [code]


def test_embeddings_come_in_batches_too_and_streams_do_not(mock_llm: Start) -> None:
    vectors = [line(1, url="/v1/embeddings", body={"model": "e", "input": "a bee"})]
    stream = [line(1), line(2, body={**line(2)["body"], "stream": True})]
    with official(mock_llm()) as api:
        batch = api.batches.retrieve(begin(api, spelt(vectors), "/v1/embeddings").id)
        (told,) = read(api, batch.output_file_id)
        assert len(told["response"]["body"]["data"][0]["embedding"]) == 64
        batch = api.batches.retrieve(begin(api, spelt(stream)).id)
        assert [item["custom_id"] for item in read(api, batch.output_file_id)] == ["row-1"]
        (failed,) = read(api, batch.error_file_id)
        assert failed["response"]["status_code"] == 400


def test_files_are_kept_listed_and_deleted(mock_llm: Start) -> None:
    content = "--x\r\n\r\nline — \u2028\x85 and\r\n".encode()
    with official(mock_llm()) as api:
        file = api.files.create(file=("wörter.jsonl", content), purpose="batch")
        assert (file.filename, file.bytes, file.purpose) == ("wörter.jsonl", len(content), "batch")
        assert api.files.content(file.id).content == content
        assert [other.id for other in api.files.list()] == [file.id]
        assert api.files.delete(file.id).deleted
        with pytest.raises(openai.NotFoundError):
            api.files.retrieve(file.id)
        with pytest.raises(openai.NotFoundError):
            api.batches.retrieve("batch_9")


@pytest.mark.parametrize(
    "fields",
    [{"endpoint": "/v1/other"}, {"completion_window": "1h"}, {"input_file_id": "file-9"}, {"input_file_id": None}],
    ids=str,
)
def test_a_wrong_batch_is_refused_at_once(mock_llm: Start, fields: dict[str, Any]) -> None:
    server = mock_llm(auth=False)
    with httpx.Client(base_url=server.base_url) as http:
        uploaded = http.post("/files", files={"file": ("a", spelt([line(1)]))}, data={"purpose": "batch"}).json()
        good = {"input_file_id": uploaded["id"], "endpoint": CHAT, "completion_window": "24h"}
        assert http.post("/batches", json=good).status_code == 200
        assert http.post("/batches", json={**good, **fields}).status_code in (400, 404)
        assert http.post("/files", json={"purpose": "batch"}).status_code == 400
        assert http.post("/files", files={"file": ("a", b"")}).status_code == 400
