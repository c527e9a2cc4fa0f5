"""The journal: what was paid for is kept, what differs is asked."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_core.engine.journal import Journal

ASKED = {
    "ask": [{"role": "user", "content": "Hi"}],
    "max_tokens": 8,
    "temperature": 1.0,
    "top_p": 1.0,
    "stop": [],
    "draw": 0,
    "seed": 1,
}


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal(tmp_path / "journal.sqlite")
    yield opened
    opened.close()


@pytest.mark.parametrize("field", sorted(ASKED))
def test_every_part_of_a_question_is_in_its_key(field: str) -> None:
    other = {**ASKED, field: "something else"}
    assert Journal.key("model", ASKED) != Journal.key("model", other)


def test_the_model_is_in_the_key() -> None:
    assert Journal.key("one", ASKED) != Journal.key("two", ASKED)


def test_the_first_answer_stays(journal: Journal) -> None:
    key = Journal.key("m", ASKED)
    journal.put([(key, "m", ASKED, {"text": "first"})])
    journal.put([(key, "m", ASKED, {"text": "second"})])
    assert journal.get([key, "unknown"]) == {key: {"text": "first"}}


LEAVES = st.text() | st.floats(allow_nan=False) | st.none()


@given(answers=st.dictionaries(st.text(max_size=8), st.recursive(LEAVES, st.lists, max_leaves=4), max_size=6))
def test_answers_come_back_as_they_were(tmp_path_factory: pytest.TempPathFactory, answers: dict[str, object]) -> None:
    journal = Journal(tmp_path_factory.mktemp("journal") / "journal.sqlite")
    try:
        journal.put([(Journal.key("m", {"q": name}), "m", {"q": name}, answer) for name, answer in answers.items()])
        found = journal.get([Journal.key("m", {"q": name}) for name in answers])
        assert found == {Journal.key("m", {"q": name}): answer for name, answer in answers.items()}
    finally:
        journal.close()


def test_many_writers_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"

    def write(writer: int) -> None:
        journal = Journal(path)
        for number in range(50):
            question = {"writer": writer, "number": number}
            journal.put([(Journal.key("m", question), "m", question, number)])
        journal.close()

    threads = [Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal = Journal(path)
    keys = [Journal.key("m", {"writer": writer, "number": number}) for writer in range(4) for number in range(50)]
    assert len(journal.get(keys)) == 200
    journal.close()


def test_a_new_journal_may_be_opened_by_many_at_once(tmp_path: Path) -> None:
    locked: list[sqlite3.OperationalError] = []

    def open_it(path: Path) -> None:
        try:
            Journal(path).close()
        except sqlite3.OperationalError as error:
            locked.append(error)

    for attempt in range(60):  # about one of twenty went wrong
        threads = [Thread(target=open_it, args=(tmp_path / f"{attempt}.sqlite",)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert locked == []


def test_kill_keeps_what_was_answered(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    program = textwrap.dedent(f"""
        from pathlib import Path
        from itune_core.engine.journal import Journal
        journal = Journal(Path({str(path)!r}))
        number = 0
        while True:
            question = {{"number": number}}
            journal.put([(Journal.key("m", question), "m", question, number)])
            print(number, flush=True)
            number += 1
    """)
    worker = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert worker.stdout is not None
    seen = -1
    for line in worker.stdout:
        seen = int(line)
        if seen >= 40:
            os.kill(worker.pid, signal.SIGKILL)
            break
    rest = [int(line) for line in worker.stdout.read().split()]
    worker.wait()
    worker.stdout.close()
    last = max([seen, *rest])
    journal = Journal(path)
    keys = [Journal.key("m", {"number": number}) for number in range(last + 1)]
    assert len(journal.get(keys)) == last + 1
    journal.close()
