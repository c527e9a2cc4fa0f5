"""What a formatter says of a row is booked once, whether or not the row has a record of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from itune_core.api import Drop, Failed, Formatter, Kind, Record, Used, example, hookimpl
from itune_core.engine import ledger
from itune_core.engine.errors import RunError
from itune_core.testing.lending import LendingContext
from itune_core.testing.trial import Trial, run

RECORD = example(Kind.TEXT)


def trial(folder: Path, *said: tuple[str, Record | Used | Drop | Failed]) -> Trial:
    """A formatter that says just that of its rows, as a run takes it."""

    class Says(Formatter):
        """Says what it was told."""

        produces = Kind.TEXT

        @hookimpl
        def itune_format(self, context: Any) -> Any:
            return iter(said)

    return run(Says(Formatter.Config(path="none")), "formatters/says", {}, LendingContext(folder), folder / "trial")


def lines(found: Trial) -> Sequence[tuple[str, str, str]]:
    return [(line["item"], line["outcome"], line["reason"]) for line in ledger.read(found.folder)]


def test_a_row_that_went_into_the_record_of_another_is_used(tmp_path: Path) -> None:
    found = trial(tmp_path, ("rows:1", Used("earlier-turn")), ("rows:2", RECORD), ("rows:3", Drop("empty")))
    assert found.unbalanced is None
    assert found.outputs["records"]["rows"] == 1
    assert lines(found) == [("rows:1", "used", "earlier-turn"), ("rows:3", "dropped", "empty")]


@pytest.mark.parametrize("said", [[RECORD, Used("cut")], [Used("cut"), RECORD, RECORD], [RECORD]])
def test_what_else_there_is_to_say_of_a_row_does_not_count_it_twice(tmp_path: Path, said: list[Any]) -> None:
    found = trial(tmp_path, *(("rows:1", outcome) for outcome in said))
    assert found.unbalanced is None
    assert lines(found) == [("rows:1", "used", "cut")] * (len(said) > 1)


@pytest.mark.parametrize("refusal", [Drop("empty"), Failed("E-DATA-001", "bad")])
@pytest.mark.parametrize("other", [RECORD, Used("cut"), Drop("other")])
def test_a_row_is_not_both_used_and_refused(tmp_path: Path, refusal: Any, other: Any) -> None:
    for number, said in enumerate(([refusal, other], [other, refusal])):
        with pytest.raises(RunError, match="E-RUN-012"):
            trial(tmp_path / str(number), *(("rows:1", outcome) for outcome in said))


def test_a_record_that_cannot_be_stored_is_the_components_fault(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="E-RUN-012: formatters/says gave a record that was not made by the builder"):
        trial(tmp_path, ("rows:1", RECORD), ("rows:2", RECORD.replace(text=7)))
