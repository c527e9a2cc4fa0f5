"""Draws as numbers: read from a mixer, held against what there is, counted; and their digest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_core.api import Drawn, Evaluation, Failed, Kind, Mix
from itune_core.engine import digest, mixing
from itune_core.engine.ledger import Ledger
from itune_core.engine.stages import Job, evaluators
from itune_core.testing import samples, trial
from itune_core.testing.examples import Count, Echo
from itune_core.testing.lending import LendingContext
from itune_core.testing.trial import store

SIZES = [3, 0, 5, 1]


class Broken(Exception):
    pass


def drawn_from(sizes: list[int]) -> st.SearchStrategy[list[Drawn]]:
    rows = [(number, row) for number, size in enumerate(sizes) for row in range(size)]
    order = st.tuples(st.sampled_from([0, 1, 4]), st.integers(0, 2))
    draw = st.tuples(st.sampled_from(rows), order).map(lambda both: Drawn(*both[0], *both[1]))
    return st.lists(draw, max_size=40)


@given(drawn_from(SIZES), st.integers(1, 7))
def test_draws_are_read_as_they_are(draws: list[Drawn], piece: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mixing, "CHUNK", piece)
        table = mixing.read_draws(iter(draws), SIZES, Broken)
    assert table.tolist() == [list(draw) for draw in draws]
    assert table.shape == (len(draws), 4)


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        ((0, 0, 0, 0), "gave a tuple"),
        (Drawn(0, 1.5), "drew what is not four whole numbers: 'float' object"),  # type: ignore[arg-type]
        (Drawn(0, "1"), "drew what is not four whole numbers: 'str' object"),  # type: ignore[arg-type]
        (Drawn(0, 2**70), "drew what is not four whole numbers"),
        (Drawn(4, 0), r"drew Drawn\(input=4, row=0, phase=0, epoch=0\), which does not exist; the inputs have \[3, 0,"),
        (Drawn(-1, 0), r"input=-1, row=0.* does not exist"),
        (Drawn(2, 5), r"input=2, row=5.* does not exist"),
        (Drawn(1, 0), r"input=1, row=0.* does not exist"),
        (Drawn(2, -1), r"input=2, row=-1.* does not exist"),
        (Drawn(0, 0, phase=-1), r"phase=-1.* does not exist"),
        (Drawn(0, 0, epoch=2**31), r"epoch=2147483648.* does not exist"),
    ],
)
def test_a_draw_of_what_is_not_there_is_refused(draw: Any, said: str) -> None:
    with pytest.raises(Broken, match=said):
        mixing.read_draws([Drawn(0, 0), draw, Drawn(0, 1)], SIZES, Broken)


@given(drawn_from(SIZES))
def test_the_tally_counts_as_people_would(draws: list[Drawn]) -> None:
    table = mixing.read_draws(draws, SIZES, Broken)
    phases = mixing.tally(table, SIZES, Mix(()), Broken)
    assert [phase["phase"] for phase in phases] == (sorted({draw.phase for draw in draws}) or [0])
    for phase in phases:
        mine = [draw for draw in draws if draw.phase == phase["phase"]]
        assert phase["epochs"] == len({draw.epoch for draw in mine})
        for number, source in enumerate(phase["sources"]):
            rows = [draw.row for draw in mine if draw.input == number]
            most = Counter(draw.epoch for draw in mine if draw.input == number)
            assert source == {
                "rows": SIZES[number],
                "asked": None,
                "drawn": len(rows),
                "distinct": len(set(rows)),
                "epochs": pytest.approx(len(rows) / max(SIZES[number], 1), abs=1e-4),
                "in_an_epoch": max(most.values(), default=0),
                "tokens": None,
            }


def test_what_was_asked_and_the_tokens_stand_beside_what_was_drawn() -> None:
    draws = [Drawn(0, 0), Drawn(2, 4), Drawn(2, 0, phase=2)]
    mix = Mix(
        draws, asked=[[0.5, 0, 0.5, 0], [0, 0, 0, 0], [0, 0, 0.75, 0.25]], tokens=[[7, 0, 8, 0], [0] * 4, [0, 0, 9, 0]]
    )
    phases = mixing.tally(mixing.read_draws(draws, SIZES, Broken), SIZES, mix, Broken)
    assert [phase["phase"] for phase in phases] == [0, 1, 2]
    assert [source["asked"] for source in phases[2]["sources"]] == [0, 0, 0.75, 0.25]
    assert [source["tokens"] for source in phases[0]["sources"]] == [7, 0, 8, 0]
    assert [source["drawn"] for source in phases[1]["sources"]] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("mix", "said"),
    [
        (Mix((), asked=[[0.5, 0.5]]), "asked that are not one number for each of 4 data sets"),
        (Mix((), asked=[[0.5, 0, 0.4, 0]] * 2), "shares that do not sum to 1"),
        (Mix((), asked=[0.5, 0, 0.5, 0]), "asked that are not one number for each"),  # type: ignore[list-item]
        (Mix((), asked=[[1.5, 0, -0.5, 0]]), "asked that are no numbers of 0 or more"),
        (Mix((), asked=[["1", 0, 0, 0]]), "asked that are no numbers of 0 or more"),  # type: ignore[list-item]
        (Mix((), tokens=[[float("nan"), 0, 0, 0]]), "tokens that are no numbers"),  # type: ignore[list-item]
        (Mix((), tokens=[[1, 2, 3]]), "tokens that are not one number for each of 4"),
        (Mix((), asked=[[1, 0, 0, 0]] * 2, tokens=[[1, 0, 0, 0]]), "asked for 2 phases and tokens for 1"),
        (Mix((), asked=[[1, 0, 0, 0]]), "drew for phase 1, and gave asked for 1 phases"),
    ],
)
def test_shares_that_cannot_be_are_refused(mix: Mix, said: str) -> None:
    table = mixing.read_draws([Drawn(0, 0, phase=1)], SIZES, Broken)
    with pytest.raises(Broken, match=said):
        mixing.tally(table, SIZES, mix, Broken)


def test_of_nothing_there_is_nothing_to_tell() -> None:
    table = mixing.read_draws([], [0, 0], Broken)
    [phase] = mixing.tally(table, [0, 0], Mix(()), Broken)
    assert (phase["phase"], phase["epochs"]) == (0, 0)
    assert [(source["rows"], source["drawn"]) for source in phase["sources"]] == [(0, 0), (0, 0)]
    assert mixing.places(table, [0, 0]).tolist() == []


@given(order=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 11)), max_size=30))
def test_the_digest_is_over_rows_phases_and_epochs(order: list[tuple[int, int]]) -> None:
    view = _Rows(order)
    expected = digest.of_value([_Rows.digest, [list(pair) for pair in order]])
    assert mixing.order_digest(view) == expected  # type: ignore[arg-type]


class _Rows:
    """As much of a view as an order's digest needs."""

    digest = "5ea10ac4353525cc9d439c79abb7a122"

    def __init__(self, order: Iterable[tuple[int, int]]) -> None:
        table = np.array(list(order), np.int32).reshape(-1, 2)
        self.columns = {name: pa.array(table[:, number]) for number, name in enumerate(mixing.ORDER)}

    def __len__(self) -> int:
        return len(self.columns["phase"])


