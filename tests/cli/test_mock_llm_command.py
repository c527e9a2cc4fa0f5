"""``itune mock-llm`` in a process of its own: ready when it says so, and gone when it is told to go."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import Result

Call = Callable[..., Result]
ASKED = {"model": "m", "messages": [{"role": "user", "content": "How do bees sleep?"}], "seed": 3}


@contextmanager
def serving(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "itune_core.cli.main", "mock-llm", *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    text = process.stdout.readline()
    assert text, process.communicate()[1]
    told: dict[str, Any] = json.loads(text)
    return told


def ask(told: dict[str, Any], **fields: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {told['token']}"} if told["token"] else {}
    return httpx.post(f"{told['base_url']}/chat/completions", json={**ASKED, **fields}, headers=headers, timeout=60)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=str)
def test_it_serves_until_it_is_told_to_end(number: signal.Signals) -> None:
    with serving("--json", "--first", "429", "--retry-after", "3") as process:
        told = read(process)
        assert {*told} == {"base_url", "token", "stats"}
        refused, answered = ask(told), ask(told)
        headers = {"Authorization": f"Bearer {told['token']}"}
        assert httpx.get(told["stats"], headers=headers).json()["requests"] == 2
        process.send_signal(number)
        counts = read(process)
        assert process.wait(60) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert (refused.status_code, refused.headers["retry-after"], answered.status_code) == (429, "3", 200)
    assert counts["by_status"] == {"200": 1, "429": 1}


def test_another_process_answers_the_same_and_the_token_is_taken_from_the_environment() -> None:
    found = []
    for _ in range(2):
        with serving("--json", "--token", "env:BEES", "--latency-ms", "1", BEES="a-secret") as process:
            told = read(process)
            assert told["token"] == "a-secret"
            found.append(ask(told).json()["choices"])
    assert found[0] == found[1]


def test_every_option_reaches_the_server(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("- {match: sleep, answer: At night.}\n")
    options = ["--answers", str(rules), "--model", "m", "--model", "n", "--fault", "500=0.0", "--fault", "429=0"]
    options += ["--rpm", "2", "--tpm", "1000", "--max-at-once", "5", "--batch-ms", "5", "--drip-ms", "1"]
    with serving("--json", "--no-token", *options, "--jitter-ms", "1", "--seed", "4", "--port", "0") as process:
        told = read(process)
        assert told["token"] is None
        answer = ask(told)
        assert answer.json()["choices"][0]["message"]["content"] == "At night."
        assert answer.headers["x-ratelimit-limit-requests"] == "2"
        assert answer.headers["x-ratelimit-limit-tokens"] == "1000"
        assert ask(told, model="o").status_code == 404
        assert ask(told).status_code == 429


def test_without_json_it_is_readable() -> None:
    with serving() as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
    assert [text.split()[0] for text in lines] == ["base_url", "token", "stats"]
    assert "requests" in rest


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--fault", "418=0.1"], "E-MOCK-001"),
        (["--fault", "429=2"], "E-MOCK-002"),
        (["--fault", "429"], "E-MOCK-007"),
        (["--fault", "429=x"], "E-MOCK-007"),
        (["--answers", "absent.yaml"], "E-MOCK-004"),
        (["--token", "in the open"], "E-MOCK-008"),
        (["--token", "env:ABSENT_BEES"], "E-MOCK-008"),
        (["--token", "file:absent"], "E-MOCK-008"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_a_wrong_command_line_is_told_what_is_wrong(call: Call, arguments: list[str], code: str) -> None:
    assert code in call("mock-llm", *arguments, code=2).stderr
