"""Batches by files, against the kit's test server: answered once, found again by a run that was killed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from typing import Any

import httpx
import pytest

from itune_backends.openai_backend import OpenAI
from itune_core.api import Answer, Ask, Choices, Embed, Failed, ModelError, OptionLogProbs, Spent, Vectors, message
from itune_core.testing import MockLLM

Opening = Callable[..., OpenAI]


@pytest.fixture
def batched(monkeypatch: pytest.MonkeyPatch) -> Iterator[Opening]:
    """Opens a backend that asks a server in batches; the test's end closes it."""
    opened: list[OpenAI] = []

    def make(server: MockLLM, **settings: Any) -> OpenAI:
        monkeypatch.setattr("itune_backends.remote.batches.QUIET", 0.1)
        monkeypatch.setattr("itune_backends.remote.batches.POLLS", (0.05, 0.1))
        monkeypatch.setenv("MOCK_KEY", server.token or "none")
        how = {"model": "mock", "base_url": server.base_url, "api_key": "env:MOCK_KEY", "batch": True, **settings}
        backend = OpenAI(OpenAI.Config(**how))
        backend.open(None)
        opened.append(backend)
        return backend

    yield make
    for backend in opened:
        backend.close()


def ask(number: int = 0, **settings: Any) -> Ask:
    turns = [message("user", f"Question number {number}: why is the sky blue?")]
    return Ask("mock", turns, **{"max_tokens": 12, "temperature": 1.0, **settings})


def answered(backend: OpenAI, numbers: range) -> list[Any]:
    futures = [backend.submit(ask(number), number) for number in numbers]
    return [future.exception() or future.result() for future in futures if wait([future])]


def batches(server: MockLLM) -> int:
    return server.stats()["by_path"].get("POST /v1/batches", 0)


def test_the_answers_are_those_of_single_requests(batched: Opening, mock_llm: Callable[..., MockLLM]) -> None:
    server = mock_llm(batch_ms=200)
    backend = batched(server)
    replies = answered(backend, range(30))
    assert replies == answered(batched(mock_llm(), batch=False), range(30))
    assert batches(server) == 1
    assert server.stats()["answered_again"] == 0
    spent = backend.charged()
    assert spent == Spent(server.stats()["prompt_tokens"], server.stats()["completion_tokens"])


def test_requests_of_all_kinds_and_equal_ones(batched: Opening, mock_llm: Callable[..., MockLLM]) -> None:
    server = mock_llm(answers=[{"match": "blue", "answer": {"Yes": 0.75, "No": 0.25}}])
    backend = batched(server)
    futures = [
        backend.submit(ask(1), 1),
        backend.submit(ask(1), 1),
        backend.submit(Choices("mock", ask().messages, ["Yes", "No"]), 0),
        backend.submit(Embed("mock", ["a text"]), 0),
        backend.submit(ask(2, stop=[""]), 0),
    ]
    one, same, likely, vectors, refused = (future.result(timeout=30) for future in futures)
    assert one == same
    assert isinstance(likely, OptionLogProbs)
    assert isinstance(vectors, Vectors)
    assert isinstance(refused, Failed)
    assert refused.code == "E-BACKEND-025"
    assert batches(server) == 2  # one of each path
    assert server.stats()["questions"] == 4


def test_lines_and_looks_that_fail_are_tried_again(batched: Opening, mock_llm: Callable[..., MockLLM]) -> None:
    server = mock_llm(faults={"500": 0.04, "garbage": 0.04, "hang-up": 0.04}, retry_after=0)
    replies = answered(batched(server), range(60))
    assert [reply for reply in replies if not isinstance(reply, Answer)] == []
    assert batches(server) >= 2
    assert server.stats()["by_fault"].keys() >= {"500", "garbage"}
    assert server.stats()["answered_again"] == 0