def test_a_mix_of_a_mix_decides_the_order_anew(tmp_path: Path) -> None:
    rows = store(samples(Kind.TEXT), Kind.TEXT, tmp_path / "rows")
    first = mixing.mixed([rows], np.array([[0, row, 0, row % 2] for row in range(4)], np.int64))
    assert list(first.dataset["epoch"]) == [0, 1, 0, 1]
    other = store(samples(Kind.TEXT), Kind.TEXT, tmp_path / "others")
    again = mixing.mixed([first, other], np.array([[1, 0, 0, 0], [0, 3, 0, 0], [0, 3, 0, 0]], np.int64))
    assert "epoch" not in again.dataset.column_names
    phased = mixing.mixed([first, other], np.array([[1, 0, 0, 0], [0, 3, 1, 0]], np.int64))
    assert list(phased.dataset["phase"]) == [0, 1]
    assert "epoch" not in phased.dataset.column_names


def test_a_record_that_was_drawn_twice_is_one_record_in_the_books(tmp_path: Path) -> None:
    rows = store(samples(Kind.PROMPT), Kind.PROMPT, tmp_path / "rows").select(np.array([0, 0, 3, 0]))
    context = LendingContext(tmp_path / "bench", reply=None, models={}, seed=0)
    tried = trial.run(Echo(Echo.Config()), "generators/echo", {"records": [rows]}, context, tmp_path / "echo")
    assert tried.unbalanced is None
    assert tried.outputs["records"]["rows"] == 4


def test_a_record_that_was_drawn_twice_fails_once(tmp_path: Path) -> None:
    """Two records, one of them three times: it failed, and no copy of it counts as used."""
    rows = store(samples(Kind.PROMPT), Kind.PROMPT, tmp_path / "rows").select(np.array([0, 0, 3, 0]))
    measured = Evaluation({"": {"rows": 1.0}}, failed={rows.dataset["id"][0]: Failed("E-TEST-001", "no answer")})
    with Ledger(tmp_path, "count") as ledger:
        job = Job(
            step="count",
            label="evaluators/count",
            source="count",
            component=Count(Count.Config()),
            kind=None,
            views={"records": [rows]},
            call=lambda: measured,
            draft=tmp_path,
            ledger=ledger,
            identity=str,
            base=lambda name: {},
            digest_model=lambda folder: "",
        )
        counts = ledger.settle(evaluators(job)["inputs"], max_failed=1.0)
    assert (counts["inputs"], counts["used"], counts["failed"]) == (2, 1, {"E-TEST-001": 1})
