"""What a mixer was asked for and what it drew: shares by hand."""

from __future__ import annotations

from typing import Any

import pytest

from itune_core.report.mixture import mixtures, percent, sources


def _source(rows: int, drawn: int, asked: float | None = None, tokens: int | None = None) -> dict[str, Any]:
    return {"rows": rows, "drawn": drawn, "asked": asked, "tokens": tokens}


def test_shares_of_one_phase() -> None:
    [mix] = mixtures(["a", "b"], [{"phase": 0, "sources": [_source(10, 30, 0.5, 300), _source(9, 10, 0.5, 900)]}])
    assert mix.title == ""
    assert [tuple(portion) for portion in mix.portions] == [
        ("a", 10, 30, 0.5, 0.75, 0.25),
        ("b", 9, 10, 0.5, 0.25, 0.75),
    ]


def test_of_several_phases_the_whole_comes_first() -> None:
    phases = [
        {"phase": 0, "sources": [_source(10, 30, 1.0), _source(9, 0, 0.0)]},
        {"phase": 2, "sources": [_source(10, 5, 0.4), _source(9, 5, 0.6)]},
    ]
    whole, first, second = mixtures(["a", "b"], phases)
    assert [mix.title for mix in (whole, first, second)] == ["all phases", "phase 0", "phase 2"]
    assert [portion.drawn for portion in whole.portions] == [35, 5]
    # 30 rows of phase 0 and 10 of phase 2: (30 x 1 + 10 x 0.4) / 40 and (30 x 0 + 10 x 0.6) / 40
    assert [portion.asked for portion in whole.portions] == pytest.approx([0.85, 0.15])
    assert [portion.by_rows for portion in whole.portions] == [0.875, 0.125]
    assert [portion.by_tokens for portion in whole.portions] == [None, None]


def test_of_no_draws_there_are_no_shares() -> None:
    [mix] = mixtures(["a"], [{"phase": 0, "sources": [_source(0, 0)]}])
    assert mix.portions[0][1:] == (0, 0, None, None, None)


def test_sources_are_called_by_their_steps() -> None:
    steps = {"rows": {"outputs": {"records": {}}}, "parts": {"outputs": {"train": {}, "held_out": {}}}}
    feeds = {
        "target": [{"node": "rows", "output": "records"}],
        "records": [{"node": "parts", "output": "train"}, {"node": "rows", "output": "records"}],
    }
    assert sources({"inputs": feeds}, {"drawn_from": ["records"]}, steps) == ["parts.train", "rows"]


@pytest.mark.parametrize(
    ("share", "shown"), [(None, ""), (0.0, "0.0%"), (0.125, "12.5%"), (0.0004, "0.04%"), (1.0, "100.0%")]
)
def test_shares_for_people(share: float | None, shown: str) -> None:
    assert percent(share) == shown
