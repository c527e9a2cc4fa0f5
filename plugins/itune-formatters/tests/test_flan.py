from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from itune_core.api import DataError, Drop, Failed, Record, read_rows
from itune_core.testing import BenchContext
from itune_formatters.tasks.flan import Flan

SET = """\
task: lending
templates:
- input: |-
    {thing}

    Who has it?

    {options}
  target: "{answer}"
- input: "Write down a thing that {answer} has."
  target: "{thing}"
  turned: true
"""
ROW = {"thing": "a saw", "answer": "Bo"}
OPTIONS = [{"constant": "Ana"}, {"constant": "Bo"}]

Make = Callable[..., list[Any]]


@pytest.fixture
def make(run: Any, tmp_path: Path) -> Make:
    """Formats rows with a small set of two templates; every outcome."""

    def make(rows: list[Any], templates: str = SET, **options: Any) -> list[Any]:
        path = tmp_path / "set.yaml"
        path.write_text(templates, "utf-8")
        return list(run(Flan, rows, templates=str(path), **options))

    return make


def pool(folder: Path, rows: list[Any]) -> dict[str, Any]:
    path = folder / "pool.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return {"path": str(path), "count": 2}


def turns(record: Record) -> list[str]:
    return [turn["content"] for turn in record["messages"]]


def told(record: Record) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(record["meta"])["template"]
    return found


def numbered(count: int) -> list[dict[str, str]]:
    return [{**ROW, "note": str(number)} for number in range(count)]


def test_a_plain_question(make: Make) -> None:
    [record] = make([{**ROW, "note": "wet", "category": "tools"}], turned=0)
    assert turns(record) == ["a saw\n\nWho has it?", "Bo"]
    assert (record["task"], record["category"]) == ("lending", "tools")
    assert json.loads(record["meta"]) == {
        "template": {
            "number": 0,
            "turned": False,
            "shots": 0,
            "options_shown": False,
            "chain_of_thought": False,
            "answer_choices": None,
        },
        "row": {"note": "wet"},
    }


def test_options_are_listed_where_the_template_says_in_a_drawn_style(make: Make) -> None:
    found = make(numbered(300), turned=0, show_options=1, options=OPTIONS)
    shown = {turns(record)[0] for record in found}
    for question in shown:
        before, header, first, second = question.rsplit("\n", 3)
        assert before == "a saw\n\nWho has it?\n"
        assert header[-1] in ":."
        assert first.endswith(" Ana")
        assert second.endswith(" Bo")
    assert {turns(record)[1] for record in found} == {"Bo"}  # the text of the right option, never its mark
    firsts = Counter(question.rsplit("\n", 2)[1].removesuffix(" Ana") for question in shown)
    assert {"A.", "a)", "(1)", "[i]", "-"} <= firsts.keys()
    assert len({question.rsplit("\n", 3)[1] for question in shown}) == 8


def test_without_a_place_in_the_template_options_come_last(make: Make) -> None:
    plain = SET.replace("\n\n    {options}", "")
    [record] = make([ROW], plain, turned=0, show_options=1, options=OPTIONS)
    assert turns(record)[0].startswith("a saw\n\nWho has it?\n\n")
    assert turns(record)[0].endswith(" Bo")


def test_the_published_shares(make: Make, tmp_path: Path) -> None:
    others = pool(tmp_path, [{"thing": "a key", "answer": "Ana"}, {"thing": "a rope", "answer": "Bo"}])
    found = [told(record) for record in make(numbered(2000), options=OPTIONS, demonstrations=others)]
    turned = sum(item["turned"] for item in found)
    assert abs(turned / 2000 - 0.3 / 1.3) < 0.04
    forward = Counter((item["shots"] > 0, item["options_shown"]) for item in found if not item["turned"])
    assert len(forward) == 4
    assert all(abs(count / (2000 - turned) - 0.25) < 0.05 for count in forward.values())
    assert {item["shots"] for item in found if not item["turned"]} == {0, 2}
    assert not any(item["options_shown"] for item in found if item["turned"])


