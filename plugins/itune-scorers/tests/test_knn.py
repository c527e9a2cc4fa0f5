from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.neighbors import NearestNeighbors

from itune_core.api import (
    DataError,
    Embed,
    Failed,
    Kind,
    PluginError,
    Record,
    Reply,
    Request,
    Vectors,
    conversation,
    example,
    features,
    message,
    preference,
    text,
)
from itune_core.testing import BenchContext
from itune_scorers.knn import Knn
from itune_scorers.vectors import neighbours
from itune_scorers.vectors.neighbours import nth_distances

Answering = Callable[[Request], Reply | Failed]


def score(records: list[Record], folder: Path, reply: Answering, **settings: Any) -> list[Any]:
    kind = records[0].kind if records else Kind.TEXT
    rows = [{**record, "id": f"r{number}"} for number, record in enumerate(records)]
    columns = {name: [row[name] for row in rows] for name in features(kind)}
    data = datasets.Dataset.from_dict(columns, features=features(kind))
    component = Knn(Knn.Config(model="m", **settings))
    return list(component.itune_score(inputs={"records": data}, context=BenchContext(folder, reply=reply)))


def at_degrees(request: Request) -> Reply | Failed:
    """A text is a direction in degrees."""
    assert isinstance(request, Embed)
    if "none" in request.texts[0]:
        return Failed("E-BACKEND-005", "a text has 300 tokens, and the embedding model reads 256")
    angles = [math.radians(float(said)) for said in request.texts]
    return Vectors([[math.cos(angle), math.sin(angle)] for angle in angles])


def chord(degrees: float) -> float:
    return 2 * math.sin(math.radians(degrees) / 2)


