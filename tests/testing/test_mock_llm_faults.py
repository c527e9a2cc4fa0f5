"""What the test server does wrong on demand, how often, and how much it bears."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from itune_core.testing import MockLLM
from itune_core.testing.mock_llm.faults import NOT_JSON, OTHER_FORM, Faults
from itune_core.testing.mock_llm.limits import Limits
from itune_core.testing.mock_llm.settings import FAULTS, Settings

Start = Callable[..., MockLLM]


def question(text: str) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}]}


def post(server: MockLLM, text: str = "bees", timeout: float | httpx.Timeout = 30, **fields: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {server.token}"}
    body = {**question(text), **fields}
    # Without certificates, which take longer to load than the answer takes.
    with httpx.Client(headers=headers, timeout=timeout, verify=False) as http:
        return http.post(f"{server.base_url}/chat/completions", json=body)


@pytest.mark.parametrize(("fault", "seconds"), [("429", 7), ("429-date", 90)])
def test_a_refusal_says_how_long_to_wait(mock_llm: Start, fault: str, seconds: int) -> None:
    response = post(mock_llm(faults={fault: 1}, retry_after=seconds))
    assert response.status_code == 429
    assert response.json()["error"]["code"] == "rate_limit_exceeded"
    told = response.headers["retry-after"]
    if fault == "429":
        assert told == "7"
    else:
        left = parsedate_to_datetime(told).timestamp() - time.time()
        assert 0 < left <= seconds + 1


def test_an_error_of_the_server(mock_llm: Start) -> None:
    response = post(mock_llm(faults={"500": 1}))
    assert response.status_code == 500
    assert response.json()["error"]["type"] == "server_error"


def test_garbage_answers_nothing_in_every_way_it_has(mock_llm: Start) -> None:
    server = mock_llm(faults={"garbage": 1})
    found = set()
    for number in range(100):
        response = post(server, f"bees {number}")
        assert response.status_code == 200
        found.add(response.content)
    assert found == {*NOT_JSON, *OTHER_FORM}
    for body in NOT_JSON:
        with pytest.raises(ValueError):
            json.loads(body)
    for body in OTHER_FORM:
        with pytest.raises((TypeError, KeyError, IndexError, AssertionError)):
            assert isinstance(json.loads(body)["choices"][0]["message"]["content"], str)


@pytest.mark.parametrize("stream", [False, True])
def test_a_truncated_body_breaks_off_half_way(mock_llm: Start, stream: bool) -> None:
    server = mock_llm(first=["truncate"])
    with pytest.raises(httpx.RemoteProtocolError, match=r"incomplete|without sending complete"):
        post(server, stream=stream)
    assert post(server, stream=stream).status_code == 200
    assert server.stats()["by_status"] == {"200": 2}
    assert server.stats()["answered"] == 1


def test_a_hang_up_is_a_connection_closed_without_a_reply(mock_llm: Start) -> None:
    server = mock_llm(faults={"hang-up": 1})
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        post(server)
    assert server.stats()["by_status"] == {}
    assert server.stats()["by_fault"] == {"hang-up": 1}


def test_a_hanging_request_ends_when_the_client_gives_up(mock_llm: Start) -> None:
    server = mock_llm(first=["hang"])
    with pytest.raises(httpx.ReadTimeout):
        post(server, timeout=httpx.Timeout(30, read=0.2))
    assert post(server).status_code == 200
    stats = server.stats()
    assert (stats["given_up"], stats["at_once"], stats["by_status"]) == (1, 0, {"200": 1})


def test_a_dripping_reply_is_right_in_the_end(mock_llm: Start) -> None:
    server = mock_llm(first=["drip", "none"], drip_ms=0.2)
    sizes = []
    headers = {"Authorization": f"Bearer {server.token}"}
    with httpx.stream(
        "POST", f"{server.base_url}/chat/completions", json=question("bees"), headers=headers
    ) as response:
        for part in response.iter_raw():
            sizes.append(len(part))
    whole = post(server)
    assert sum(sizes) == len(whole.content)
    assert len(sizes) > 10
    assert server.stats()["answered"] == 2


def test_latency_is_waited_for_and_varies_as_told() -> None:
    """By the reply's own plan, not by the clock of a busy machine."""
    from itune_core.testing.mock_llm.http1 import Request
    from itune_core.testing.mock_llm.service import Service

    service = Service(Settings(latency_ms=200, jitter_ms=100, auth=False), None)
    delays = []
    for number in range(200):
        body = json.dumps(question(str(number))).encode()
        reply = service.reply(Request("POST", "/v1/chat/completions", {}, body, True))
        service.done(reply)
        delays.append(reply.delay)
    assert 0.2 <= min(delays) < 0.21
    assert 0.29 < max(delays) < 0.3
    assert len({*delays}) == 200


