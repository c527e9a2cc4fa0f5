"""The chain of a run as a picture: where each step's box stands and which way the arrows between them go.

Steps stand in columns, each right of all it reads from. An arrow that crosses a column has a place of its own there,
so that it passes between boxes. Order and height within columns are found by averaging neighbours, there and back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

BOX_WIDTH, BOX_HEIGHT = 122, 44
GAP, LETTER = 34, 5.4
"""Pixels between columns, and for each letter of the longest label between them."""
DOWN, LANE = 62, 26
"""Pixels from one box to the next below it, and around an arrow that passes."""
MARGIN = 6
SWEEPS = 24


class Box(NamedTuple):
    """A step: `x` and `y` are its upper left corner. The title is its name, of a variant without the variant."""

    name: str
    title: str
    component: str
    stage: str
    note: str
    x: float
    y: float


class Arrow(NamedTuple):
    """An edge: an SVG path, and a label with its place. A model's is drawn in another way than that of rows."""

    path: str
    label: str
    x: float
    y: float
    model: bool


@dataclass(frozen=True)
class Picture:
    """Boxes and arrows, inside `width` and `height` pixels."""

    width: float
    height: float
    boxes: Sequence[Box]
    arrows: Sequence[Arrow]


class _Edge(NamedTuple):
    source: str
    target: str
    label: str
    model: bool


def draw(steps: Mapping[str, Mapping[str, Any]]) -> Picture:
    """The picture of the steps of a run's record."""
    edges = [edge for name in steps for edge in _edges(name, steps)]
    column = _columns(list(steps), edges)
    routes = {edge: _route(edge, column) for edge in edges}
    layers = _ordered(column, list(routes.values()))
    across = _across(len(layers), edges, column)
    down = _down(layers, list(routes.values()))
    top = min((y - _half(place) for place, y in down.items()), default=0) - MARGIN
    middle = {place: y - top for place, y in down.items()}
    at = {name: (across[column[name]], middle[name] - BOX_HEIGHT / 2) for name in steps}
    boxes = [
        Box(name, step["step"], step["component"], step["stage"], _note(step, steps), *at[name])
        for name, step in steps.items()
    ]
    arrows = [_arrow(edge, route, middle, across, column) for edge, route in routes.items()]
    height = max((y + _half(place) for place, y in middle.items()), default=0) + MARGIN
    return Picture(across[-1] + BOX_WIDTH + MARGIN if layers else 0, height, boxes, arrows)


def _edges(name: str, steps: Mapping[str, Mapping[str, Any]]) -> list[_Edge]:
    step = steps[name]
    found = {}
    for feeds in step["inputs"].values():
        for feed in feeds:
            several = len(steps[feed["node"]]["outputs"]) > 1 if feed["node"] in steps else False
            parts = [feed["output"] if several else "", f"as {feed['cast']}" if feed["cast"] else ""]
            found[feed["node"], False] = " ".join(filter(None, parts))
    for model in step["models"]:
        found.setdefault((model, True), "")
    return [_Edge(source, name, label, model) for (source, model), label in found.items() if source in steps]


def _note(step: Mapping[str, Any], steps: Mapping[str, Any]) -> str:
    if step["variant"]:
        return ", ".join(f"{axis}={value}" for axis, value in step["variant"].items())
    base = [model for model in step["models"] if model not in steps]
    return f"model {', '.join(base)}" if base else ""


def _columns(names: Sequence[str], edges: Sequence[_Edge]) -> dict[str, int]:
    """Column of each step: right of what it reads, and a step that reads nothing just left of its first reader."""
    column: dict[str, int] = {}
    for name in names:  # a run's record is in order
        column[name] = max((column[edge.source] + 1 for edge in edges if edge.target == name), default=0)
    for name in names:
        readers = [column[edge.target] for edge in edges if edge.source == name]
        if readers and all(edge.target != name for edge in edges):
            column[name] = min(readers) - 1
    return column


Place = tuple[str, str, int]
"""Where an arrow passes a column: source, target, column. A box's place is its name."""


def _route(edge: _Edge, column: Mapping[str, int]) -> list[Any]:
    between = range(column[edge.source] + 1, column[edge.target])
    return [edge.source, *((edge.source, edge.target, number) for number in between), edge.target]


