"""A recipe whose teacher is served: nothing lost under faults, nothing asked twice after a kill, budgets, secrets."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import datasets
import pytest

from itune_core.testing import MockLLM

KEY = "sk-end-to-end-0123456789"
FAULTS = {"429": 0.10, "garbage": 0.05, "hang": 0.02, "500": 0.01}
Serving = Callable[..., MockLLM]

RECIPE = """
itune: 1
name: served
vars: {{url: "", tokens: 1000000000}}
models:
  teacher:
    backend: openai
    base_url: "${{vars.url}}"
    identity: the test server
    model: mock
    api_key: env:TEACHER_KEY
    max_tokens: "${{vars.tokens}}"
    timeout: {timeout}
    max_concurrency: 16
steps:
  rows: {{uses: formatters/dolly, with: {{path: rows.jsonl}}}}
  answered:
    uses: generators/distill
    from: rows
    with: {{model: teacher, max_tokens: 16, unfinished: keep, temperature: 0.7}}
"""


def project(folder: Path, rows: int, timeout: float = 60.0) -> Path:
    """A folder with a recipe and so many rows to answer."""
    folder.mkdir()
    lines = [
        {"instruction": f"Question number {number}?", "context": "", "response": "Because.", "category": "open_qa"}
        for number in range(rows)
    ]
    (folder / "rows.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "recipe.yaml").write_text(RECIPE.format(timeout=timeout))
    return folder


def start(folder: Path, url: str, key: str = KEY, **settings: object) -> subprocess.Popen[str]:
    changes = [part for name, value in {"url": url, **settings}.items() for part in ("--set", f"vars.{name}={value}")]
    return subprocess.Popen(
        [Path(sys.executable).parent / "itune", "run", "recipe.yaml", *changes],
        cwd=folder,
        env={**os.environ, "TEACHER_KEY": key},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(folder: Path, url: str, key: str = KEY, **settings: object) -> tuple[int, str]:
    """Exit status and output of ``itune run``."""
    process = start(folder, url, key, **settings)
    output, _ = process.communicate()
    return process.returncode, output


def answers(folder: Path) -> dict[str, str]:
    """What was answered, by question."""
    found = {}
    for place in folder.glob(".itune/store/*/*/**/dataset_info.json"):
        rows = datasets.load_from_disk(place.parent)
        if "messages" in rows.column_names:
            for messages in rows["messages"]:
                if messages[-1]["content"] != "Because.":
                    found[messages[0]["content"]] = messages[-1]["content"]
    return found


def test_a_budget_stops_the_run_and_more_of_it_resumes(tmp_path: Path, mock_llm: Serving) -> None:
    server = mock_llm(token=KEY, latency_ms=5)
    folder = project(tmp_path / "p", 120)
    code, output = run(folder, server.base_url, tokens=600)
    first = server.stats()
    assert (code, "E-BACKEND-023" in output) == (4, True), output
    spent = first["prompt_tokens"] + first["completion_tokens"]
    assert 600 <= spent <= 600 + 16 * 25
    assert first["answered"] < 60

    code, output = run(folder, server.base_url, tokens=600)  # all of it was spent before
    assert (code, "E-BACKEND-023" in output) == (4, True), output
    assert server.stats()["requests"] == first["requests"]

    code, output = run(folder, server.base_url)
    assert code == 0, output
    last = server.stats()
    assert (last["answered"], last["asked_again"]) == (120, 0)
    assert len(answers(folder)) == 120


def test_a_key_is_in_no_file_and_no_output(tmp_path: Path, mock_llm: Serving) -> None:
    folder = project(tmp_path / "p", 10)
    refused, output = run(folder, mock_llm(token="another").base_url)
    assert (refused, "E-BACKEND-021" in output) == (4, True), output
    repeating = [{"match": "number [0-4]", "answer": f"Never tell {KEY}."}]
    done, more = run(folder, mock_llm(token=KEY, faults={"500": 0.2}, answers=repeating).base_url)
    assert done == 0, more
    assert sum(text == "Never tell [key]." for text in answers(folder).values()) == 5
    assert KEY not in output + more
    places = [place for place in folder.rglob("*") if place.is_file()]
    assert len(places) > 10
    assert [place for place in places if KEY.encode() in place.read_bytes()] == []


@pytest.mark.slow
def test_under_faults_every_record_ends_once(tmp_path: Path, mock_llm: Serving) -> None:
    calm, rough = project(tmp_path / "calm", 500), project(tmp_path / "rough", 500, timeout=2.0)
    quiet = mock_llm(token=KEY)
    assert run(calm, quiet.base_url)[0] == 0
    server = mock_llm(token=KEY, faults=FAULTS, retry_after=0, latency_ms=10)
    code, output = run(rough, server.base_url)
    assert code == 0, output
    counted = server.stats()
    assert set(counted["by_fault"]) == set(FAULTS)
    assert (counted["questions"], counted["answered"], counted["answered_again"]) == (500, 500, 0)
    assert len(answers(calm)) == 500
    assert answers(rough) == answers(calm)


@pytest.mark.slow
def test_killed_ten_times_it_asks_nothing_twice(tmp_path: Path, mock_llm: Serving) -> None:
    """What is answered is not asked again; what was on its way when the run was killed is."""
    undisturbed, killed = project(tmp_path / "undisturbed", 500), project(tmp_path / "killed", 500)
    assert run(undisturbed, mock_llm(token=KEY).base_url)[0] == 0
    server = mock_llm(token=KEY, latency_ms=150)
    chance = random.Random(7)
    for _ in range(10):
        kept, sent = answered(killed), len(server.requests())
        wanted = server.stats()["answered"] + chance.randint(5, 40)
        process = start(killed, server.base_url)
        while process.poll() is None and server.stats()["answered"] < wanted:
            time.sleep(0.01)
        time.sleep(chance.random() * 0.2)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert not kept & {question(json.loads(each.body)["messages"]) for each in server.requests()[sent:]}
        assert answered(killed) > kept
    assert len(kept) < 450  # there was something left to be killed in
    assert run(killed, server.base_url)[0] == 0
    assert answers(killed) == answers(undisturbed)
    counted = server.stats()
    assert counted["answered"] - 500 <= 10 * 16  # sixteen are on their way at a time


def question(messages: list[dict[str, str]]) -> str:
    return messages[-1]["content"]


def answered(folder: Path) -> set[str]:
    """The questions whose answers the project's journal holds."""
    journal = folder / ".itune" / "journal.sqlite"
    if not journal.exists():
        return set()
    database = sqlite3.connect(journal)
    try:
        return {question(json.loads(asked)["ask"]) for (asked,) in database.execute("SELECT question FROM answers")}
    finally:
        database.close()