def test_demonstrations_are_worded_as_the_question(make: Make, tmp_path: Path) -> None:
    rows = [{"thing": "a key", "answer": "Ana"}, ROW, {"thing": "a rope", "answer": " "}]
    options: dict[str, Any] = {"demonstrations": pool(tmp_path, rows), "few_shot": 1}
    [record] = make([ROW], turned=0, frame={"demonstrations": "turns"}, **options)
    assert turns(record) == ["a key\n\nWho has it?", "Ana", "a saw\n\nWho has it?", "Bo"]
    [record] = make([ROW], turned=10**9, frame={"demonstrations": "turns"}, **options)
    assert turns(record) == ["Write down a thing that Ana has.", "a key", "Write down a thing that Bo has.", "a saw"]
    [record] = make([ROW], turned=0, show_options=1, options=OPTIONS, frame={"demonstrations": "turns"}, **options)
    shown, _, asked, _ = turns(record)
    assert shown.removeprefix("a key") == asked.removeprefix("a saw")  # one style in one conversation


def test_demonstrations_of_the_same_category(make: Make, tmp_path: Path) -> None:
    rows = [{"thing": f"tool {n}", "answer": "Ana", "category": "ab"[n % 2]} for n in range(6)]
    others = {**pool(tmp_path, rows), "count": 9, "same": "category"}
    [record] = make(
        [{**ROW, "category": "a"}], turned=0, few_shot=1, demonstrations=others, frame={"demonstrations": "turns"}
    )
    assert sorted(text[5] for text in turns(record)[:-2:2]) == ["0", "2", "4"]


def test_a_budget_leaves_demonstrations_out(make: Make, tmp_path: Path) -> None:
    others = pool(tmp_path, [{"thing": "k" * 30, "answer": "Ana"}, {"thing": "r" * 30, "answer": "Ana"}])
    shots = {}
    for characters in (18, 19, 100, 130, 200):
        [found] = make(
            [ROW], turned=0, few_shot=1, demonstrations=others, budget={"characters": characters},
            frame={"demonstrations": "turns"},
        )  # fmt: skip
        shots[characters] = told(found)["shots"] if isinstance(found, Record) else found.detail
    # The question has 18 characters; a demonstration 43, its answer 3, and two characters stand between turns.
    assert shots == {18: 0, 19: 0, 100: 1, 130: 2, 200: 2}
    [dropped] = make([ROW], turned=0, budget={"characters": 17})
    assert dropped == Drop("over-budget", "18 characters without any example; the budget is 17")


def test_chain_of_thought(make: Make) -> None:
    reasoned = {**ROW, "rationale": "Bo came by for it."}
    [record] = make([reasoned], turned=0, options=OPTIONS, show_options=0)
    question, answer = turns(record)
    assert answer == "Bo came by for it.\n\nSo the answer is: Bo"
    assert " Ana\n" in question  # what is reasoned always shows its options
    assert question.splitlines()[-1].endswith(".")
    assert record["rationale"] == "Bo came by for it."
    assert told(record)["chain_of_thought"]
    [record] = make([reasoned], turned=0, chain_of_thought=0)
    assert turns(record) == ["a saw\n\nWho has it?", "Bo"]
    assert record["rationale"] == "Bo came by for it."
    [record] = make([{**ROW, "why": ""}], turned=0, slots={"rationale": "why"})
    assert not told(record)["chain_of_thought"]


def test_templates_with_a_rationale_are_for_rows_that_have_one(run: Any) -> None:
    rows = [{"question": f"{n} and {n}?", "answer": str(2 * n)} for n in range(100)]
    plain = run(Flan, rows, set="question", turned=10**9)
    assert {told(record)["number"] for record in plain} == {7}
    reasoned = run(Flan, [{**row, "rationale": "Add."} for row in rows], set="question", turned=10**9)
    assert {told(record)["number"] for record in reasoned} == {7, 8, 9}
    assert {turns(record)[1] for record in reasoned if told(record)["number"] == 8} == {"Add."}


@pytest.mark.parametrize(
    ("row", "options", "outcome"),
    [
        ({"thing": "x"}, {}, "E-FORMAT-031"),
        ({"thing": "x", "answer": ["Bo"]}, {}, "E-FORMAT-035"),
        ({"thing": "x", "answer": None}, {}, "empty-slot"),
        ({"thing": " ", "answer": "Bo"}, {}, "empty-slot"),
        ({"thing": "x", "answer": "Cy"}, {"options": OPTIONS}, "E-FORMAT-074"),
        ({"thing": "x", "answer": "Cy", "all": "Cy"}, {"options": "all"}, "E-FORMAT-074"),
        ({"thing": "x", "label": -1}, {"slots": {"answer": {"field": "label", "choices": OPTIONS}}}, "E-FORMAT-032"),
        ({"thing": "x", "label": 1}, {"slots": {"answer": {"field": "label", "choices": OPTIONS}}}, "record"),
        ({"thing": "x", "answer": "Cy", "all": ["Cy", 3]}, {"options": "all"}, "record"),
    ],
)
def test_rows_that_are_used_dropped_or_fail(
    make: Make, row: dict[str, Any], options: dict[str, Any], outcome: str
) -> None:
    [found] = make([row], **options)
    assert getattr(found, "reason", getattr(found, "code", "record")) == outcome


