"""The backend against the kit's test server: real HTTP, answers that depend on the question alone, faults on order."""

from __future__ import annotations

import math
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from typing import Any

import pytest
from pydantic import ValidationError

from itune_backends.openai_backend import OpenAI
from itune_core.api import (
    Answer,
    Ask,
    Choices,
    Embed,
    Failed,
    ItuneError,
    LogProbs,
    ModelError,
    OptionLogProbs,
    Rewards,
    Spent,
    Vectors,
    message,
)
from itune_core.testing import MockLLM

Opening = Callable[..., OpenAI]

NOTHING = Spent()


@pytest.fixture
def reach(monkeypatch: pytest.MonkeyPatch) -> Iterator[Opening]:
    """Opens a backend that asks a server; the test's end closes it."""
    opened: list[OpenAI] = []

    def make(server: MockLLM | str, spent: Spent = NOTHING, **settings: Any) -> OpenAI:
        if isinstance(server, MockLLM):
            monkeypatch.setenv("MOCK_KEY", server.token or "none")
            settings = {"base_url": server.base_url, "api_key": "env:MOCK_KEY", **settings}
        else:
            settings = {"base_url": server, **settings}
        backend = OpenAI(OpenAI.Config(**{"model": "mock", "timeout": 20.0, **settings}))
        backend.spent = spent
        backend.open(None)
        opened.append(backend)
        return backend

    yield make
    for backend in opened:
        backend.close()


def ask(number: int = 0, **settings: Any) -> Ask:
    turns = [message("user", f"Question number {number}: why is the sky blue?")]
    return Ask("mock", turns, **{"max_tokens": 12, "temperature": 1.0, **settings})


def outcomes(futures: list[Future[Any]]) -> list[Any]:
    """Replies, and errors in the place of those that there are none to."""
    wait(futures)
    return [future.exception() or future.result() for future in futures]


def test_every_question_has_its_own_answer_and_the_same_again(reach: Opening, mock_llm: Callable[..., MockLLM]) -> None:
    server = mock_llm(jitter_ms=20)
    backend = reach(server)
    first = outcomes([backend.submit(ask(number), number) for number in range(40)])
    again = outcomes([backend.submit(ask(number), number) for number in reversed(range(40))])[::-1]
    assert first == again
    assert all(isinstance(reply, Answer) for reply in first)
    assert len({reply.text for reply in first}) == 40
    assert outcomes([backend.submit(ask(0), 99)]) != first[:1]
    counted = server.stats()
    figures = backend.figures()
    assert (figures["requests"], figures["prompt_tokens"]) == (81, counted["prompt_tokens"])
    assert backend.charged() == Spent(counted["prompt_tokens"], counted["completion_tokens"])
    assert backend.charged() == Spent()
    assert counted["connections"] <= 40  # kept open between requests


def test_what_goes_wrong_on_the_way_is_tried_again(reach: Opening, mock_llm: Callable[..., MockLLM]) -> None:
    kinds = ["429", "429-date", "500", "garbage", "truncate", "hang-up", "hang", "drip"]
    server = mock_llm(first=[kind for kind in kinds for _ in range(2)], retry_after=0, drip_ms=1)
    backend = reach(server, timeout=1.0)
    replies = outcomes([backend.submit(ask(number), number) for number in range(30)])
    assert all(isinstance(reply, Answer) for reply in replies)
    assert server.stats()["by_fault"].keys() == set(kinds)
    assert server.stats()["answered_again"] == 0
    figures = backend.figures()
    assert figures["retries"] == figures["requests"] - 30 >= 14
    assert (figures["refused_429"], figures["refused_500"]) == (4, 2)
    healthy = reach(mock_llm())
    assert outcomes([healthy.submit(ask(number), number) for number in range(30)]) == replies


