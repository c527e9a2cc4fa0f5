"""A task that was written is read as it was."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from itune_core.api import ModelSource
from itune_torch import Encoded
from itune_trainers.launch.files import read, write
from itune_trainers.objectives.preference import Preference
from itune_trainers.rows.example import Example
from itune_trainers.rows.examples import Examples
from itune_trainers.settings import Settings
from itune_trainers.training.task import Task

TOKENS = st.lists(st.tuples(st.integers(0, 2**31 - 1), st.booleans()), min_size=1, max_size=5)


@st.composite
def encoded(draw: st.DrawFn) -> Encoded:
    ids, trained = zip(*draw(TOKENS), strict=True)
    counts = st.integers(0, 9)
    return Encoded(list(ids), list(trained), draw(counts), draw(st.booleans()), draw(counts))


@st.composite
def examples(draw: st.DrawFn, alone: bool) -> list[Example]:
    made = []
    number = st.floats(allow_nan=False)
    for index in range(draw(st.integers(1, 4))):
        rows = tuple(draw(st.lists(encoded(), min_size=1, max_size=3)))
        scores = draw(st.just(()) | st.tuples(*[number] * len(rows)))
        beside = None if alone or draw(st.booleans()) else Example(f"{index}+", (draw(encoded()),))
        made.append(Example(f"r{index}", rows, draw(number), scores, beside))
    return made


@given(kept=examples(alone=False), held_out=st.none() | examples(alone=True), referenced=st.booleans())
def test_round_trip(
    tmp_path_factory: pytest.TempPathFactory, kept: list[Example], held_out: list[Example] | None, referenced: bool
) -> None:
    folder = tmp_path_factory.mktemp("task")
    config = Preference.Config(
        model="tiny", adapter="none", learning_rate=1e-4, objectives={"dpo": {"weight": 1, "beta": 0.3}, "sft": 0.2}
    )
    task = Task(
        objective=Preference(config),
        config=config.model_copy(update={"dtype": "float32", "device": "cpu"}),
        source=ModelSource(folder / "model", "transformers", "digest", "tiny", adapter=folder / "adapter"),
        train_on=Examples(kept=kept),
        held_out=None if held_out is None else Examples(kept=held_out),
        order=[[0], list(range(len(kept)))],
        adapter_seed=2**63 - 1,
        dropout_seed=3,
        fingerprint={"model": "digest", "rate": 0.1, "none": None},
    )
    run = [*task.train_on.run, *(held_out or ())]
    reference = {example.key: torch.rand(len(example.rows)) for example in run} if referenced and not held_out else {}
    write(folder, task, reference, processes=2)
    same, values, beside = read(folder)
    assert type(same.objective) is Preference
    assert same.objective.config == config
    assert same.objective.config.model_fields_set == config.model_fields_set
    for field in fields(Task):
        if field.name not in ("objective", "train_on", "held_out"):
            assert getattr(same, field.name) == getattr(task, field.name), field.name
    assert same.train_on.kept == kept
    assert same.train_on.digest == task.train_on.digest
    assert (same.held_out and same.held_out.kept) == held_out
    assert values.keys() == reference.keys()
    assert all(torch.equal(values[name], reference[name]) for name in reference)
    assert beside == {"processes": 2}


def test_there_is_nothing_in_a_folder_that_runs_code(tmp_path: Path) -> None:
    config = Preference.Config(model="tiny", objectives={"dpo": 1})
    assert isinstance(config, Settings)
    kept = [Example("r", (Encoded([1, 2], [False, True]),))]
    source = ModelSource(tmp_path, "transformers", "digest", "tiny")
    task = Task(Preference(config), config, source, Examples(kept=kept), None, [[0]], 1, 2, {})
    write(tmp_path, task, {})
    assert {path.name for path in tmp_path.iterdir()} == {"task.json", "train.safetensors"}