def test_references(make: Make) -> None:
    [record] = make([{**ROW, "others": ["Bob", "B."]}], references="others")
    assert record["references"] == ["Bob", "B."]


@pytest.mark.parametrize(
    "options",
    [{}, {"set": "reading", "templates": "x.yaml"}, {"set": "poems"}, {"set": "reading", "few_shot": 0.5}],
)
def test_settings_that_do_not_fit(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Flan.Config(path="x.jsonl", **options)


def test_a_slot_that_the_set_does_not_have(make: Make) -> None:
    with pytest.raises(DataError, match="no slot 'owner'") as caught:
        make([ROW], slots={"owner": "who"})
    assert caught.value.code == "E-FORMAT-073"


def test_a_bad_demonstration_stops_the_step(make: Make, tmp_path: Path) -> None:
    for bad in ({"thing": "x"}, {"thing": "a\x00", "answer": "b"}):
        with pytest.raises(DataError, match="E-FORMAT-022"):
            make([ROW], demonstrations=pool(tmp_path, [ROW, bad]))


def test_neither_the_order_of_rows_nor_processes_decide_what_is_drawn(make: Make, tmp_path: Path) -> None:
    class Spread(BenchContext):
        def map(self, function: Any, items: Any) -> Iterator[Any]:
            from itune_core.engine.local import map_local

            return map_local(function, items, workers=2, chunk=3)

    demonstrations = pool(tmp_path, [{"thing": "a key", "answer": "Ana"}, {"thing": "a rope", "answer": "Bo"}])
    make([ROW])  # writes the set

    def made(rows: list[Any], bench: type[BenchContext]) -> list[dict[str, Any]]:
        path = tmp_path / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        component = Flan(
            Flan.Config(
                path=str(path),
                templates=str(tmp_path / "set.yaml"),
                options=OPTIONS,
                demonstrations=demonstrations,
            )
        )
        found = [dict(item) for _, item in component.itune_format(context=bench(tmp_path)) if isinstance(item, Record)]
        assert len(found) == len(rows)
        return sorted(found, key=str)

    rows = numbered(12)
    assert made(rows, BenchContext) == made(rows[::-1], BenchContext) == made(rows, Spread)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80)
@given(changes=st.dictionaries(st.sampled_from([*ROW, "rationale", "all", "task", "references"]), JSON, min_size=1))
def test_any_json_in_a_row(make: Make, changes: dict[str, Any]) -> None:
    good = {**ROW, "all": ["Ana", "Bo"]}
    first, *between, last = make([good, {**good, **changes}, good], options="all")
    assert dict(first) == dict(last)
    assert len(between) == 1
    assert isinstance(between[0], (Record, Drop, Failed))


def test_braces_in_a_row_are_text(make: Make) -> None:
    [record] = make([{"thing": "{answer} {options} {{", "answer": "{thing}"}], turned=0)
    assert turns(record) == ["{answer} {options} {{\n\nWho has it?", "{thing}"]


CHOICES = {"field": "label", "choices": [f"choice{number}" for number in range(5)]}


@pytest.mark.parametrize(
    ("name", "options", "count"),
    [
        ("ja/jcommonsenseqa_400.jsonl.gz", {"set": "question", "slots": {"answer": CHOICES}}, 400),
        (
            "ja/jsquad_200.jsonl.gz",
            {"set": "reading", "slots": {"answer": "answers[0].text"}, "references": "answers[*].text"},
            200,
        ),
    ],
)
def test_real_rows(run: Any, real: Any, name: str, options: dict[str, Any], count: int) -> None:
    path = real(name)
    found = run(Flan, path, demonstrations={"path": path}, frame={"language": "ja"}, **options)
    assert [type(item) for item in found] == [Record] * count
    for raw, record in zip(read_rows([path]), found, strict=True):
        whole = "\n".join(turns(record))
        assert raw["question"] in whole  # type: ignore[index]
        if not told(record)["turned"]:
            right = raw[f"choice{raw['label']}"] if "label" in raw else raw["answers"][0]["text"]  # type: ignore[index]
            assert turns(record)[-1] == right
    shots = Counter(told(record)["shots"] for record in found)
    assert shots.keys() == {0, 2}
