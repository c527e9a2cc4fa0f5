"""Fields that clash with others, fields named twice, texts that break what reads them: all of it is kept or told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from itune_core.api import Record
from itune_core.testing import BenchContext
from itune_formatters.conversations.messages import Messages
from itune_formatters.conversations.sharegpt import ShareGPT
from itune_formatters.instructions.alpaca import Alpaca
from itune_formatters.instructions.columns import Columns
from itune_formatters.instructions.self_instruct import SelfInstruct
from itune_formatters.preferences.pairs import Pairs
from itune_formatters.preferences.tldr_comparisons import TLDRComparisons
from itune_formatters.tasks.flan import Flan
from itune_formatters.tasks.superni_tasks import task_files

Run = Callable[..., list[Any]]
Tally = Callable[[list[Any]], dict[str, int]]

DEEP = "[" * 100_000


def meta(record: Record) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(record["meta"])
    return found


def test_tool_calls_nested_without_end_fail_alone(run: Run, tally: Tally) -> None:
    user, called = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}
    rows = [{"messages": [user, {**called, "tool_calls": DEEP}]}, {"messages": [user, called]}]
    assert tally(run(Messages, rows)) == {"E-FORMAT-012": 1, "record": 1}
    asked = {"from": "human", "value": "a"}
    turns = [[asked, {"from": "function_call", "value": DEEP}], [asked, {"from": "gpt", "value": "b"}]]
    assert tally(run(ShareGPT, [{"conversations": each} for each in turns])) == {"E-FORMAT-044": 1, "record": 1}


def test_a_row_and_its_instance_may_name_a_field_alike(run: Run) -> None:
    instance = {"input": "", "output": "b", "id": "inner", "name": "n", "note": "own"}
    row = {"id": "outer", "name": "seed_1", "task": "T", "instruction": "a", "instances": [instance]}
    (record,) = run(SelfInstruct, [row])
    assert record["task"] == "seed_1"
    kept = {"id": "outer", "task": "T", "note": "own", "instance": {"id": "inner", "name": "n"}}
    assert meta(record) == kept


def test_a_category_that_the_subreddit_stands_before_is_kept(run: Run) -> None:
    row = {
        "info": {"post": "p", "subreddit": "pets"},
        "summaries": [{"text": "a"}, {"text": "b"}],
        "choice": 1,
        "split": "train",
        "category": "own",
    }
    (record,) = run(TLDRComparisons, [row])
    assert (record["category"], meta(record)["category"]) == ("pets", "own")


def test_what_the_prompt_of_a_whole_conversation_holds_besides_is_kept(run: Run) -> None:
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    row = {
        "prompt": [{**turns[0], "weight": 3}],
        "chosen": turns,
        "rejected": [turns[0], {**turns[1], "content": "b"}],
    }
    (record,) = run(Pairs, [row], layout="whole")
    assert meta(record) == {"prompt": {"0": {"weight": 3}}}


def test_a_field_whose_name_the_template_sets_anew_is_kept(run: Run) -> None:
    template = "{% set q = 'other' %}{{ q }}"
    (record,) = run(Columns, [{"q": "lost?", "a": "b"}], columns={"instruction": {"template": template}, "output": "a"})
    assert record["messages"][0]["content"] == "other"
    assert meta(record) == {"q": "lost?"}


@pytest.mark.parametrize("order", [1, -1])
def test_no_demonstration_is_shown_twice_and_files_decide_nothing(run: Run, tmp_path: Path, order: int) -> None:
    pool = [{"instruction": f"q{n % 3}", "output": f"o{n}", "category": "x" if n < 6 else "y"} for n in range(12)]
    pool += [{**row, "category": "x"} for row in pool]
    path = tmp_path / "pool.jsonl"
    path.write_text("\n".join(map(json.dumps, pool[::order])), encoding="utf-8")
    rows = [{"instruction": f"ask {n}", "output": "b", "category": "y"} for n in range(20)]
    shown = run(Alpaca, rows, demonstrations={"path": str(path), "count": 4, "same": "category"})
    for record in shown:
        question = record["messages"][0]["content"]
        assert [question.count(f"q{n}") for n in range(3)] == [1, 1, 1]
    path.write_text("\n".join(map(json.dumps, pool)), encoding="utf-8")
    again = run(Alpaca, rows, demonstrations={"path": str(path), "count": 4, "same": "category"})
    assert [dict(record) for record in again] == [dict(record) for record in shown]


def test_flan_shows_no_demonstration_twice(tmp_path: Path) -> None:
    pool, path = tmp_path / "pool.jsonl", tmp_path / "rows.jsonl"
    pool.write_text('{"question": "known?", "answer": "yes"}\n' * 9, encoding="utf-8")
    path.write_text("".join(f'{{"question": "new {n}?", "answer": "no"}}\n' for n in range(30)), encoding="utf-8")
    config = Flan.Config(path=str(path), set="question", few_shot=1, demonstrations={"path": str(pool), "count": 3})
    for _, record in Flan(config).itune_format(context=BenchContext(tmp_path)):
        assert isinstance(record, Record)
        assert meta(record)["template"]["shots"] == 1


def test_superni_takes_the_files_that_the_key_of_the_step_is_made_of(tmp_path: Path) -> None:
    for name in ("task1.json", "task2.json.gz", "_task3.json", ".task4.json", "task5.json.bak", "task6.jsonl"):
        (tmp_path / name).write_text("{}")
    assert [path.name for path in task_files([str(tmp_path)])] == ["task1.json", "task2.json.gz"]
