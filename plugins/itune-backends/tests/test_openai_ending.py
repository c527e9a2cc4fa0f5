"""How a step with a served model ends before its time: what was sent is answered and kept, and nothing more is sent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any

import pytest

from itune_backends.openai_backend import OpenAI
from itune_core.api import Answer, Ask, ItuneError, message
from itune_core.testing import MockLLM

Opening = Callable[..., OpenAI]
Serving = Callable[..., MockLLM]

AT_ONCE = 4

RECIPE = """
itune: 1
name: ending
vars: {teacher: "", other: "", key: ""}
models:
  teacher: {backend: openai, model: one, base_url: "${vars.teacher}", api_key: env:RIGHT, max_concurrency: 4}
  other: {backend: openai, model: two, base_url: "${vars.other}", api_key: "${vars.key}"}
steps:
  rows: {uses: formatters/dolly, with: {path: rows.jsonl}}
  answered:
    uses: generators/distill
    from: rows
    with: {model: [{model: teacher, share: 3}, {model: other}], max_tokens: 8, unfinished: keep, temperature: 0.7}
"""
ROWS = 24


@pytest.fixture
def reach(monkeypatch: pytest.MonkeyPatch) -> Iterator[Opening]:
    """Opens a backend that asks a server; the test's end closes it."""
    opened: list[OpenAI] = []

    def make(server: MockLLM, **settings: Any) -> OpenAI:
        monkeypatch.setenv("MOCK_KEY", server.token or "none")
        how = {"model": "mock", "base_url": server.base_url, "api_key": "env:MOCK_KEY", "max_concurrency": AT_ONCE}
        opened.append(OpenAI(OpenAI.Config(**{**how, **settings})))
        opened[-1].open(None)
        return opened[-1]

    yield make
    for backend in opened:
        backend.close()


@pytest.fixture(autouse=True)
def _interruptible() -> Iterator[None]:
    """Ctrl-C counts, also where the tests were begun in a shell's background, which has them ignore it, and with them
    what they start."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def submitted(backend: OpenAI, count: int) -> list[Future[Any]]:
    asks = [Ask("mock", [message("user", f"Question number {number}?")], max_tokens=8) for number in range(count)]
    return [backend.submit(ask, 0) for ask in asks]


def codes(futures: list[Future[Any]]) -> list[str]:
    """What those futures raise that give no answer."""
    assert not wait(futures, timeout=30).not_done
    errors = [future.exception() for future in futures if not isinstance(future.exception() or future.result(), Answer)]
    return [error.code for error in errors if isinstance(error, ItuneError)]


def until(true: Callable[[], Any]) -> None:
    while not true():
        time.sleep(0.01)


def test_what_is_on_its_way_is_answered_and_what_waits_is_not_sent(reach: Opening, mock_llm: Serving) -> None:
    server = mock_llm(latency_ms=400)
    backend = reach(server)
    futures = submitted(backend, 12)
    until(lambda: server.stats()["at_once"] == AT_ONCE)
    backend.drain()
    assert codes(futures) == ["E-BACKEND-037"] * (12 - AT_ONCE)
    assert server.stats()["answered"] == server.stats()["requests"] == AT_ONCE
    assert codes(submitted(backend, 1)) == ["E-BACKEND-037"]


def test_what_rests_before_another_try_is_not_tried(
    reach: Opening, mock_llm: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("itune_backends.remote.trying._BACKOFF", lambda state: 300.0)
    server = mock_llm(faults={"500": 1.0})
    backend = reach(server)
    futures = submitted(backend, 2)
    until(lambda: backend.figures().get("refused_500") == 2)
    backend.drain()
    assert codes(futures) == ["E-BACKEND-037"] * 2
    assert server.stats()["requests"] == 2


@pytest.mark.parametrize("begun", [False, True])
def test_a_batch_is_neither_begun_nor_waited_for(
    reach: Opening, mock_llm: Serving, monkeypatch: pytest.MonkeyPatch, begun: bool
) -> None:
    """The server goes on with one that it has; the next run finds it there."""
    monkeypatch.setattr("itune_backends.remote.batches.QUIET", 0.1)
    monkeypatch.setattr("itune_backends.remote.batches.POLLS", (300.0, 300.0))
    server = mock_llm(batch_ms=300_000)
    backend = reach(server, batch=True)
    futures = submitted(backend, 3)
    if begun:
        until(lambda: any(path.startswith("GET /v1/batches/") for path in server.stats()["by_path"]))
    backend.drain()
    assert codes(futures) == ["E-BACKEND-037"] * 3
    assert server.stats()["by_path"].get("POST /v1/batches", 0) == int(begun)


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts the recipe in a folder of the test."""
    rows = [
        {"instruction": f"Question number {number}?", "context": "", "response": "Because.", "category": "open_qa"}
        for number in range(ROWS)
    ]
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def make(teacher: MockLLM, other: MockLLM, key: str = "env:RIGHT") -> subprocess.Popen[str]:
        settings = {"teacher": teacher.base_url, "other": other.base_url, "key": key}
        changes = [part for name, value in settings.items() for part in ("--set", f"vars.{name}={value}")]
        return subprocess.Popen(
            [Path(sys.executable).parent / "itune", "run", "recipe.yaml", *changes],
            cwd=tmp_path,
            env={**os.environ, "RIGHT": str(teacher.token), "WRONG": "sk-wrong"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return make


def test_the_answers_of_a_healthy_server_are_kept_when_another_refuses(
    start: Callable[..., subprocess.Popen[str]], mock_llm: Serving
) -> None:
    teacher = mock_llm(token="sk-right", latency_ms=1000)
    other = mock_llm(token="sk-right")
    output, _ = (failed := start(teacher, other, "env:WRONG")).communicate(timeout=120)
    assert (failed.returncode, "E-BACKEND-021" in output) == (4, True), output
    before = teacher.stats()
    assert 1 <= before["answered"] == before["requests"] <= AT_ONCE
    output, _ = (done := start(teacher, other)).communicate(timeout=120)
    assert done.returncode == 0, output
    assert teacher.stats()["asked_again"] == 0
    assert teacher.stats()["answered"] + other.stats()["answered"] == ROWS


@pytest.mark.slow
def test_ctrl_c_waits_for_what_is_on_its_way_and_twice_does_not(
    start: Callable[..., subprocess.Popen[str]], mock_llm: Serving
) -> None:
    teacher = mock_llm(token="sk-right", latency_ms=1500)
    interrupted = start(teacher, teacher)
    until(lambda: teacher.stats()["at_once"] >= AT_ONCE)
    interrupted.send_signal(signal.SIGINT)
    output, _ = interrupted.communicate(timeout=120)
    assert interrupted.returncode == 130
    assert "waiting for answers on their way" in output
    first = teacher.stats()
    assert first["answered"] == first["requests"] >= AT_ONCE
    assert first["given_up"] == 0

    slow = mock_llm(token="sk-right", latency_ms=300_000)
    twice = start(slow, slow)
    until(lambda: slow.stats()["at_once"] >= AT_ONCE)
    twice.send_signal(signal.SIGINT)
    assert twice.stdout is not None
    assert any("waiting for answers" in line for line in twice.stdout)
    twice.send_signal(signal.SIGINT)
    twice.communicate(timeout=60)
    assert twice.returncode == 130
    assert slow.stats()["answered"] == 0

    done = start(teacher, teacher)
    output, _ = done.communicate(timeout=120)
    assert done.returncode == 0, output
    assert teacher.stats()["asked_again"] == 0
