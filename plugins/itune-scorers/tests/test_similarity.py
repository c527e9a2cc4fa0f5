from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest

from itune_core.api import DataError, Embed, Failed, Kind, Record, Reply, Request, Vectors, example, features, text
from itune_core.testing import BenchContext
from itune_scorers.similarity import Similarity


def data_set(name: str, *records: Record) -> datasets.Dataset:
    rows = [{**record, "id": f"{name}{number}"} for number, record in enumerate(records)]
    kind = records[0].kind if records else Kind.TEXT
    return datasets.Dataset.from_dict({key: [row[key] for row in rows] for key in features(kind)}, features(kind))


def at_degrees(request: Request) -> Reply | Failed:
    """A text is a direction in degrees."""
    assert isinstance(request, Embed)
    if "none" in request.texts[0]:
        return Failed("E-BACKEND-005", "a text has 300 tokens, and the embedding model reads 256")
    angles = [math.radians(float(said)) for said in request.texts]
    return Vectors([[math.cos(angle), math.sin(angle)] for angle in angles])


def score(
    records: datasets.Dataset,
    target: datasets.Dataset,
    folder: Path,
    reply: Callable[[Request], Reply | Failed] = at_degrees,
    **settings: Any,
) -> list[Any]:
    component = Similarity(Similarity.Config(model="m", **settings))
    inputs = {"records": records, "target": target}
    return list(component.itune_score(inputs=inputs, context=BenchContext(folder, reply=reply)))


def cosine(degrees: float) -> float:
    return math.cos(math.radians(degrees))


def test_the_most_similar_and_the_mean(tmp_path: Path) -> None:
    found = score(data_set("r", text("0"), text("100")), data_set("t", text("30"), text("90"), text("180")), tmp_path)
    assert found == [
        pytest.approx({"max": cosine(30), "mean": (cosine(30) + cosine(90) + cosine(180)) / 3}, abs=1e-6),
        pytest.approx({"max": cosine(10), "mean": (cosine(70) + cosine(10) + cosine(80)) / 3}, abs=1e-6),
    ]
    assert found[0].keys() == Similarity.columns.keys()


def test_a_record_of_the_target_is_one_from_itself(tmp_path: Path) -> None:
    [found] = score(data_set("r", text("75")), data_set("t", text("75")), tmp_path)
    assert found == pytest.approx({"max": 1.0, "mean": 1.0})


def test_rounding_takes_no_cosine_out_of_its_bounds(tmp_path: Path) -> None:
    """In float32 a vector of length 1 may be 1.0000001 from itself."""
    for degrees in (4, 12, 38, 52):
        for target in (degrees, degrees + 180):
            [found] = score(data_set("r", text(str(degrees))), data_set("t", text(str(target))), tmp_path)
            assert all(-1 <= value <= 1 for value in found.values())


def test_a_record_says_the_same_beside_any_others(tmp_path: Path) -> None:
    target = data_set("t", text("3"), text("33"))
    said = [text(str(angle)) for angle in range(0, 360, 7)]
    together = score(data_set("r", *said), target, tmp_path)
    assert [score(data_set("r", one), target, tmp_path)[0] for one in said] == together
    assert score(data_set("r", *said[::-1]), target, tmp_path) == together[::-1]


def test_a_record_that_cannot_be_embedded_fails_alone(tmp_path: Path) -> None:
    found = score(data_set("r", text("none"), text("60")), data_set("t", text("0")), tmp_path)
    assert isinstance(found[0], Failed)
    assert found[0].code == "E-BACKEND-005"
    assert found[1] == pytest.approx({"max": 0.5, "mean": 0.5})


def test_a_target_that_cannot_be_embedded_is_an_error_that_names_the_record(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a record of the target cannot be embedded") as caught:
        score(data_set("r", text("0")), data_set("t", text("0"), text("none")), tmp_path)
    assert (caught.value.code, caught.value.where) == ("E-SCORE-044", "record t1")
    assert "E-BACKEND-005: a text has 300 tokens" in str(caught.value.why)
    with pytest.raises(DataError) as caught:
        score(data_set("r", text("0")), data_set("t", example(Kind.PROMPT)), tmp_path, on="response")
    assert "E-DATA-037: a prompt record has no response" in str(caught.value.why)


def test_a_target_without_records_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the target has no records") as caught:
        score(data_set("r", text("0")), data_set("t"), tmp_path)
    assert caught.value.code == "E-SCORE-043"


def test_settings_hold_for_both_sides(tmp_path: Path) -> None:
    seen: list[str] = []

    def reply(request: Request) -> Reply | Failed:
        assert isinstance(request, Embed)
        seen.extend(request.texts)
        return Vectors([[1.0]])

    score(data_set("r", text("abcdef")), data_set("t", text("uvwxyz")), tmp_path, reply, first_characters=3)
    assert seen == ["uvw", "abc"]