def test_a_delay_is_really_waited_for(mock_llm: Start) -> None:
    server = mock_llm(latency_ms=150)
    began = time.monotonic()
    post(server)
    assert time.monotonic() - began >= 0.15


def test_shares_are_met_and_no_request_has_two_faults() -> None:
    shares = dict.fromkeys(FAULTS, 0.1)
    faults = Faults(Settings(faults=shares))
    step = 2**64 // 10_000
    found = Counter(faults.draw(number * step) for number in range(10_000))
    assert found.total() == 10_000
    assert {name: found[name] for name in FAULTS} == pytest.approx(dict.fromkeys(FAULTS, 1_000), abs=2)
    assert Faults(Settings(faults={"429": 0.5, "500": 0.5})).draw(2**64 - 1) == "500"


def statuses(server: MockLLM, texts: list[str]) -> dict[str, list[int]]:
    """What each text is answered, twice, asked by several at once."""

    def twice(text: str) -> list[int]:
        return [post(server, text).status_code for _ in range(2)]

    with ThreadPoolExecutor(8) as pool:
        return dict(zip(texts, pool.map(twice, texts), strict=True))


def test_which_request_has_a_fault_depends_neither_on_order_nor_on_the_process(mock_llm: Start) -> None:
    shares, texts = {"429": 0.2, "500": 0.2}, [f"bees {number}" for number in range(60)]
    one = statuses(mock_llm(faults=shares, seed=1), texts)
    assert one == statuses(mock_llm(faults=shares, seed=1), texts[::-1])
    assert one != statuses(mock_llm(faults=shares, seed=2), texts)
    assert any(first != 200 and second == 200 for first, second in one.values()), "asked again, another draw"
    counted = Counter(status for pair in one.values() for status in pair)
    assert all(8 < counted[status] < 40 for status in (429, 500)), counted


def wait_until(server: MockLLM, open_ones: int) -> None:
    """Until so many questions wait for an answer that never comes."""
    while server.stats()["at_once"] < open_ones:
        time.sleep(0.01)


def test_more_than_the_most_at_once_are_refused(mock_llm: Start) -> None:
    server = mock_llm(max_at_once=3, first=["hang"] * 3)
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(post, server, f"bees {number}") for number in range(3)]
        wait_until(server, 3)
        assert [post(server, text).status_code for text in ("one", "two")] == [429, 429]
        stats = server.stats()
        server.stop()
        assert all(isinstance(one.exception(), httpx.TransportError) for one in waiting)
    assert (stats["most_at_once"], stats["by_status"]) == (3, {"429": 2})


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("limit", ["rpm", "tpm"])
def test_a_minute_is_used_up_and_comes_back_evenly(limit: str) -> None:
    clock, cost = Clock(), {"rpm": 1, "tpm": 10}[limit]
    limits = Limits(Settings(rpm=60) if limit == "rpm" else Settings(tpm=600), clock)
    assert [limits.admit(10)[0] for _ in range(60)] == [0.0] * 60
    wait, what = limits.admit(10)
    assert (wait, what) == (pytest.approx(1.0), {"rpm": "requests", "tpm": "tokens"}[limit])
    clock.now += 0.5
    assert limits.admit(10)[0] == pytest.approx(0.5)
    clock.now += 0.5
    assert limits.admit(10)[0] == 0.0
    clock.now += 3_600
    told = limits.headers()
    assert told[f"x-ratelimit-remaining-{what}"] == told[f"x-ratelimit-limit-{what}"] == str(60 * cost)


def test_a_request_larger_than_a_minute_is_let_in_when_nothing_else_was() -> None:
    clock = Clock()
    limits = Limits(Settings(tpm=60), clock)
    assert limits.admit(600)[0] == 0.0
    assert limits.admit(1)[0] == pytest.approx(541)