def _ordered(column: Mapping[str, int], routes: Sequence[Sequence[Any]]) -> list[list[Any]]:
    layers: list[list[Any]] = [[] for _ in range(max(column.values(), default=-1) + 1)]
    for name, number in column.items():
        layers[number].append(name)
    for place in dict.fromkeys(place for route in routes for place in route[1:-1]):
        layers[place[2]].append(place)
    neighbours = _neighbours(routes)
    for sweep in range(SWEEPS):
        order = layers if sweep % 2 == 0 else layers[::-1]
        side = 0 if sweep % 2 == 0 else 1
        rank = {place: float(number) for layer in layers for number, place in enumerate(layer)}
        for layer in order:
            means = {place: _mean([rank[other] for other in neighbours[place][side]], rank[place]) for place in layer}
            layer.sort(key=means.__getitem__)
            rank.update((place, float(number)) for number, place in enumerate(layer))
    return layers


def _neighbours(routes: Sequence[Sequence[Any]]) -> dict[Any, tuple[list[Any], list[Any]]]:
    """Left and right neighbours of each place."""
    found: dict[Any, tuple[list[Any], list[Any]]] = _Sides()
    for route in routes:
        for left, right in pairwise(route):
            found[right][0].append(left)
            found[left][1].append(right)
    return found


class _Sides(dict[Any, tuple[list[Any], list[Any]]]):
    def __missing__(self, place: Any) -> tuple[list[Any], list[Any]]:
        return self.setdefault(place, ([], []))


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _across(count: int, edges: Sequence[_Edge], column: Mapping[str, int]) -> list[float]:
    """Left edge of each column."""
    lefts = [float(MARGIN)]
    for number in range(1, count):
        letters = max((len(edge.label) for edge in edges if column[edge.target] == number), default=0)
        lefts.append(lefts[-1] + BOX_WIDTH + max(GAP, LETTER * (letters + 3)))
    return lefts


def _down(layers: Sequence[Sequence[Any]], routes: Sequence[Sequence[Any]]) -> dict[Any, float]:
    """Height of each place: near its neighbours, in order, with room between."""
    neighbours = _neighbours(routes)
    down = {place: float(number * DOWN) for layer in layers for number, place in enumerate(layer)}
    for sweep in range(SWEEPS):
        last = sweep == SWEEPS - 1  # leftwards, and by what is on the right only: so unbranched chains become straight
        for layer in layers if sweep % 2 == 0 else layers[::-1]:
            sides = [neighbours[place][1:] if last and neighbours[place][1] else neighbours[place] for place in layer]
            near = [[down[other] for side in both for other in side] for both in sides]
            wanted = [_mean(heights, down[place]) for heights, place in zip(near, layer, strict=True)]
            down.update(zip(layer, _apart(layer, wanted), strict=True))
    return down


def _apart(layer: Sequence[Any], wanted: Sequence[float]) -> list[float]:
    """Heights near the wanted ones, with room between neighbours."""
    placed: list[float] = []
    for number, place in enumerate(layer):
        room = (_room(layer[number - 1]) + _room(place)) / 2 if number else 0
        placed.append(max(wanted[number], placed[-1] + room) if number else wanted[number])
    shift = _mean([want - y for want, y in zip(wanted, placed, strict=True)], 0)
    return [y + shift for y in placed]


def _room(place: Any) -> float:
    return DOWN if isinstance(place, str) else LANE


def _half(place: Any) -> float:
    return BOX_HEIGHT / 2 if isinstance(place, str) else 0


def _arrow(
    edge: _Edge, route: Sequence[Any], y: Mapping[Any, float], across: Sequence[float], column: Mapping[str, int]
) -> Arrow:
    x = across[column[edge.source]] + BOX_WIDTH
    here = y[edge.source]
    path = f"M{x:.0f} {here:.0f}"
    for place in route[1:]:
        number = column[place] if isinstance(place, str) else place[2]
        left, middle = across[number], (x + across[number]) / 2
        path += f" C{middle:.0f} {here:.0f} {middle:.0f} {y[place]:.0f} {left:.0f} {y[place]:.0f}"
        label_at = middle, (here + y[place]) / 2 - 5
        here = y[place]
        x = left + BOX_WIDTH
        if not isinstance(place, str):
            path += f" L{x:.0f} {here:.0f}"
    return Arrow(path, edge.label, *label_at, edge.model)
