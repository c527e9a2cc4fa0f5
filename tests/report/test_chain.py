"""The picture of a chain: boxes apart, arrows forwards."""

from __future__ import annotations

import re
from itertools import combinations
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from itune_core.report.chain import BOX_HEIGHT, BOX_WIDTH, Box, draw


def _step(name: str, reads: list[str], models: list[str], cast: str | None = None, outputs: int = 1) -> dict[str, Any]:
    feeds = [{"node": other, "output": "records", "kind": "conversation", "cast": cast} for other in reads]
    return {
        "name": name,
        "step": name.partition("[")[0],
        "variant": dict([name[:-1].partition("[")[2].split("=")]) if "[" in name else {},
        "component": "filters/length",
        "stage": "filters",
        "inputs": {"records": feeds} if feeds else {},
        "models": models,
        "outputs": {f"part{number}": {} for number in range(outputs)},
    }


@st.composite
def chains(draw_: st.DrawFn) -> dict[str, dict[str, Any]]:
    steps: dict[str, dict[str, Any]] = {}
    for number in range(draw_(st.integers(1, 12))):
        earlier = st.lists(st.sampled_from(list(steps)), unique=True, max_size=3) if steps else st.just([])
        name = f"s{number}"
        steps[name] = _step(name, draw_(earlier), [*draw_(earlier), "base"])
    return steps


@given(chains())
def test_boxes_are_apart_and_inside(steps: dict[str, dict[str, Any]]) -> None:
    picture = draw(steps)
    assert [box.name for box in picture.boxes] == list(steps)
    for box in picture.boxes:
        assert 0 <= box.x <= picture.width - BOX_WIDTH
        assert 0 <= box.y <= picture.height - BOX_HEIGHT
    for one, other in combinations(picture.boxes, 2):
        assert abs(one.x - other.x) >= BOX_WIDTH or abs(one.y - other.y) >= BOX_HEIGHT - 1e-6


@given(chains())
def test_arrows_go_from_left_to_right_between_their_boxes(steps: dict[str, dict[str, Any]]) -> None:
    picture = draw(steps)
    wanted = {(feed["node"], name) for name, step in steps.items() for feed in step["inputs"].get("records", [])}
    wanted |= {(model, name) for name, step in steps.items() for model in step["models"] if model in steps}
    drawn = set()
    for arrow in picture.arrows:
        numbers = list(map(int, re.findall(r"-?\d+", arrow.path)))
        xs = numbers[0::2]
        assert xs == sorted(xs)
        drawn.add(
            (_at(picture.boxes, numbers[0] - BOX_WIDTH, numbers[1]), _at(picture.boxes, numbers[-2], numbers[-1]))
        )
    assert drawn == wanted


def _at(boxes: Any, x: int, middle: int) -> str:
    """The box whose left edge and middle are there."""
    (found,) = [box.name for box in boxes if abs(box.x - x) <= 1 and abs(box.y + BOX_HEIGHT / 2 - middle) <= 1]
    return str(found)


def test_casts_and_outputs_are_on_the_arrows() -> None:
    steps = {"rows": _step("rows", [], [], outputs=2), "style": _step("style", ["rows"], ["base"], cast="prompt")}
    picture = draw(steps)
    assert [arrow.label for arrow in picture.arrows] == ["records as prompt"]
    assert picture.boxes[1].note == "model base"


def test_a_variant_says_which_it_is() -> None:
    (box,) = draw({"aligned[algorithm=dpo]": _step("aligned[algorithm=dpo]", [], ["base"])}).boxes
    assert (box.name, box.title, box.note) == ("aligned[algorithm=dpo]", "aligned", "algorithm=dpo")


def test_an_unbranched_chain_is_straight() -> None:
    names = [f"s{number}" for number in range(6)]
    steps = {name: _step(name, names[max(0, place - 1) : place], []) for place, name in enumerate(names)}
    assert len({box.y for box in draw(steps).boxes}) == 1


def test_a_run_without_steps_has_no_boxes() -> None:
    boxes: list[Box] = list(draw({}).boxes)
    assert boxes == []