@pytest.mark.parametrize("limit", [{"rpm": 2}, {"tpm": 150}], ids=str)
def test_beyond_a_limit_the_headers_say_when(mock_llm: Start, limit: Mapping[str, int]) -> None:
    server = mock_llm(**limit, answers=[{"answer": "buzz " * 70}])
    allowed, refused = post(server), [post(server, str(number)) for number in range(3)][-1]
    (what, size), name = next(iter(limit.items())), "requests" if "rpm" in limit else "tokens"
    assert allowed.headers[f"x-ratelimit-limit-{name}"] == str(size), what
    assert refused.status_code == 429
    assert refused.headers[f"x-ratelimit-remaining-{name}"] == "0" or "tpm" in limit
    seconds, milliseconds = int(refused.headers["retry-after"]), int(refused.headers["retry-after-ms"])
    assert 0 <= seconds - milliseconds / 1000 < 1


def test_five_hundred_at_once(mock_llm: Start) -> None:
    """Over bare sockets: what is tried is what the server bears, not a client."""
    server = mock_llm(first=["none"] * 500 + ["hang"] * 500, auth=False)

    def spelt(number: int) -> bytes:
        body = json.dumps(question(f"bees {number}")).encode()
        return b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)

    async def ask_all() -> list[bytes]:
        wires = await asyncio.gather(*(asyncio.open_connection("127.0.0.1", server.port) for _ in range(500)))
        for number, (_, writer) in enumerate(wires):
            writer.write(spelt(number))
        heads = [await reader.readuntil(b"\r\n\r\n") for reader, _ in wires]
        for number, (_, writer) in enumerate(wires):
            writer.write(spelt(number))
        await asyncio.to_thread(wait_until, server, 500)
        for _, writer in wires:
            writer.close()
        return heads

    heads = asyncio.run(ask_all())
    assert all(head.startswith(b"HTTP/1.1 200 OK\r\n") for head in heads)
    stats = server.stats()
    expected = {"requests": 1000, "answered": 500, "asked_again": 500, "connections": 500, "most_at_once": 500}
    assert {name: stats[name] for name in expected} == expected


def test_a_connection_is_used_again_and_what_comes_early_is_answered_in_turn(mock_llm: Start) -> None:
    server = mock_llm(auth=False, latency_ms=20)
    with httpx.Client(base_url=server.base_url) as http:
        for number in range(5):
            http.post("/chat/completions", json=question(str(number)))
    assert server.stats()["connections"] == 1
    body = json.dumps(question("early")).encode()
    first = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    second = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as wire:
        wire.sendall(first + second)
        wire.settimeout(30)
        received = b"".join(iter(lambda: wire.recv(65536), b""))
    assert received.count(b"HTTP/1.1 200 OK") == 2
    assert received.index(b"chat.completion") < received.index(b'"owned_by"')


def test_the_counts_are_told_and_asking_for_them_changes_nothing(mock_llm: Start) -> None:
    server = mock_llm(first=["none", "500"])
    for text in ("one", "two", "one"):
        post(server, text)
    headers = {"Authorization": f"Bearer {server.token}"}
    told = [httpx.get(f"{server.url}/stats", headers=headers).json() for _ in range(2)]
    assert told[0] == {**told[1], "connections": told[0]["connections"]}
    expected = {"requests": 3, "questions": 2, "asked_again": 1, "answered": 2, "answered_again": 1}
    assert {name: told[0][name] for name in expected} == expected
    assert told[0]["by_status"] == {"200": 2, "500": 1}
    assert told[0]["by_path"] == {"POST /v1/chat/completions": 3}
    assert told[0]["prompt_tokens"] == 2
    assert [(seen.status, seen.fault) for seen in server.requests()] == [(200, None), (500, "500"), (200, None)]


def test_stopping_closes_what_hangs_and_keeps_the_counts(mock_llm: Start) -> None:
    server = mock_llm(faults={"hang": 1})
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(post, server)
        wait_until(server, 1)
        server.stop()
        with pytest.raises(httpx.TransportError):
            waiting.result()
    assert server.stats()["requests"] == 1
    with pytest.raises(httpx.ConnectError):
        post(server)
    server.stop()
