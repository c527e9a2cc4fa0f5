"""What holds for task files whatever stands in them, wherever they are read, and for all real ones."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from itune_core.api import Drop, Failed, ModelSource, Record
from itune_core.testing import BenchContext
from itune_formatters.tasks.superni import SuperNI

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
EXAMPLE = {"input": "one two", "output": "2", "explanation": "two"}
TASK: dict[str, Any] = {
    "Source": ["a"],
    "URL": ["b"],
    "Categories": ["c"],
    "Reasoning": [],
    "Domains": ["d"],
    "Input_language": ["English"],
    "Output_language": ["English"],
    "Instruction_language": ["English"],
    "Instance License": ["MIT"],
    "Definition": "Count the words",
    "Positive Examples": [EXAMPLE],
    "Negative Examples": [EXAMPLE],
}
INSTANCE = {"id": "i", "input": "up and down", "output": ["3", "three"]}


class Spread(BenchContext):
    """A bench whose rows are handled by spawned processes, two rows at a time."""

    def map(self, function: Any, items: Any) -> Iterator[Any]:
        from itune_core.engine.local import map_local

        return map_local(function, items, workers=2, chunk=2)


def outcomes(path: Any, folder: Path, bench: type[BenchContext] = BenchContext, **options: Any) -> list[Any]:
    models = options.pop("models", {})
    component = SuperNI(SuperNI.Config(path=path, **options))
    return list(component.itune_format(context=bench(folder, models=models)))


def name(outcome: Any) -> str:
    return "record" if isinstance(outcome, Record) else getattr(outcome, "reason", getattr(outcome, "code", ""))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80)
@given(changes=st.dictionaries(st.sampled_from([*INSTANCE, "more"]), JSON, min_size=1), odd=JSON)
def test_any_json_in_an_instance(tmp_path: Path, changes: dict[str, Any], odd: Any) -> None:
    path = tmp_path / "task1.json"
    path.write_text(json.dumps({**TASK, "Instances": [INSTANCE, {**INSTANCE, **changes}, odd, INSTANCE]}), "utf-8")
    (_, first), *between, (_, last) = outcomes(str(path), tmp_path, encoding="drawn")
    assert dict(first) == dict(last)
    assert len(between) == 2
    assert all(isinstance(item, (Record, Drop, Failed)) for _, item in between)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80)
@given(changes=st.dictionaries(st.sampled_from([*TASK, "Instances", "more"]), JSON, min_size=1, max_size=3))
def test_any_json_in_a_task(tmp_path: Path, changes: dict[str, Any]) -> None:
    (tmp_path / "task1.json").write_text(json.dumps({**TASK, "Instances": [INSTANCE], **changes}), "utf-8")
    (tmp_path / "task2.json").write_text(json.dumps({**TASK, "Instances": [INSTANCE]}), "utf-8")
    found = outcomes(str(tmp_path), tmp_path, encoding="drawn")
    assert isinstance(found[-1][1], Record)
    if "Instances" not in changes:
        assert len(found) == 2


def test_neither_the_order_of_files_nor_processes_decide_anything(tmp_path: Path, tiny_folder: Path) -> None:
    paths = []
    for number in range(3):
        path = tmp_path / f"task{number}.json"
        instances = [{**INSTANCE, "input": f"word {item}"} for item in range(5)]
        path.write_text(json.dumps({**TASK, "Instances": instances}), "utf-8")
        paths.append(str(path))
    options: dict[str, Any] = {
        "encoding": "drawn",
        "budget": {"tokens": 60, "tokenizer": "student"},
        "models": {"student": ModelSource(tiny_folder, "transformers", "tiny", "tiny")},
    }

    def by_place(found: list[Any]) -> dict[str, Any]:
        return {where: dict(item) if isinstance(item, Record) else item for where, item in found}

    whole = by_place(outcomes(paths, tmp_path, **options))
    assert len(whole) == 15
    assert any(isinstance(item, dict) for item in whole.values())
    assert by_place(outcomes(paths[::-1], tmp_path, **options)) == whole
    assert by_place(outcomes(paths, tmp_path, Spread, **options)) == whole


def test_all_of_the_task_files(real: Any, tmp_path: Path) -> None:
    folder = real("natural_instructions/tasks")
    found = outcomes(folder, tmp_path, encoding="drawn")
    assert Counter(name(item) for _, item in found) == {"record": 3000}
    assert len({record["task"] for _, record in found}) == 30
    assert len({record["category"] for _, record in found}) == 28
    assert {record["language"] for _, record in found} == {"en"}
    for where, record in found:
        path, _, place = where.rpartition("#Instances")
        raw = json.loads(Path(path).read_text("utf-8"))["Instances"][int(place[1:-1])] if place == "[0]" else None
        if raw is not None:
            assert record["references"] == raw["output"]
            assert record["messages"][-1]["content"] in raw["output"]
            assert raw["input"].strip() in record["messages"][0]["content"]
    shown = Counter(json.loads(record["meta"])["shown"]["negative"] for _, record in found)
    assert sum(count for negative, count in shown.items() if negative) == 576  # a fifth of them, drawn


def test_the_splits_of_the_task_files(real: Any, tmp_path: Path) -> None:
    folder, splits = real("natural_instructions/tasks"), Path(real("natural_instructions/splits/here"))
    test = outcomes(folder, tmp_path, tasks=str(splits / "test_tasks.txt"), instances=100)
    train = outcomes(folder, tmp_path, tasks=str(splits / "train_tasks.txt"), instances=20, choose="random")
    assert (len(test), len(train)) == (1200, 360)
    assert not {record["task"] for _, record in test} & {record["task"] for _, record in train}


@pytest.mark.parametrize(
    ("budget", "expected"), [(2000, {"record": 2892, "over-budget": 108}), (1000, {"record": 2360, "over-budget": 640})]
)
def test_within_a_budget(real: Any, tmp_path: Path, budget: int, expected: dict[str, int]) -> None:
    found = outcomes(real("natural_instructions/tasks"), tmp_path, budget={"characters": budget})
    assert Counter(name(item) for _, item in found) == expected
    for _, item in found:
        if isinstance(item, Record):
            question = item["messages"][0]["content"]
            assert len(question) <= budget
            assert question.startswith(json.loads(item["meta"])["definition"].strip())
