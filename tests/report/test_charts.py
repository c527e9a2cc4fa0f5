"""Charts show every value once and stay inside their frame."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from itune_core.report.charts import curves, histogram

NUMBERS = st.floats(-1e6, 1e6) | st.integers(-1000, 1000) | st.none()


@given(st.lists(NUMBERS, min_size=1, max_size=300))
def test_a_histogram_counts_every_value_once(column: list[float | int | None]) -> None:
    chart = histogram("score", column)
    assert chart is not None
    values = [value for value in column if value is not None]
    assert sum(int(bar.title.rpartition(": ")[2]) for bar in chart.bars) == chart.values == len(values)
    assert chart.missing == len(column) - len(values)
    if values:
        assert (chart.low, chart.high) == (min(values), max(values))
        assert max(bar.height for bar in chart.bars) == 100
        assert abs(sum(bar.width for bar in chart.bars) - 100) < 1e-6


def test_one_outlier_does_not_hide_the_rest() -> None:
    chart = histogram("score", [*(float(n % 10) for n in range(500)), 1e6])
    assert chart is not None
    assert chart.beyond == 1
    assert sum(bar.height > 0 for bar in chart.bars) >= 10


def test_texts_have_no_histogram() -> None:
    assert histogram("score", ["a", "b"]) is None


def test_truth_values_have_two_bars() -> None:
    chart = histogram("score", [True, False, True, None])
    assert chart is not None
    assert [round(bar.height) for bar in chart.bars] == [50, 100]
    assert chart.missing == 1


def test_curves_are_of_figures_that_change_and_the_loss_is_first() -> None:
    history = [{"step": n, "rate": 0.1, "norm": 1.0 + n, "loss": 3.0 - n, "note": "x"} for n in range(3)]
    found = curves(history)
    assert [curve.name for curve in found] == ["loss", "norm"]
    assert found[0].points == "0.00,0.00 50.00,50.00 100.00,100.00"
    assert (found[0].first, found[0].last) == (3.0, 1.0)


def test_a_figure_that_is_not_always_logged_keeps_its_place() -> None:
    history: list[dict[str, float]] = [
        {"loss": 1.0},
        {"loss": 1.0, "eval": 2.0},
        {"loss": 0.5},
        {"loss": 0.5, "eval": 1.0},
    ]
    assert {curve.name: curve.points for curve in curves(history)}["eval"] == "33.33,0.00 100.00,100.00"


def test_what_is_not_finite_is_no_point() -> None:
    history = [{"loss": value} for value in (3.0, float("nan"), 2.0, float("inf"), 1.0)]
    (curve,) = curves(history)
    assert curve.points == "0.00,0.00 50.00,50.00 100.00,100.00"
    assert (curve.low, curve.high) == (1.0, 3.0)
