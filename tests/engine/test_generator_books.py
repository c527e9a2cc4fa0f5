"""What a generator gives: lineage within a step, what it rejected, and whom that leaves used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import datasets
import pytest

from itune_core.api import Created, Drop, Failed, Generator, Kind, Record, Rejected, conversation, example, message
from itune_core.engine import ledger
from itune_core.engine.errors import RunError
from itune_core.engine.ledger import Ledger
from itune_core.engine.stages import Job, generators
from itune_core.engine.views import RECORDS, Base, View
from itune_core.engine.writing import RecordWriter

ROWS = 3


def talk(question: str) -> Record:
    return conversation([message("user", question), message("assistant", "Yes.")])


def _kind(outcome: Any) -> str:
    return type(outcome).__name__


@pytest.fixture
def seeds(tmp_path: Path) -> View:
    folder = tmp_path / "seeds"
    folder.mkdir()
    with RecordWriter(folder, Kind.PROMPT, "seeds") as writer:
        for _ in range(ROWS):
            writer.add(example(Kind.PROMPT))
        writer.finish()
    return View((Base(folder, Kind.PROMPT),), range(ROWS))  # type: ignore[arg-type]


def made(seeds: View, folder: Path, *outcomes: tuple[int | str, Any]) -> tuple[list[Mapping[str, Any]], dict[str, Any]]:
    """The rows that the step leaves and its balance; an outcome's row is given by its number, or an id that is none."""
    ids = seeds.dataset["id"]

    def call() -> Iterator[tuple[str, Any]]:
        return ((ids[row] if isinstance(row, int) else row, outcome) for row, outcome in outcomes)

    folder.mkdir()
    with Ledger(folder, "step") as books:
        component = Generator(Generator.Config())
        job = Job(
            *("step", "generators/it", "it", component, Kind.CONVERSATION, {"records": [seeds]}, call, folder, books),
            *(str, lambda _: {}, lambda _: ""),
        )
        inputs = generators(job)["inputs"]
        counts = books.settle(inputs, max_failed=1.0)
    return list(datasets.load_from_disk(str(folder / RECORDS))), counts


def test_a_child_names_the_id_of_its_parent_made_in_the_same_step(seeds: View, tmp_path: Path) -> None:
    first = Created(talk("one"))
    second = Created(talk("two"), parents=[first])
    third = Created(talk("three"), parents=[second])
    rest = [(number, Drop("not-asked")) for number in (1, 2)]
    rows, _ = made(seeds, tmp_path / "made", (0, first), (0, second), (0, third), *rest)
    assert [row["parents"] for row in rows] == [[seeds.dataset["id"][0]], [rows[0]["id"]], [rows[1]["id"]]]


def test_of_equal_parents_each_child_names_its_own(seeds: View, tmp_path: Path) -> None:
    twins = [Created(talk("one")), Created(talk("one"))]
    children = [Created(talk("two"), parents=[twin]) for twin in reversed(twins)]
    rest = [(number, Drop("not-asked")) for number in (1, 2)]
    rows, _ = made(seeds, tmp_path / "made", *((0, item) for item in (*twins, *children)), *rest)
    assert rows[0]["id"] != rows[1]["id"]
    assert [row["parents"] for row in rows[2:]] == [[rows[1]["id"]], [rows[0]["id"]]]


@pytest.mark.parametrize("later", [0, 1])
def test_a_parent_that_was_not_given_before_for_the_same_input_is_an_error(
    seeds: View, tmp_path: Path, later: int
) -> None:
    parent = Created(talk("one"))
    child = Created(talk("two"), parents=[parent])
    given = [(0, child), (0, parent)] if later == 0 else [(0, parent), (1, child)]
    with pytest.raises(RunError, match=r"E-RUN-012.*did not give before"):
        made(seeds, tmp_path / "made", *given)


def test_every_input_that_a_record_names_is_used(seeds: View, tmp_path: Path) -> None:
    ids = seeds.dataset["id"]
    of_two = Created(talk("one"), parents=[ids[0], ids[2]])
    _, counts = made(seeds, tmp_path / "made", (2, Drop("nothing-made")), (0, of_two), (1, Drop("not-shown")))
    assert (counts["used"], counts["dropped"], counts["created"]) == (2, {"not-shown": 1}, 1)
    failed = (0, Failed("E-X-001", "no"))
    _, counts = made(seeds, tmp_path / "failed", failed, (2, of_two), (1, Drop("not-shown")))
    assert (counts["used"], counts["failed"]) == (1, {"E-X-001": 1})


def test_what_is_rejected_is_counted_and_said_and_leaves_the_balance_alone(seeds: View, tmp_path: Path) -> None:
    outcomes = [(0, Rejected("too-short", "'Hm.'")), (0, Created(talk("one"))), (1, Rejected("too-short"))]
    rest = [(1, Drop("nothing-made")), (2, Drop("not-shown"))]
    rows, counts = made(seeds, tmp_path / "made", *outcomes, *rest)
    assert len(rows) == counts["created"] == counts["used"] == 1
    assert counts["rejected"] == {"too-short": 2}
    assert [line["outcome"] for line in ledger.read(tmp_path / "made")] == [
        *("rejected", "rejected", "dropped", "dropped")
    ]


def test_an_input_of_which_all_was_rejected_still_has_to_be_answered_for(seeds: View, tmp_path: Path) -> None:
    rest = [(number, Drop("not-asked")) for number in (1, 2)]
    with pytest.raises(RunError, match="E-RUN-011"):
        made(seeds, tmp_path / "made", (0, Rejected("too-short")), *rest)


@pytest.mark.parametrize("outcome", [Created(talk("one")), Rejected("too-short"), Drop("not-asked")], ids=_kind)
def test_an_answer_for_a_record_that_was_not_given_is_an_error(seeds: View, tmp_path: Path, outcome: Any) -> None:
    rest = [(number, Drop("not-asked")) for number in range(ROWS)]
    with pytest.raises(RunError, match=r"E-RUN-012.*not given: \['elsewhere'\]"):
        made(seeds, tmp_path / "made", *rest, ("elsewhere", outcome))
