"""The table of before and after."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from itune_core.engine.home import Home
from itune_core.engine.runs import RunRecord
from itune_core.engine.store import Store, write_manifest
from itune_core.report.comparison import Figure, metrics_table, number, shown


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(Home(tmp_path))


def _run(store: Store, **evaluators: tuple[dict[str, str], dict[str, dict[str, float]]]) -> RunRecord:
    """A run with a trainer `sft` and evaluators given as identities and metrics."""
    steps: dict[str, Any] = {"sft": {"stage": "trainers", "key": "none"}}
    for name, (identities, metrics) in evaluators.items():
        with store.draft(name) as folder:
            write_manifest(folder, {"key": name, "created": "", "metrics": metrics})
        steps[name] = {"stage": "evaluators", "key": name, "identities": identities}
    return RunRecord(store.root, {"steps": steps})


def test_figures_go_by_the_names_of_the_recipe(store: Store) -> None:
    names = {"sft": "id2", "base": "id1"}
    table = metrics_table(
        _run(store, loss=(names, {"id1": {"mean": 3.3}, "id2": {"mean": 1.9}}), style=(names, {"id1": {"share": 0.0}})),
        store,
    )
    assert table.models == ("base", "sft")
    assert [(row.step, row.name, row.figures) for row in table.measures] == [
        ("loss", "mean", {"sft": Figure(1.9), "base": Figure(3.3)}),
        ("style", "share", {"base": Figure(0.0)}),
    ]


def test_intervals_and_errors_stand_with_their_figure_and_counts_last(store: Store) -> None:
    figures = {"examples": 32, "loss_mean": 1.9, "loss_se": 0.1, "share": 0.5, "share_high": 0.7, "share_low": 0.3}
    table = metrics_table(_run(store, style=({"base": "x"}, {"x": figures})), store)
    assert [(row.name, row.figures["base"], row.count) for row in table.measures] == [
        ("loss_mean", Figure(1.9, error=0.1), False),
        ("share", Figure(0.5, 0.3, 0.7), False),
        ("examples", Figure(32), True),
    ]
    assert [shown(row.figures["base"]) for row in table.measures] == ["1.900 (±0.1)", "0.5000 (0.3–0.7)", "32"]


def test_two_names_of_one_model_have_the_same_figures(store: Store) -> None:
    table = metrics_table(_run(store, loss=({"base": "x", "copy": "x"}, {"x": {"mean": 1.0}})), store)
    assert table.measures[0].figures == {"base": Figure(1.0), "copy": Figure(1.0)}


def test_figures_of_no_model_and_removed_artifacts(store: Store) -> None:
    run = _run(store, overlap=({}, {"": {"share": 0.1}}), gone=({"base": "x"}, {"x": {"mean": 1.0}}))
    found = store.get("gone")
    assert found is not None
    store.remove(found)
    table = metrics_table(run, store)
    assert table.models == ("",)
    assert [row.step for row in table.measures] == ["overlap"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3.30587, "3.306"),
        (0.96875, "0.9688"),
        (12345.6, "12,346"),
        (1769, "1,769"),
        (0.0, "0"),
        (1e-7, "1e-07"),
        (-92.81, "-92.81"),
    ],
)
def test_numbers_for_people(value: float, text: str) -> None:
    assert number(value) == text
