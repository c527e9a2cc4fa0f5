"""Who may send when, in virtual time: a server is simulated, minutes pass in none."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from itune_backends.remote.admission import Admission
from itune_backends.remote.concurrency import FIRST, Limit
from itune_backends.remote.pace import Pace
from itune_core.api import ModelError

LATENCY = 0.2
T = TypeVar("T")


class Jumping(selectors.DefaultSelector):
    """Does not wait; what it was to wait, it adds to a clock."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready and timeout:
            self.now += timeout
        return ready


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` in an event loop whose clock begins at 0 and jumps to the next thing there is to do."""
    selector = Jumping()
    loop = asyncio.SelectorEventLoop(selector)
    loop.time = lambda: selector.now  # type: ignore[method-assign]
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


class Server:
    """Answers each request after `LATENCY`, and turns away at once those beyond `at_once`."""

    def __init__(self, admission: Admission, at_once: int | None = None) -> None:
        self.admission, self.at_once = admission, at_once
        self.now = self.most = self.sent = self.refused = 0
        self.limits: list[int] = []

    async def ask(self) -> None:
        again = False
        while True:
            ticket = await self.admission.enter(0, again=again)
            self.sent += 1
            self.limits.append(self.admission.limit.size)
            if self.at_once is not None and self.now >= self.at_once:
                self.refused += 1
                await asyncio.sleep(0.001)
                self.admission.leave(ticket, True)
                await asyncio.sleep(0.3)
                again = True
                continue
            self.now += 1
            self.most = max(self.most, self.now)
            await asyncio.sleep(LATENCY)
            self.now -= 1
            self.admission.leave(ticket, False)
            return


def simulate(requests: int, *, most: int = 64, at_once: int | None = None) -> tuple[Server, float]:
    """A server that was asked so often, and the seconds it took."""

    async def work() -> tuple[Server, float]:
        server = Server(Admission(most, None, None), at_once)
        await asyncio.gather(*(server.ask() for _ in range(requests)))
        return server, asyncio.get_running_loop().time()

    return run(work())


@pytest.mark.parametrize("most", [16, 32, 64])
def test_without_a_limit_requests_take_little_longer_than_the_connections_need(most: int) -> None:
    server, seconds = simulate(500, most=most)
    assert server.most == most
    assert seconds < 1.3 * 500 * LATENCY / most


@pytest.mark.parametrize("at_once", [5, 10, 24])
def test_it_settles_at_what_the_server_takes(at_once: int) -> None:
    server, seconds = simulate(1000, at_once=at_once)
    settled = server.limits[300:]
    assert server.most == at_once
    assert abs(sum(settled) / len(settled) - at_once) < 0.15 * at_once
    assert server.refused < 0.05 * server.sent
    assert seconds < 1.3 * 1000 * LATENCY / at_once


def test_with_500_requests_to_a_server_of_ten_few_are_refused() -> None:
    server, _ = simulate(500, at_once=10)
    assert 0 < server.refused < 0.05 * server.sent


def test_it_finds_out_when_a_server_takes_more_again() -> None:
    async def work() -> Server:
        server = Server(Admission(64, None, None), at_once=4)
        await asyncio.gather(*(server.ask() for _ in range(300)))
        server.at_once = None
        await asyncio.gather(*(server.ask() for _ in range(3000)))
        return server

    assert run(work()).most > 20


def test_one_burst_is_one_refusal() -> None:
    limit = Limit(64)
    tickets = [limit.ticket(number) for number in range(1, FIRST + 1)]
    for ticket in tickets:
        limit.refused(ticket)
    assert limit.size == FIRST // 2  # and not 0.75 to the 16th of it


def test_it_neither_ends_nor_grows_without_need() -> None:
    limit = Limit(8)
    for _ in range(50):
        limit.refused(limit.ticket(1))
    assert limit.size == 1
    for _ in range(100):
        limit.succeeded(limit.ticket(1), held_up=False)
    assert limit.size == 1
    for _ in range(100):
        limit.succeeded(limit.ticket(1), held_up=True)
    assert limit.size == 8


@pytest.mark.parametrize("per_minute", [1, 7, 60, 600])
def test_no_minute_has_more_than_its_requests(per_minute: int) -> None:
    async def work() -> list[float]:
        admission = Admission(64, per_minute, None)
        sent = []

        async def ask() -> None:
            ticket = await admission.enter(0)
            sent.append(asyncio.get_running_loop().time())
            await asyncio.sleep(0.01)
            admission.leave(ticket, False)

        await asyncio.gather(*(ask() for _ in range(2 * per_minute + 1)))
        return sent

    sent = run(work())
    assert sent[-1] == pytest.approx(120)
    for start in sent:
        assert sum(start <= time < start + 59.999 for time in sent) <= per_minute


def test_tokens_are_counted_and_guesses_corrected() -> None:
    pace = Pace(600)
    pace.take(100, now=5.0)  # thought to be 100: ten seconds' worth
    assert pace.ready == pytest.approx(15.0)
    pace.correct(-70)
    assert pace.ready == pytest.approx(8.0)
    pace.take(10, now=30.0)  # a pause saves nothing up
    assert pace.ready == pytest.approx(31.0)


def test_all_wait_when_the_server_asks_to() -> None:
    async def work() -> list[float]:
        admission = Admission(4, None, None)
        times = []

        async def ask(number: int) -> None:
            ticket = await admission.enter(0)
            times.append(asyncio.get_running_loop().time())
            await asyncio.sleep(1)
            if number == 0:
                admission.be_quiet(30)
            admission.leave(ticket, number == 0)

        await asyncio.gather(*(ask(number) for number in range(6)))
        return times

    assert run(work()) == pytest.approx([0, 0, 0, 0, 31, 31])


def test_what_was_sent_before_goes_first() -> None:
    async def work() -> list[str]:
        admission = Admission(1, None, None)
        order = []

        async def ask(name: str, again: bool) -> None:
            ticket = await admission.enter(0, again=again)
            order.append(name)
            await asyncio.sleep(1)
            admission.leave(ticket, False)

        await asyncio.gather(ask("first", False), ask("new", False), ask("again", True))
        return order

    assert run(work()) == ["first", "again", "new"]


def test_who_waits_is_told_that_all_is_over_and_who_gives_up_leaves_no_gap() -> None:
    async def work() -> list[Any]:
        admission = Admission(1, None, None)
        ticket = await admission.enter(0)
        impatient, patient = (asyncio.ensure_future(admission.enter(0)) for _ in range(2))
        await asyncio.sleep(0)
        impatient.cancel()
        admission.leave(ticket, False)
        admission.leave(await patient, False)
        assert admission.in_flight == 0
        await admission.enter(0)
        waiting = [asyncio.ensure_future(admission.enter(0)) for _ in range(2)]
        await asyncio.sleep(0)
        admission.halt(ModelError("E-BACKEND-023", "the budget is spent"))
        late = asyncio.ensure_future(admission.enter(0))
        return await asyncio.gather(*waiting, late, return_exceptions=True)

    errors = run(work())
    assert [error.code for error in errors] == ["E-BACKEND-023"] * 3
    assert len({id(error) for error in errors}) == 3