@pytest.mark.parametrize(
    ("fault", "told"),
    [("garbage", "JSON"), ("hang-up", "3 × connection broken off"), ("500", "3 × 500"), ("hang", "3 × time-out")],
)
def test_a_request_of_which_no_try_comes_to_anything_fails_with_what_happened(
    reach: Opening, mock_llm: Callable[..., MockLLM], fault: str, told: str
) -> None:
    backend = reach(mock_llm(faults={fault: 1.0}), timeout=0.3, max_retries=2)
    [failed] = outcomes([backend.submit(ask(), 0)])
    assert isinstance(failed, Failed)
    assert failed.code == "E-BACKEND-026"
    assert failed.message.startswith("no usable answer in 3 tries: ")
    assert told in failed.message


def test_a_server_that_asks_to_wait_too_long_is_not_waited_for(
    reach: Opening, mock_llm: Callable[..., MockLLM]
) -> None:
    backend = reach(mock_llm(faults={"429": 1.0}, retry_after=3600), retry_for=600.0)
    [failed] = outcomes([backend.submit(ask(), 0)])
    assert isinstance(failed, Failed)
    assert "the server asks to wait 3600 s" in failed.message


def test_a_server_that_asks_to_wait_too_long_does_not_hold_up_the_others(
    reach: Opening, mock_llm: Callable[..., MockLLM]
) -> None:
    backend = reach(mock_llm(first=["429"], retry_after=3600), retry_for=600.0, max_concurrency=1)
    futures = [backend.submit(ask(number), 0) for number in range(3)]
    assert [type(future.result(timeout=20)) for future in futures] == [Failed, Answer, Answer]