def test_a_line_that_keeps_failing_fails_with_what_happened(batched: Opening, mock_llm: Callable[..., MockLLM]) -> None:
    server = mock_llm(answers=[{"match": "number 3:", "answer": "x"}], faults={})
    backend = batched(server)
    real = backend._client.used  # type: ignore[union-attr]

    def used(body: Any, read: Any) -> Any:
        return real({"choices": []} if body["choices"][0]["message"]["content"] == "x" else body, read)

    backend._client.used = used  # type: ignore[union-attr,method-assign,assignment]
    replies = answered(backend, range(5))
    assert [type(reply) for reply in replies] == [Answer, Answer, Answer, Failed, Answer]
    assert replies[3].code == "E-BACKEND-026"
    assert "3 batches" in replies[3].message
    assert batches(server) == 3


def test_a_run_that_was_killed_finds_its_batch_again(batched: Opening, mock_llm: Callable[..., MockLLM]) -> None:
    server = mock_llm(batch_ms=1500)
    killed = batched(server)
    futures = [killed.submit(ask(number), number) for number in range(20)]
    while not batches(server):
        time.sleep(0.02)
    killed.close()
    assert all(future.cancelled() for future in futures)
    again = batched(server)
    replies = answered(again, range(25))  # and some that are new
    assert all(isinstance(reply, Answer) for reply in replies)
    assert batches(server) == 2
    assert server.stats()["answered_again"] == 0

    later = answered(batched(server), range(25))  # both are over by now
    assert later == replies
    assert batches(server) == 2
    other_model = answered(batched(server, identity="another"), range(2))
    assert other_model == replies[:2]
    assert batches(server) == 3


def test_what_a_batch_answered_before_it_was_cancelled_is_not_asked_again(
    batched: Opening, mock_llm: Callable[..., MockLLM]
) -> None:
    server = mock_llm(batch_ms=1000)
    killed = batched(server)
    for number in range(20):
        killed.submit(ask(number), number)
    while not batches(server):
        time.sleep(0.02)
    killed.close()
    time.sleep(0.6)
    head = {"Authorization": f"Bearer {server.token}"}
    [batch] = httpx.get(f"{server.base_url}/batches", headers=head).json()["data"]
    httpx.post(f"{server.base_url}/batches/{batch['id']}/cancel", headers=head)
    httpx.get(f"{server.base_url}/batches/{batch['id']}", headers=head)
    assert 0 < server.stats()["questions"] < 20
    assert all(isinstance(reply, Answer) for reply in answered(batched(server), range(20)))
    assert batches(server) == 2
    assert server.stats()["answered_again"] == 0


def test_draws_are_drawn_apart_where_no_seed_is_sent(batched: Opening, mock_llm: Callable[..., MockLLM]) -> None:
    server = mock_llm()
    backend = batched(server, extra={"seed": None})
    replies = [backend.submit(ask(), number).result(timeout=30) for number in (1, 2)]
    futures = [backend.submit(ask(), number) for number in range(3, 7)]
    replies += [future.result(timeout=30) for future in futures]
    assert all(isinstance(reply, Answer) for reply in replies)
    assert server.stats()["answered"] == 6


def test_two_who_wait_for_a_line_that_is_of_no_use_both_ask_anew(
    batched: Opening, mock_llm: Callable[..., MockLLM]
) -> None:
    backend = batched(mock_llm())
    real, read_before = backend._client.used, []  # type: ignore[union-attr]

    def used(body: Any, read: Any) -> Any:
        read_before.append(body)
        return real(body if len(read_before) > 2 else {"choices": []}, read)

    backend._client.used = used  # type: ignore[union-attr,method-assign,assignment]
    futures = [backend.submit(ask(), 1) for _ in range(2)]
    assert [type(future.result(timeout=30)) for future in futures] == [Answer, Answer]