def unit(vectors: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def clusters(count: int, dimension: int = 32, seed: int = 0) -> np.ndarray[Any, Any]:
    """Vectors around 20 centres, as texts on 20 subjects are; each of the last tenth says what an earlier one does."""
    rng = np.random.default_rng(seed)
    made = rng.normal(size=(20, dimension))[rng.integers(20, size=count)] + 0.6 * rng.normal(size=(count, dimension))
    made[-count // 10 :] = made[: count // 10]
    return unit(made)


def by_scikit_learn(vectors: np.ndarray[Any, Any], nth: int) -> np.ndarray[Any, Any]:
    exact = vectors.astype(np.float64)
    return NearestNeighbors(algorithm="brute").fit(exact).kneighbors(None, nth)[0][:, -1]  # None: not itself


def test_the_distance_is_that_of_unit_vectors(tmp_path: Path) -> None:
    found = score([text(said) for said in ("0", "10", "40", "90")], tmp_path, at_degrees, neighbour=2)
    assert [values[""] for values in found] == pytest.approx([chord(40), chord(30), chord(40), chord(80)], abs=1e-6)


def test_a_record_with_the_same_text_is_a_neighbour_at_distance_zero(tmp_path: Path) -> None:
    records = [text(said) for said in ("5", "5", "5", "65")]
    assert [values[""] for values in score(records, tmp_path, at_degrees, neighbour=2)][:3] == [0.0, 0.0, 0.0]
    third = [values[""] for values in score(records, tmp_path, at_degrees, neighbour=3)]
    assert third == pytest.approx([1.0] * 4, abs=1e-6)


@pytest.mark.parametrize("nth", [1, 6, 40])
def test_it_is_what_scikit_learn_finds(nth: int) -> None:
    vectors = clusters(1_500)
    np.testing.assert_allclose(nth_distances(vectors, nth), by_scikit_learn(vectors, nth), atol=1e-6)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = clusters(300)
    at_once = nth_distances(vectors, 6)
    monkeypatch.setattr(neighbours, "CELLS", 4_000)
    assert neighbours.CELLS // 300 < 20
    np.testing.assert_array_equal(nth_distances(vectors, 6), at_once)


@given(
    arrays(np.float32, st.tuples(st.integers(2, 20), st.just(3)), elements=st.sampled_from([-1.0, -0.5, 0.25, 1.0])),
    st.data(),
)
def test_any_vectors_in_any_order(rows: np.ndarray[Any, Any], data: st.DataObject) -> None:
    vectors = unit(rows)
    nth = data.draw(st.integers(1, len(rows) - 1))
    order = np.array(data.draw(st.permutations(range(len(rows)))))
    found = nth_distances(vectors, nth)
    apart = np.linalg.norm(vectors[:, None].astype(np.float64) - vectors, axis=2)
    np.fill_diagonal(apart, np.inf)
    np.testing.assert_allclose(found, np.sort(apart, axis=1)[:, nth - 1], atol=1e-6)
    np.testing.assert_array_equal(nth_distances(vectors[order], nth), found[order])


def test_beyond_the_exact_rows_faiss_finds_nearly_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("faiss", reason="pip install 'itune-scorers[faiss]'")
    vectors = clusters(4_000)
    exact = nth_distances(vectors, 6)
    monkeypatch.setattr(neighbours, "EXACT_ROWS", 100)
    near = nth_distances(vectors, 6)
    assert (near >= exact - 1e-6).all(), "a neighbour that is missed makes the distance larger"
    assert np.mean(near > exact + 1e-6) < 0.02
    assert np.mean(near) == pytest.approx(np.mean(exact), rel=1e-3)
    np.testing.assert_array_equal(nth_distances(vectors, 6), near)


def test_what_faiss_does_not_reach_is_compared_with_all(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = clusters(200)
    exact = nth_distances(vectors, 6)

    def lost(_: Any) -> neighbours.Search:
        every = neighbours._compare(vectors)

        def search(own: Any, candidates: int) -> Any:
            found = every(own, candidates)
            found[own % 3 == 0, 2:] = -1
            return found

        return search

    monkeypatch.setattr(neighbours, "EXACT_ROWS", 100)
    monkeypatch.setattr(neighbours, "_index", lost)
    np.testing.assert_array_equal(nth_distances(vectors, 6), exact)


def test_without_faiss_more_rows_are_an_error_before_anything_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(_: Request) -> Reply | Failed:
        raise AssertionError("asked, though it cannot be used")

    monkeypatch.setattr(neighbours, "EXACT_ROWS", 3)
    monkeypatch.setattr(neighbours, "find_spec", lambda name: None)
    with pytest.raises(PluginError, match=r"more than 3 rows") as caught:
        score([text(str(angle)) for angle in range(4)], tmp_path, never, neighbour=1)
    assert caught.value.code == "E-SCORE-042"
    assert caught.value.fix is not None
    assert "itune-scorers[faiss]" in caught.value.fix


def test_too_few_others_are_an_error_and_no_rows_are_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="2 records are embedded, and each needs 2 others") as caught:
        score([text("1"), text("none"), text("3")], tmp_path, at_degrees, neighbour=2)
    assert caught.value.code == "E-SCORE-041"
    assert "1 could not be embedded" in str(caught.value.why)
    assert "300 tokens" in str(caught.value.why)
    assert score([], tmp_path, at_degrees) == []


def test_a_record_that_cannot_be_embedded_fails_and_is_no_neighbour(tmp_path: Path) -> None:
    found = score([text("0"), text("none of these"), text("60")], tmp_path, at_degrees, neighbour=1)
    assert isinstance(found[1], Failed)
    assert found[1].code == "E-BACKEND-005"
    assert [found[0][""], found[2][""]] == pytest.approx([1.0, 1.0], abs=1e-6)


@pytest.mark.parametrize(
    ("settings", "asked"),
    [
        ({}, ["why?\nso\nbad", "how?\nthus\nbad"]),
        ({"on": "prompt"}, ["why?", "how?"]),
        ({"on": "response"}, ["so\nbad", "thus\nbad"]),
        ({"on": "response", "first_characters": 1}, ["s", "t"]),
    ],
)
def test_what_is_embedded(tmp_path: Path, settings: Mapping[str, Any], asked: list[str]) -> None:
    seen: list[str] = []

    def reply(request: Request) -> Reply | Failed:
        assert isinstance(request, Embed)
        seen.extend(request.texts)
        return Vectors([[1.0, 0.0]])

    def talk(question: str, good: str) -> Record:
        prompt = [message("system", "be brief"), message("user", question)]
        return preference(prompt, [message("assistant", good)], [message("assistant", "bad")])

    score([talk("why?", "so"), talk("how?", "thus")], tmp_path, reply, neighbour=1, **settings)
    assert seen == asked


@pytest.mark.parametrize(
    ("record", "on", "why"),
    [
        (example(Kind.PROMPT), "response", "a prompt record has no response"),
        (conversation([message("assistant", "Well.")]), "prompt", "a conversation record has no prompt"),
        (conversation([message("user", " "), message("assistant", "Well.")]), "prompt", "the prompt of the record is"),
    ],
)
def test_a_record_without_the_text_fails(tmp_path: Path, record: Record, on: str, why: str) -> None:
    with pytest.raises(DataError, match="0 records are embedded") as caught:
        score([record], tmp_path, at_degrees, on=on)
    assert why in str(caught.value.why)