def test_who_rests_before_another_try_is_woken_when_all_ends(
    reach: Opening, mock_llm: Callable[..., MockLLM], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("itune_backends.remote.trying._BACKOFF", lambda state: 300.0)
    backend = reach(mock_llm(first=["500"]), max_tokens=1)
    resting = backend.submit(ask(1), 0)
    while not backend.figures().get("refused_500"):
        time.sleep(0.01)
    assert isinstance(backend.submit(ask(2), 0).result(timeout=20), Answer)
    assert not resting.done()
    for future in (backend.submit(ask(3), 0), resting):
        error = future.exception(timeout=20)
        assert isinstance(error, ModelError)
        assert error.code == "E-BACKEND-023"


def test_a_server_that_has_stopped_answering_ends_the_step(reach: Opening, mock_llm: Callable[..., MockLLM]) -> None:
    server = mock_llm(faults={"500": 1.0})
    backend = reach(server, max_retries=0)
    replies = outcomes([backend.submit(ask(number), 0) for number in range(200)])
    assert sum(isinstance(reply, Failed) for reply in replies) < 60
    assert all(reply.code in ("E-BACKEND-026", "E-BACKEND-033") for reply in replies)
    assert server.stats()["requests"] < 60


def test_a_server_that_is_not_there_ends_the_step(reach: Opening) -> None:
    backend = reach("http://127.0.0.1:9/v1", max_retries=1)
    for error in outcomes([backend.submit(ask(number), 0) for number in range(5)]):
        assert isinstance(error, ModelError)
        assert (error.code, "http://127.0.0.1:9/v1" in error.what) == ("E-BACKEND-033", True)


def test_a_wrong_key_or_model_ends_the_step_at_once(
    reach: Opening, mock_llm: Callable[..., MockLLM], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = mock_llm(models=["other"], latency_ms=50)
    unknown = reach(server)
    assert {error.code for error in outcomes([unknown.submit(ask(n), 0) for n in range(100)])} == {"E-BACKEND-022"}
    monkeypatch.setenv("WRONG_KEY", "sk-wrong-000")
    wrong = reach(server, api_key="env:WRONG_KEY")
    errors = outcomes([wrong.submit(ask(n), 0) for n in range(100)])
    assert {error.code for error in errors} == {"E-BACKEND-021"}
    assert server.stats()["requests"] <= 200 - 60  # those that waited were not sent
    assert outcomes([wrong.submit(ask(), 0)])[0].code == "E-BACKEND-021"


def test_a_request_that_the_server_does_not_take_fails_alone(reach: Opening, mock_llm: Callable[..., MockLLM]) -> None:
    backend = reach(mock_llm())
    refused, fine = outcomes([backend.submit(ask(stop=[""]), 0), backend.submit(ask(), 0)])
    assert isinstance(refused, Failed)
    assert (refused.code, "stop" in refused.message, "400" in refused.message) == ("E-BACKEND-025", True, True)
    assert isinstance(fine, Answer)


def test_no_more_is_sent_than_the_server_takes(reach: Opening, mock_llm: Callable[..., MockLLM]) -> None:
    server = mock_llm(max_at_once=10, latency_ms=15)
    backend = reach(server)
    assert all(isinstance(reply, Answer) for reply in outcomes([backend.submit(ask(n), n) for n in range(500)]))
    counted = server.stats()
    assert counted["most_at_once"] == 10
    assert counted["by_status"]["429"] < 0.05 * counted["requests"]
    assert 7 <= backend.figures()["concurrency"] <= 11


def test_no_more_is_sent_in_a_minute_than_is_allowed(reach: Opening, mock_llm: Callable[..., MockLLM]) -> None:
    server = mock_llm(rpm=1200)
    backend = reach(server, requests_per_minute=1200)
    began = time.monotonic()
    assert all(isinstance(reply, Answer) for reply in outcomes([backend.submit(ask(n), n) for n in range(40)]))
    assert time.monotonic() - began >= 39 * 60 / 1200
    assert "429" not in server.stats()["by_status"]


@pytest.mark.parametrize("setting", ["max_tokens", "max_cost"])
def test_a_budget_ends_the_step_and_is_not_overspent(
    reach: Opening, mock_llm: Callable[..., MockLLM], setting: str
) -> None:
    server = mock_llm(latency_ms=5)
    price = {"prompt": 1e6, "completion": 1e6}  # one a token, so that both budgets end at the same place
    budget: dict[str, Any] = {setting: 1000, "price": price, "max_concurrency": 4}
    backend = reach(server, Spent(300, 200), **budget)
    replies = outcomes([backend.submit(ask(number), number) for number in range(200)])
    answered = [reply for reply in replies if isinstance(reply, Answer)]
    over = [reply for reply in replies if isinstance(reply, ModelError)]
    assert len(answered) + len(over) == 200
    assert {(error.code, error.exit_code) for error in over} == {("E-BACKEND-023", 4)}
    spent = backend.charged()
    largest = max(reply.completions[0].prompt_tokens + 12 for reply in answered)
    assert 500 <= spent.prompt_tokens + spent.completion_tokens <= 500 + 4 * largest
    assert backend.figures()["cost"] == spent.prompt_tokens + spent.completion_tokens
    assert server.stats()["answered"] == len(answered)

    raised = reach(server, Spent(300, 200) + spent, **{**budget, setting: 1_000_000})
    assert all(isinstance(reply, Answer) for reply in outcomes([raised.submit(ask(n), n) for n in range(200)]))


def test_options_are_weighed_and_texts_embedded(reach: Opening, mock_llm: Callable[..., MockLLM]) -> None:
    server = mock_llm(answers=[{"match": "blue", "answer": {"Yes": 0.75, "No": 0.25}}])
    backend = reach(server)
    prompt = ask().messages
    likely, missing, vectors, rewards = outcomes(
        [
            backend.submit(Choices("mock", prompt, ["Yes", "No"]), 0),
            backend.submit(Choices("mock", prompt, ["Yes", "Zebra"]), 0),
            backend.submit(Embed("mock", ["one text"]), 0),
            backend.submit(Choices("mock", prompt, ["Yes", "No"], max_length=2), 0),
        ]
    )
    assert isinstance(likely, OptionLogProbs)
    assert likely.values == pytest.approx([math.log(0.75), math.log(0.25)])
    assert (missing.code, rewards.code) == ("E-BACKEND-028", "E-BACKEND-030")
    assert isinstance(vectors, Vectors)
    assert math.hypot(*vectors.values[0]) == pytest.approx(1)


def test_what_the_server_cannot_do_ends_the_step(reach: Opening, mock_llm: Callable[..., MockLLM]) -> None:
    answer = [message("assistant", "Yes.")]
    server = mock_llm()
    requests = {
        "E-BACKEND-029": LogProbs("mock", ask().messages, answer),
        "E-BACKEND-022": LogProbs("mock", [], answer),
        "E-BACKEND-002": Rewards("mock", ask().messages, [answer]),
    }
    for code, request in requests.items():
        [error] = outcomes([reach(server).submit(request, 0)])
        assert isinstance(error, ModelError)
        assert error.code == code


def test_a_batch_of_requests_is_answered_in_their_order(reach: Opening, mock_llm: Callable[..., MockLLM]) -> None:
    server = mock_llm()
    backend = reach(server)
    drawn, greedy = backend.generate([(ask(1), [1, 2, 1]), (ask(2, temperature=0.0), [0, 0])])
    assert isinstance(drawn, Answer)
    assert isinstance(greedy, Answer)
    assert drawn.texts[0] == drawn.texts[2] != drawn.texts[1]
    assert len(greedy.completions) == 2
    assert server.stats()["requests"] == 4  # a greedy answer is paid for once


def test_a_key_is_in_no_error_and_no_traceback(
    reach: Opening, mock_llm: Callable[..., MockLLM], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "sk-very-secret-0123456789"
    monkeypatch.setenv("SECRET_KEY", key)
    unreached = reach("http://127.0.0.1:9/v1", api_key="env:SECRET_KEY", max_retries=0)
    refused = reach(mock_llm(), api_key="env:SECRET_KEY")
    broken = reach(mock_llm(token=key, faults={"hang-up": 1.0}), api_key="env:SECRET_KEY", max_retries=0)
    for backend in (unreached, refused, broken):
        [error] = outcomes([backend.submit(ask(), 0)])
        shown = [repr(error), str(error), repr(backend.config), repr(vars(backend)), repr(backend.figures())]
        if isinstance(error, ItuneError):
            seen: BaseException | None = error
            shown += traceback.TracebackException.from_exception(error, capture_locals=True).format()
            while seen is not None:  # what a debugger would reach
                shown.append(repr(vars(seen)))
                seen = seen.__cause__ or seen.__context__
        assert key not in "".join(shown)


@pytest.mark.parametrize(
    "wrong",
    [
        {"base_url": "127.0.0.1:8000"},
        {"base_url": "ftp://host/v1"},
        {"base_url": "https://me:secret@host/v1"},
        {"base_url": "https://host/v1?key=secret"},
        {"max_cost": 1.0},
        {"max_cost": 0, "price": {"prompt": 1}},
        {"price": {"prompt": -1}},
        {"identity": ""},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        OpenAI.Config(**{"model": "m", "base_url": "https://host/v1", **wrong})


def test_a_model_is_pinned_by_what_is_said_of_it_else_by_its_address() -> None:
    def identity(**settings: Any) -> str:
        config = OpenAI.Config(**{"model": "m", "base_url": "https://host/v1/", **settings})
        return OpenAI(config).served_identity()

    assert identity() == "m https://host/v1"
    assert identity(revision="r1") == "m@r1 https://host/v1"
    assert identity(identity="sha256:12") == "m sha256:12" == identity(identity="sha256:12", base_url="http://there/v1")


def test_answers_come_as_they_are_ready(reach: Opening, mock_llm: Callable[..., MockLLM]) -> None:
    backend = reach(mock_llm(first=["hang"]), timeout=2.0)
    futures = [backend.submit(ask(number), number) for number in range(20)]
    done, slow = wait(futures, timeout=1.5)
    assert len(done) == 19
    assert Counter(future.done() for future in slow) == {False: 1}
    backend.close()
    [left] = slow
    assert left.cancelled()
