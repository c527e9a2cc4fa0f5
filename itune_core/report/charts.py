"""Small charts as plain numbers; the template draws them as SVG, 100 units wide and 100 high, y pointing down."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, median
from typing import Any, NamedTuple

BINS = 30
TAIL = 0.99
"""Values above this quantile share the last bar if they reach twice as far as the rest: one outlier hides nothing."""


class Bar(NamedTuple):
    """A bar of a histogram."""

    x: float
    width: float
    height: float
    title: str


class Histogram(NamedTuple):
    """How the values of a column are spread.

    Attributes:
        name: the column.
        bars: from left to right; empty if there is no value.
        values, missing: how many there are, and how many are null.
        low, middle, mean, high: least, median, mean and largest value.
        beyond: how many values are in the last bar although they are larger.
    """

    name: str
    bars: Sequence[Bar]
    values: int
    missing: int
    low: float = 0
    middle: float = 0
    mean: float = 0
    high: float = 0
    beyond: int = 0


def histogram(name: str, column: Sequence[Any]) -> Histogram | None:
    """The histogram of a column of numbers or truth values; None if it holds something else."""
    values = sorted(float(value) for value in column if isinstance(value, (int, float)))
    missing = sum(value is None for value in column)
    if len(values) + missing < len(column):
        return None
    if not values:
        return Histogram(name, (), 0, missing)
    low, high = values[0], values[-1]
    usual = values[min(len(values) - 1, int(TAIL * len(values)))]
    end = usual if high - low > 2 * (usual - low) > 0 else high
    bins = _bins(values, low, end)
    width = (end - low) / bins or 1.0
    counts = [0] * bins
    for value in values:
        counts[min(bins - 1, int((value - low) / width))] += 1
    bars = [
        Bar(
            number * 100 / bins,
            100 / bins,
            100 * count / max(counts),
            f"{low + number * width:.4g} to {low + (number + 1) * width:.4g}: {count}",
        )
        for number, count in enumerate(counts)
    ]
    beyond = sum(value > end for value in values)
    return Histogram(name, bars, len(values), missing, low, median(values), fmean(values), high, beyond)


def _bins(values: Sequence[float], low: float, end: float) -> int:
    if end == low:
        return 1
    whole = all(value.is_integer() for value in values)
    return min(BINS, int(end - low) + 1) if whole else min(BINS, max(5, math.isqrt(len(values)) * 2))


class Curve(NamedTuple):
    """How a figure went while a model was trained.

    Attributes:
        name: the figure.
        points: of an SVG polyline.
        first, last, low, high: its values.
    """

    name: str
    points: str
    first: float
    last: float
    low: float
    high: float


def curves(history: Sequence[Mapping[str, Any]]) -> list[Curve]:
    """A curve for each figure of a training history that is a number and changes; the loss first.

    A value that is not finite is no point of it.
    """
    names = dict.fromkeys(name for entry in history for name in entry if name not in ("step", "epoch"))
    found = []
    for name in sorted(names, key=lambda name: name != "loss"):
        told = [(number, entry.get(name)) for number, entry in enumerate(history)]
        places = [
            (number, float(value)) for number, value in told if isinstance(value, (int, float)) and math.isfinite(value)
        ]
        values = [value for _, value in places]
        if len(values) < 2 or min(values) == max(values):
            continue
        low, high = min(values), max(values)
        points = " ".join(
            f"{100 * number / max(1, len(history) - 1):.2f},{100 - 100 * (value - low) / (high - low):.2f}"
            for number, value in places
        )
        found.append(Curve(name, points, values[0], values[-1], low, high))
    return found
