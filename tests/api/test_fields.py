"""What a config field means to the engine is found wherever the field's type stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, ValidationError

from itune_core.api import ComponentConfig, InputFile, ModelRef, Runtime, ScoreColumn, Secret, StepRef
from itune_core.api.fields import INPUT_FILE, MODEL_REF, RUNTIME, SECRET, STEP_REF, marked


class Judge(ComponentConfig):
    model: ModelRef = Field(description="Who judges.")
    key: Secret | None = Field(None, description="Its key.")


class Panel(ComponentConfig):
    kind: Literal["panel"] = "panel"
    judges: list[Judge] = Field(description="All of them.")


class Rule(ComponentConfig):
    kind: Literal["rule"] = "rule"
    file: InputFile = Field(description="The rule.")


class Settings(ComponentConfig):
    path: InputFile | list[InputFile] = Field("rows.jsonl", description="One or several.")
    model: ModelRef | None = Field(None, description="Perhaps.")
    judge: Judge | None = Field(None, description="Nested.")
    by_name: dict[str, Judge] = Field({}, description="By name.")
    weights: Mapping[StepRef, float] = Field({}, description="Keys are not looked at.")
    steps: Sequence[StepRef] = Field((), description="A sequence.")
    pair: tuple[ModelRef, ...] = Field((), description="A tuple.")
    draw: tuple[int, StepRef] | None = Field(None, description="A tuple of two types.")
    arbiter: Annotated[Panel | Rule, Field(discriminator="kind")] | None = Field(None, description="One of two.")
    batch: Runtime[int] = Field(8, description="How, not what.")
    workers: Runtime[list[str]] = Field([], description="A list as a whole.")
    until: Runtime[int | None] = Field(None, description="How, or not at all.")
    plain: str = Field("student", description="A setting.")


def found(**values: Any) -> dict[str, tuple[Any, Any, bool]]:
    """The marks beyond those of a config that sets nothing."""
    usual = {"path", "batch", "workers", "until"} - values.keys()
    marks = {mark.path: (mark.marker, mark.value, mark.many) for mark in marked(Settings(**values))}
    return {path: mark for path, mark in marks.items() if path not in usual}


def test_defaults() -> None:
    assert {mark.path: (mark.marker, mark.value, mark.many) for mark in marked(Settings())} == {
        "path": (INPUT_FILE, "rows.jsonl", False),
        "batch": (RUNTIME, 8, False),
        "workers": (RUNTIME, [], False),
        "until": (RUNTIME, None, False),  # unset, it is no more part of the result than set
    }


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"path": "a"}, {"path": (INPUT_FILE, "a", False)}),
        ({"path": ["a", "b"]}, {"path[0]": (INPUT_FILE, "a", True), "path[1]": (INPUT_FILE, "b", True)}),
        ({"model": "m"}, {"model": (MODEL_REF, "m", False)}),
        (
            {"judge": {"model": "m", "key": "env:K"}},
            {"judge.model": (MODEL_REF, "m", False), "judge.key": (SECRET, "env:K", False)},
        ),
        ({"by_name": {"x": {"model": "m"}}}, {"by_name.x.model": (MODEL_REF, "m", True)}),
        ({"weights": {"s": 1.0}}, {}),
        ({"steps": ["s"]}, {"steps[0]": (STEP_REF, "s", True)}),
        ({"pair": ("m", "n")}, {"pair[0]": (MODEL_REF, "m", True), "pair[1]": (MODEL_REF, "n", True)}),
        ({"draw": (3, "s")}, {"draw[1]": (STEP_REF, "s", True)}),
        (
            {"arbiter": {"kind": "panel", "judges": [{"model": "m"}, {"model": "n"}]}},
            {
                "arbiter.judges[0].model": (MODEL_REF, "m", True),
                "arbiter.judges[1].model": (MODEL_REF, "n", True),
            },
        ),
        ({"arbiter": {"kind": "rule", "file": "r"}}, {"arbiter.file": (INPUT_FILE, "r", False)}),
        ({"workers": ["a"]}, {"workers": (RUNTIME, ["a"], False)}),
        ({"until": 3}, {"until": (RUNTIME, 3, False)}),
        ({"plain": "teacher"}, {}),
    ],
)
def test_marks_are_found(values: dict[str, Any], expected: dict[str, tuple[Any, Any, bool]]) -> None:
    assert found(**values) == expected


def test_a_place_leads_to_the_value() -> None:
    config = Settings(
        path=["a"], judge=Judge(model="m"), by_name={"x.y": Judge(model="n")}, arbiter=Panel(judges=[Judge(model="o")])
    )
    whole = config.model_dump()
    for mark in marked(config):
        value: Any = whole
        for part in mark.place:
            value = value[part]
        assert value == mark.value


class Scored(ComponentConfig):
    by: ScoreColumn = Field(description="One.")
    columns: dict[str, ScoreColumn] = Field({}, description="Several.")
    model: ModelRef = Field("m", description="A model.")


@pytest.mark.parametrize("name", ["score.length", "score.length.response_words", "score.a_1.2", "score.reward.0"])
def test_a_score_column_is_a_step_of_a_scorer_or_a_part_of_it(name: str) -> None:
    config = Scored(by=name, columns={"x": name})
    assert (config.by, config.columns) == (name, {"x": name})
    assert [mark.path for mark in marked(config)] == ["model"]


@pytest.mark.parametrize(
    "name", ["", "length", "score", "score.", "score.A", "score.1", "score.a.b.c", "score.a-b", "score.a\n", " score.a"]
)
def test_no_other_text_is_a_score_column(name: str) -> None:
    for values in ({"by": name}, {"by": "score.a", "columns": {"x": name}}):
        with pytest.raises(ValidationError, match=r"String should match pattern .*score"):
            Scored(**values)


def test_a_config_is_frozen_and_takes_no_other_key() -> None:
    with pytest.raises(ValidationError):
        Judge(model="m", modle="n")
    with pytest.raises(ValidationError):
        Judge(model="m").model = "n"