def test_an_error_of_ours_leaves_nobody_waiting(
    batched: Opening, mock_llm: Callable[..., MockLLM], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("itune_backends.remote.batches._parts", lambda lines: 1 / 0)
    future = batched(mock_llm()).submit(ask(), 0)
    assert isinstance(future.exception(timeout=30), ZeroDivisionError)


def test_a_batch_whose_creation_was_not_heard_of_is_not_made_twice(
    batched: Opening, mock_llm: Callable[..., MockLLM]
) -> None:
    server = mock_llm(first=["none", "none", "truncate"])  # the list, the file, the batch
    replies = answered(batched(server), range(3))
    assert all(isinstance(reply, Answer) for reply in replies)
    assert server.stats()["by_fault"] == {"truncate": 1}
    assert batches(server) == 1


def test_a_budget_is_looked_at_before_each_batch(batched: Opening, mock_llm: Callable[..., MockLLM]) -> None:
    server = mock_llm()
    backend = batched(server, max_tokens=50)
    assert all(isinstance(reply, Answer) for reply in answered(backend, range(5)))
    [error] = answered(backend, range(100, 101))
    assert isinstance(error, ModelError)
    assert error.code == "E-BACKEND-023"
    assert batches(server) == 1


def test_a_batch_that_somebody_cancels_ends_the_step(batched: Opening, mock_llm: Callable[..., MockLLM]) -> None:
    server = mock_llm(batch_ms=60_000)
    backend = batched(server)
    future = backend.submit(ask(), 0)
    while not batches(server):
        time.sleep(0.02)
    [seen] = [request for request in server.requests() if request.path == "/v1/batches" and request.method == "POST"]
    assert json.loads(seen.body)["endpoint"] == "/v1/chat/completions"
    head = {"Authorization": f"Bearer {server.token}"}
    [number] = [batch["id"] for batch in httpx.get(f"{server.base_url}/batches", headers=head).json()["data"]]
    httpx.post(f"{server.base_url}/batches/{number}/cancel", headers=head)
    error = future.exception(timeout=30)
    assert isinstance(error, ModelError)
    assert (error.code, "cancelled" in error.what) == ("E-BACKEND-032", True)


def test_a_key_that_a_batch_repeats_is_not_handed_on(batched: Opening, mock_llm: Callable[..., MockLLM]) -> None:
    server = mock_llm(token="sk-batched-0123456789", answers=[{"answer": "Never tell sk-batched-0123456789."}])
    [reply] = answered(batched(server), range(1))
    assert reply.text == "Never tell [key]."


def test_files_are_read_by_lines_of_which_none_is_too_long(
    batched: Opening, mock_llm: Callable[..., MockLLM], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file may be longer than one answer may be; a line may not."""
    monkeypatch.setattr("itune_backends.remote.transport.LONGEST", 2048)
    server = mock_llm(answers=[{"match": "number 9:", "answer": "word " * 20_000}])
    backend = batched(server, max_retries=1)
    replies = answered(backend, range(9))
    assert all(isinstance(reply, Answer) for reply in replies)
    head = {"Authorization": f"Bearer {server.token}"}
    files = httpx.get(f"{server.base_url}/files", headers=head).json()["data"]
    assert [file["bytes"] > 2048 for file in files if file["purpose"] == "batch_output"] == [True]
    assert answered(batched(server), range(9)) == replies  # found again in that file
    assert batches(server) == 1
    failed = backend.submit(ask(9, max_tokens=30_000), 9).result(timeout=30)
    assert isinstance(failed, Failed)
    assert (failed.code, "too long" in failed.message) == ("E-BACKEND-026", True)
    assert batches(server) == 2  # it is not asked for again
    assert answered(batched(server), range(8, 9)) == replies[8:]  # nor in the way of others, in a later run
    [new] = answered(batched(server), range(10, 11))
    assert isinstance(new, Answer)
    assert batches(server) == 3


def delete(server: MockLLM, file: str) -> None:
    head = {"Authorization": f"Bearer {server.token}"}
    httpx.delete(f"{server.base_url}/files/{file}", headers=head).raise_for_status()


def listed(server: MockLLM) -> list[dict[str, Any]]:
    """Batches, newest first."""
    found = httpx.get(f"{server.base_url}/batches", headers={"Authorization": f"Bearer {server.token}"}).json()["data"]
    assert isinstance(found, list)
    return found


def downloads(server: MockLLM) -> int:
    return server.stats()["by_path"].get("GET /v1/files/{}/content", 0)


def test_an_old_batch_whose_answers_are_gone_is_passed_over(batched: Opening, mock_llm: Callable[..., MockLLM]) -> None:
    server = mock_llm()
    answered(batched(server), range(2))
    delete(server, listed(server)[0]["output_file_id"])
    backend = batched(server)
    assert all(isinstance(reply, Answer) for reply in answered(backend, range(1, 4)))
    assert all(isinstance(reply, Answer) for reply in answered(backend, range(4, 5)))
    assert backend.figures()["batches_passed_over"] == 1
    assert batches(server) == 3


def test_a_batch_at_work_whose_requests_are_gone_is_passed_over(
    batched: Opening, mock_llm: Callable[..., MockLLM]
) -> None:
    server = mock_llm(batch_ms=1500)
    killed = batched(server)
    killed.submit(ask(1), 1)
    while not batches(server):
        time.sleep(0.02)
    killed.close()
    delete(server, listed(server)[0]["input_file_id"])
    backend = batched(server)
    assert all(isinstance(reply, Answer) for reply in answered(backend, range(2, 4)))
    assert backend.figures()["batches_passed_over"] == 1


def test_lines_whose_file_cannot_be_read_fail_and_those_of_other_batches_are_answered(
    batched: Opening, mock_llm: Callable[..., MockLLM], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("itune_backends.remote.batches.BYTES", 1)  # a batch for each request
    server = mock_llm(batch_ms=500)
    backend = batched(server)
    batch_server = backend._batches._server  # type: ignore[union-attr]
    look, lost = batch_server.look, set()

    async def losing(number: str) -> Any:
        if not lost:  # the first to be looked at, while the others are at work
            lost.add(number)
        return {"id": number, "status": "completed", "output_file_id": "?"} if number in lost else await look(number)

    monkeypatch.setattr(batch_server, "look", losing)
    replies = answered(backend, range(3))
    [failed] = [reply for reply in replies if not isinstance(reply, Answer)]
    assert isinstance(failed, Failed)
    assert (failed.code, "404" in failed.message) == ("E-BACKEND-026", True)
    assert batches(server) == 3


def test_those_who_share_a_line_pay_once(batched: Opening, mock_llm: Callable[..., MockLLM]) -> None:
    server = mock_llm(answers=[{"match": "blue", "answer": {"Yes": 0.5, "No": 0.3, "Maybe": 0.2}}])
    backend = batched(server)
    options = (["Yes", "No"], ["No", "Maybe"], ["Yes", "Maybe"])
    futures = [backend.submit(Choices("mock", ask().messages, each), 0) for each in options]
    assert all(isinstance(future.result(timeout=30), OptionLogProbs) for future in futures)
    assert server.stats()["questions"] == 1
    assert backend.charged() == Spent(server.stats()["prompt_tokens"], server.stats()["completion_tokens"])


def test_an_old_answer_is_charged_where_it_is_of_use(batched: Opening, mock_llm: Callable[..., MockLLM]) -> None:
    """Of no use, it would be charged in every run that looks at it."""
    server = mock_llm(answers=[{"match": "blue", "answer": {"Yes": 0.6, "No": 0.4}}])

    def charged(*options: str) -> tuple[Spent, Spent, Any]:
        backend, before = batched(server), server.stats()
        reply = backend.submit(Choices("mock", ask().messages, options), 0).result(timeout=30)
        asked = (server.stats()[name] - before[name] for name in ("prompt_tokens", "completion_tokens"))
        return backend.charged(), Spent(*asked), reply

    once, asked, _ = charged("Yes", "No")
    assert once == asked != Spent()
    assert charged("No", "Yes")[:2] == (once, Spent())  # taken from the first run's batch
    for _ in range(2):
        counted, asked, reply = charged("Yes", "Green")
        assert (counted, reply.code) == (asked, "E-BACKEND-028")
        assert asked != Spent()


def test_what_batches_hold_is_downloaded_once_and_found_by_later_questions(
    batched: Opening, mock_llm: Callable[..., MockLLM]
) -> None:
    server = mock_llm()
    first = batched(server)
    replies = [answered(first, range(number, number + 2)) for number in (0, 2, 4)]
    assert downloads(server) == 3  # each its own
    again = batched(server)
    assert answered(again, range(6, 7)) != []  # looks for it in all three
    assert downloads(server) == 7
    assert [answered(again, range(number, number + 2)) for number in (4, 0)] == [replies[2], replies[0]]
    assert downloads(server) == 9
    assert batches(server) == 4
