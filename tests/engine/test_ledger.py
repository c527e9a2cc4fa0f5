"""The books: every input ends in exactly one place."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_core.api import Drop, Failed
from itune_core.engine import ledger
from itune_core.engine.errors import RunError
from itune_core.engine.ledger import Ledger

VERDICTS = st.sampled_from([None, Drop("short"), Drop("long", "900 words"), Failed("E-DATA-001", "no text")])


@given(verdicts=st.lists(VERDICTS, max_size=60))
def test_the_books_balance(tmp_path_factory: pytest.TempPathFactory, verdicts: list[Drop | Failed | None]) -> None:
    folder = tmp_path_factory.mktemp("ledger")
    with Ledger(folder, "step") as books:
        for number, verdict in enumerate(verdicts):
            if verdict is None:
                books.used += 1
            else:
                books.note(str(number), verdict)
        counts = books.settle(len(verdicts), max_failed=1.0)
    out = sum(counts["dropped"].values()) + sum(counts["failed"].values())
    assert counts["used"] + out + counts["not_drawn"] == len(verdicts) == counts["inputs"]
    lines = list(ledger.read(folder))
    assert len(lines) == out
    assert [line["item"] for line in lines] == [str(n) for n, verdict in enumerate(verdicts) if verdict is not None]


def test_a_lost_row_is_an_error(tmp_path: Path) -> None:
    with Ledger(tmp_path, "step") as books:
        books.used = 9
        with pytest.raises(RunError, match="E-RUN-011"):
            books.settle(10, max_failed=0.05)


def test_failures_up_to_the_limit_pass_and_beyond_stop(tmp_path: Path) -> None:
    with Ledger(tmp_path, "step") as books:
        books.used = 95
        for number in range(5):
            books.fail(f"rows.jsonl:{number}", Failed("E-DATA-009", "not UTF-8"))
        assert books.settle(100, max_failed=0.05)["failed"] == {"E-DATA-009": 5}
        books.fail("rows.jsonl:99", Failed("E-DATA-009", "not UTF-8"))
        with pytest.raises(RunError, match=r"E-RUN-010.*6 of 101[\s\S]*rows.jsonl:0: not UTF-8"):
            books.settle(101, max_failed=0.05)


def test_a_remark_stands_in_the_ledger_and_not_in_the_balance(tmp_path: Path) -> None:
    with Ledger(tmp_path, "step") as books:
        books.used = 1
        books.remark("a", "truncated", "12 tokens were cut off")
        assert books.settle(1, max_failed=0.0)["used"] == 1
    assert list(ledger.read(tmp_path)) == [
        {"item": "a", "outcome": "used", "reason": "truncated", "detail": "12 tokens were cut off"}
    ]


def test_what_was_said_until_a_step_could_not_go_on_is_there_to_read(tmp_path: Path) -> None:
    """The run keeps a copy then, while the books are open: no line, and no half of one, may wait in a buffer."""
    with Ledger(tmp_path, "step") as books:
        for number in range(500):
            books.drop(str(number), Drop("long", "900 words"))
        books.flush()
        assert [line["item"] for line in ledger.read(tmp_path)] == [str(number) for number in range(500)]
