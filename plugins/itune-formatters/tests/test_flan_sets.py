from __future__ import annotations

from pathlib import Path

import pytest

from itune_core.api import DataError
from itune_formatters.tasks.flan_sets import PACKAGED, RATIONALE, packaged_set, read_set
from itune_formatters.tasks.surface import NUMERALS, draw_style


@pytest.mark.parametrize("name", PACKAGED)
def test_the_sets_of_the_package(name: str) -> None:
    found = packaged_set(name)  # type: ignore[arg-type]
    assert found.task.replace(" ", "-") == name
    assert len(found.wordings) == 10
    assert 1 <= sum(wording.turned for wording in found.wordings) <= 3
    values = {slot: f"<{slot}>" for slot in {*found.slots, RATIONALE}}
    questions = set()
    for wording in found.wordings:
        question = wording.question(values, "<options>")
        questions.add(question)
        assert question.count("<options>") == 1
        assert "\n\n\n" not in wording.question(values)
        assert "{" not in question
        assert question == question.strip()
    assert len(questions) == 10


def test_every_set_is_published() -> None:
    import itune_formatters.tasks

    folder = Path(itune_formatters.tasks.__file__).parent / "sets"
    assert sorted(path.stem for path in folder.glob("*.yaml")) == sorted(PACKAGED)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("[]", "no text `task`"),
        ("task: a", "no list `templates`"),
        ("task: a\ntemplates: [1]", "the texts `input` and `target`"),
        ("task: a\ntemplates: [{input: '{a}'}]", "the texts `input` and `target`"),
        ("task: a\ntemplates: [{input: '{a}', target: '{b}', more: 1}]", "it has more"),
        ("task: a\ntemplates: [{input: '{a}', target: '{b}', turned: 1}]", "`turned` must be"),
        ("task: a\ntemplates: [{input: '{a', target: '{b}'}]", "expected '}'"),
        ("task: a\ntemplates: [{input: '{a.b}', target: '{b}'}]", "{a.b} is no slot"),
        ("task: a\ntemplates: [{input: '{a!r}', target: '{b}'}]", "{a} is no slot"),
        ("task: a\ntemplates: [{input: '{a:9999}', target: '{b}'}]", "{a} is no slot"),
        ("task: a\ntemplates: [{input: '{}', target: '{b}'}]", "{} is no slot"),
        ("task: a\ntemplates: [{input: 'x {options}', target: '{b}'}]", "{options} may stand once"),
        ("task: a\ntemplates: [{input: '{a}', target: '{options}'}]", "{options} may stand once"),
        ("task: a\ntemplates: [{input: '{a}', target: 'b'}]", "no slot"),
        ("task: a\ntemplates: [{input: '{a}', target: '{rationale}'}]", "only a turned template"),
        ("task: a\ntemplates: [{input: '{a}', target: '{b}', turned: true}]", "all templates turn"),
        ("task: a\ntemplates: [{input: '{a}', target: '{b}'}, {input: '{c}', target: '{b}'}]", "slots: a, c"),
    ],
)
def test_a_file_that_is_no_set(tmp_path: Path, content: str, why: str) -> None:
    path = tmp_path / "set.yaml"
    path.write_text(content, "utf-8")
    with pytest.raises(DataError) as caught:
        read_set(path)
    assert caught.value.code == "E-FORMAT-072"
    assert why in caught.value.what


def test_braces_are_doubled(tmp_path: Path) -> None:
    path = tmp_path / "set.yaml"
    path.write_text("task: a\ntemplates: [{input: '{{{a}}}', target: '{b}'}]", "utf-8")
    [wording] = read_set(path).wordings
    assert wording.question({"a": "x"}) == "{x}"


def test_marks_never_run_out() -> None:
    import random

    assert [NUMERALS[3](index) for index in (0, 3, 8, 13, 48)] == ["i", "iv", "ix", "xiv", "xlix"]
    for seed in range(100):
        style = draw_style(random.Random(seed), 60)
        assert len(style.marks) == 60
        assert len(set(style.marks)) in (1, 60)
        assert style.block(["x", "y"]).splitlines() == [style.header, f"{style.marks[0]} x", f"{style.marks[1]} y"]
