from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from itune_core.api import DataError, Drop, Failed, ModelSource, Record
from itune_core.testing import BenchContext
from itune_formatters.tasks.superni import ENCODINGS, Encoding, SuperNI

TASK: dict[str, Any] = {
    "Contributors": ["Nobody"],
    "Source": ["made up", "by hand"],
    "URL": ["https://example.org"],
    "Categories": ["Counting", "Tagging"],
    "Reasoning": ["Numerical"],
    "Definition": ["Say how many words there are", "a second one, which is not read"],
    "Input_language": ["English", "Korean"],
    "Output_language": ["Korean"],
    "Instruction_language": ["English"],
    "Domains": ["Books"],
    "Positive Examples": [
        {"input": "one two", "output": "2", "explanation": "There are two"},
        {"input": "a b c!", "output": "3", "explanation": "a, b and c."},
        {"input": "not shown", "output": "2", "explanation": ""},
    ],
    "Negative Examples": [
        {"input": "one", "output": "none", "explanation": "It is one"},
        {"input": "two of", "output": "1", "explanation": "It is two"},
    ],
    "Instances": [{"id": "w-1", "input": " up and down\n", "output": ["셋", "세 개"], "seen": 4}],
    "Instance License": ["CC BY 4.0", "MIT"],
}

Load = Callable[..., list[tuple[str, Any]]]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Runs the formatter over task files given as values; every outcome with where it stands."""

    def load(*tasks: Mapping[str, Any], **settings: Any) -> list[tuple[str, Any]]:
        folder = tmp_path / "tasks"
        folder.mkdir(exist_ok=True)
        for number, task in enumerate(tasks):
            (folder / f"task{number}_made_up.json").write_text(json.dumps(task), "utf-8")
        component = SuperNI(SuperNI.Config(path=str(folder), **settings))
        return list(component.itune_format(context=BenchContext(tmp_path)))

    return load


def turns(record: Record) -> list[tuple[str, str]]:
    return [(turn["role"], turn["content"]) for turn in record["messages"]]


def task(*instances: Any, **fields: Any) -> dict[str, Any]:
    return {**TASK, **fields, **({"Instances": list(instances)} if instances else {})}


DEFINITION = "Say how many words there are."
ASKED = "Input: up and down.\nResponse:"
EXAMPLES = "Example 1:\nInput: one two.\nResponse: 2.\n\nExample 2:\nInput: a b c!\nResponse: 3."
WRONG = (
    "Example of a wrong response 1:\nInput: one.\nResponse: none.\n\n"
    "Example of a wrong response 2:\nInput: two of.\nResponse: 1."
)
EXPLAINED = (
    "Example 1:\nInput: one two.\nResponse: 2.\nExplanation: There are two.\n\n"
    "Example 2:\nInput: a b c!\nResponse: 3.\nExplanation: a, b and c."
)
QUESTIONS = {
    ENCODINGS[0]: f"{DEFINITION}\n\nup and down.",
    ENCODINGS[1]: f"{EXAMPLES}\n\n{ASKED}",
    ENCODINGS[2]: f"{DEFINITION}\n\n{EXAMPLES}\n\n{ASKED}",
    ENCODINGS[3]: f"{DEFINITION}\n\n{EXAMPLES}\n\n{WRONG}\n\n{ASKED}",
    ENCODINGS[4]: f"{DEFINITION}\n\n{EXPLAINED}\n\n{ASKED}",
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_five_encodings_in_full(load: Load, encoding: Encoding) -> None:
    [(_, record)] = load(TASK, encoding=encoding, reference="first")
    assert turns(record) == [("user", QUESTIONS[encoding]), ("assistant", "셋")]


def test_an_encoding_is_drawn_for_each_instance_and_all_are_as_likely(load: Load) -> None:
    asked = [{"input": f"word {number}", "output": ["2"]} for number in range(1000)]
    found = Counter(
        json.dumps(json.loads(record["meta"])["shown"], sort_keys=True)
        for _, record in load(task(*asked), encoding="drawn")
    )
    assert len(found) == 5
    assert all(150 < count < 250 for count in found.values())  # 200 each, four standard deviations


def test_what_else_the_record_holds(load: Load) -> None:
    [(where, record)] = load(TASK)
    assert where.endswith("task0_made_up.json#Instances[0]")
    columns = ("task", "category", "language", "license", "references")
    assert [record[column] for column in columns] == [
        "task0_made_up",
        "Counting",
        "ko",
        "CC BY 4.0; MIT",
        ["셋", "세 개"],
    ]
    assert json.loads(record["meta"]) == {
        "definition": "Say how many words there are",
        "data_sets": ["made up", "by hand"],
        "urls": ["https://example.org"],
        "domains": ["Books"],
        "reasoning": ["Numerical"],
        "categories": ["Counting", "Tagging"],
        "input_languages": ["English", "Korean"],
        "output_languages": ["Korean"],
        "instruction_languages": ["English"],
        "instance": {"id": "w-1", "seen": 4},
        "shown": {"definition": True, "positive": 2, "negative": 0, "explanations": False},
    }


def test_answers_in_several_languages_have_no_language(load: Load) -> None:
    [(_, record)] = load(task(Output_language=["English", "Klingon"]))
    assert record["language"] is None
    [(_, record)] = load(task(Output_language="Klingon"))
    assert record["language"] == "Klingon"


def test_the_answer_to_learn_is_drawn_and_every_one_is_kept(load: Load) -> None:
    asked = [{"input": str(number), "output": ["a", " ", "b "]} for number in range(200)]
    found = [record for _, record in load(task(*asked))]
    drawn = Counter(record["messages"][1]["content"] for record in found)
    assert drawn.keys() == {"a", "b "}
    assert 70 < drawn["a"] < 130
    assert all(record["references"] == ["a", " ", "b "] for record in found)


def test_a_frame_is_of_any_language_and_form(load: Load) -> None:
    [(_, record)] = load(
        TASK,
        frame={"language": "ko", "demonstrations": "turns"},
        encoding={"positive": 1, "negative": 1, "explanations": True},
        reference="first",
    )
    wrong = "잘못된 답변의 예시 1:\n입력: one.\n답변: none.\n설명: It is one."
    assert turns(record) == [
        ("user", f"{DEFINITION}\n\n{wrong}\n\n입력: one two.\n답변:"),
        ("assistant", "2.\n\n설명: There are two."),
        ("user", "up and down."),
        ("assistant", "셋"),
    ]


def test_instances_first_and_random(load: Load) -> None:
    asked = [{"input": str(number), "output": ["a"]} for number in range(300)]

    def inputs(asked: list[Any], **settings: Any) -> list[str]:
        found = load(task(*asked), encoding={"definition": False, "positive": 0}, **settings)
        return [record["messages"][0]["content"].rstrip(".") for _, record in found]

    assert inputs(asked, instances=5) == ["0", "1", "2", "3", "4"]
    drawn = inputs(asked, instances=50, choose="random")
    assert len(set(drawn)) == 50
    assert drawn == sorted(drawn, key=int)
    assert max(map(int, drawn)) > 200
    assert sorted(inputs(asked[::-1], instances=50, choose="random")) == sorted(drawn)  # whatever their order


def test_tasks_of_a_list(load: Load, tmp_path: Path) -> None:
    listed = tmp_path / "train_tasks.txt"
    listed.write_text("\ntask1_made_up\n", "utf-8")
    [(where, _)] = load(TASK, TASK, TASK, tasks=str(listed))
    assert "task1_made_up" in where
    listed.write_text("task1_made_up\ntask8_gone\ntask9_gone\n", "utf-8")
    with pytest.raises(DataError, match=r"2 of 3 tasks have no file: task8_gone, task9_gone") as caught:
        load(tasks=str(listed))
    assert caught.value.code == "E-FORMAT-061"
    listed.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(DataError, match="E-FORMAT-062"):
        load(tasks=str(listed))


def test_files_folders_and_globs(tmp_path: Path, load: Load) -> None:
    load(TASK, TASK)
    (tmp_path / "tasks" / "README.md").write_text("no task", "utf-8")
    (tmp_path / "tasks" / "index.jsonl").write_text("{}", "utf-8")
    folder = tmp_path / "tasks"
    for path in (str(folder), str(folder / "*.json"), [str(folder / "task0_made_up.json"), str(folder)]):
        component = SuperNI(SuperNI.Config(path=path))
        assert len(list(component.itune_format(context=BenchContext(tmp_path)))) == 2
    with pytest.raises(DataError, match="E-FORMAT-060"):
        list(SuperNI(SuperNI.Config(path=str(tmp_path / "none"))).itune_format(context=BenchContext(tmp_path)))


def test_a_renamed_file_is_another_input(load: Load, tmp_path: Path) -> None:
    """The key of a step is made of files' content and of its settled settings, and `task` of the file's name."""
    load(TASK, TASK)
    folder = tmp_path / "tasks"

    def settled() -> list[str]:
        return SuperNI(SuperNI.Config(path=str(folder))).settle(Measured()).names or []

    assert settled() == ["task0_made_up", "task1_made_up"]
    (folder / "task1_made_up.json").rename(folder / "task9_made_up.json")
    assert settled() == ["task0_made_up", "task9_made_up"]


class Measured:
    def get(self, name: str, measure: Callable[[], Any]) -> Any:
        return measure()


def test_a_bad_instance_fails_alone(load: Load) -> None:
    good = {"input": "x", "output": ["1"]}
    bad = [7, {"output": ["1"]}, {"input": None, "output": ["1"]}, {"input": "x", "output": ["1", 2]}, {"input": "x"}]
    outcomes = load(task(good, *bad, {"input": "\ud800", "output": ["1"]}, {"input": "x", "output": []}))
    assert [getattr(item, "code", getattr(item, "reason", "record")) for _, item in outcomes] == [
        "record",
        *["E-FORMAT-065"] * 5,
        "E-DATA-010",
        "no-answer",
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"Definition": []},
        {"Definition": " "},
        {"Definition": "a\u0000"},
        {"Instances": {}},
        {"Categories": [1]},
        {"Positive Examples": {}},
        {"Positive Examples": ["x"]},
        {"Negative Examples": [{"input": "a", "output": ["b"], "explanation": ""}]},
    ],
)
def test_a_bad_task_is_one_failure_and_the_others_are_read(load: Load, fields: dict[str, Any]) -> None:
    (where, bad), (_, good) = load({**TASK, **fields}, TASK)
    assert isinstance(bad, Failed)
    assert bad.code in ("E-FORMAT-064", "E-DATA-010")
    assert where.endswith("task0_made_up.json")
    assert isinstance(good, Record)


@pytest.mark.parametrize("content", ["", "{", "[]", "[1]", '[{"Definition": "a"}, {"Definition": "b"}]', "{} {}"])
def test_a_file_that_is_no_task_is_one_failure(load: Load, tmp_path: Path, content: str) -> None:
    load(TASK)
    (tmp_path / "tasks" / "task0_made_up.json").write_text(content, "utf-8")
    [(where, bad)] = load()
    assert isinstance(bad, Failed)
    assert where.endswith("task0_made_up.json")


def test_examples_that_are_missing_are_not_made_up(load: Load) -> None:
    bare = {**TASK, "Positive Examples": None, "Negative Examples": []}
    [(_, record)] = load(bare, encoding=ENCODINGS[3])
    assert json.loads(record["meta"])["shown"]["positive"] == 0
    [(_, dropped)] = load(bare, encoding=ENCODINGS[1])
    assert dropped == Drop("no-description", "the task has no such example")
    [(_, record)] = load(bare, encoding={"definition": False, "positive": 0})  # nothing was asked to be said
    assert record["messages"][0]["content"] == "up and down."


def test_within_a_budget_examples_are_left_out_and_the_query_never_is(load: Load) -> None:
    whole = QUESTIONS[ENCODINGS[3]]

    def shown(budget: int) -> int | Drop:
        [(_, found)] = load(TASK, encoding=ENCODINGS[3], budget={"characters": budget})
        if isinstance(found, Drop):
            return found
        assert found["messages"][0]["content"].startswith(DEFINITION)
        assert "up and down." in found["messages"][0]["content"]
        parts = json.loads(found["meta"])["shown"]
        return int(parts["positive"] + parts["negative"])

    assert shown(len(whole)) == 4
    assert shown(len(whole) - 1) == 3
    assert shown(len(QUESTIONS[ENCODINGS[2]])) == 2
    assert shown(len(QUESTIONS[ENCODINGS[2]]) - 1) == 1
    alone = len(QUESTIONS[ENCODINGS[0]])
    assert alone == 43
    assert shown(alone) == 0
    assert shown(alone - 1) == Drop("over-budget", "43 characters without any example; the budget is 42")


def test_without_room_for_an_example_nothing_says_what_to_do(load: Load) -> None:
    [(_, dropped)] = load(TASK, encoding=ENCODINGS[1], budget={"characters": 60})
    assert dropped == Drop("no-description", "no example fits")


def test_a_budget_in_tokens_counts_as_the_tokenizer_does(load: Load, tiny_folder: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_folder)
    tokens = len(tokenizer(QUESTIONS[ENCODINGS[2]], add_special_tokens=False)["input_ids"])
    load(TASK)
    source = ModelSource(tiny_folder, "transformers", "tiny", str(tiny_folder))
    for budget, expected in ((tokens, 2), (tokens - 1, 1)):
        component = SuperNI(
            SuperNI.Config(path=str(tmp_path / "tasks"), budget={"tokens": budget, "tokenizer": "student"})
        )
        context = BenchContext(tmp_path, models={"student": source})
        [(_, record)] = component.itune_format(context=context)
        assert isinstance(record, Record)
        assert json.loads(record["meta"])["shown"]["positive"] == expected
