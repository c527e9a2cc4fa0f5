"""Readers in whole runs: what is found out of files stands in key, plan and record; standard input is data like any."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Itune = Callable[..., subprocess.CompletedProcess[str]]

KOREAN = [
    {"instruction": f"{number}번째 나무의 이름을 말해 주세요.", "input": "", "output": "물푸레나무라고 부릅니다."}
    for number in range(12)
]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in KOREAN)


def recipe(folder: Path, settings: dict[str, Any]) -> None:
    step = json.dumps({"uses": "formatters/alpaca", "with": settings})
    (folder / "recipe.yaml").write_text(f"itune: 1\nname: reading\nsteps:\n  rows: {step}\n")


def facts(itune: Itune, step: str = "rows") -> dict[str, Any]:
    return json.loads(itune("show", step, "--json", "--rows", "50").stdout)  # type: ignore[no-any-return]


def test_a_detected_encoding_is_seen_and_kept(itune: Itune, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_bytes(LINES.encode("cp949"))
    recipe(tmp_path, {"path": "rows.jsonl", "reading": {"encoding": "detect"}})
    assert "jsonl in cp949" in itune("plan", "recipe.yaml").stdout
    planned = json.loads(itune("plan", "recipe.yaml", "--json").stdout)["steps"][0]
    assert planned["settled"] == {"reading.format": "jsonl", "reading.encoding": "cp949"}
    itune("run", "recipe.yaml")
    shown = facts(itune)
    assert shown["parts"]["config"]["reading"]["encoding"] == "cp949"
    assert [row["messages"][-1]["content"] for row in shown["rows"]["records"]] == [row["output"] for row in KOREAN]
    assert "read as jsonl in cp949" in itune("show", "rows").stdout
    recipe(tmp_path, {"path": "rows.jsonl", "reading": {"encoding": "cp949"}})  # to say what was found re-runs nothing
    assert "cached" in itune("plan", "recipe.yaml").stdout


def test_undeclared_it_fails_and_says_what_to_set(itune: Itune, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_bytes(LINES.encode("cp949"))
    recipe(tmp_path, {"path": "rows.jsonl"})
    failed = itune("run", "recipe.yaml", code=4).stderr
    assert "rows.jsonl:1: not UTF-8: byte 0xb9" in failed
    assert "encoding: detect" in failed


def test_the_format_is_in_the_key_and_the_name_is_not(itune: Itune, tmp_path: Path) -> None:
    table = "instruction,output\nName a tree.,The ash.\n"
    for name in ("rows.csv", "copy.csv", "rows.txt"):
        (tmp_path / name).write_text(table)
    keys = []
    for settings in (
        {"path": "rows.csv"},
        {"path": "copy.csv"},
        {"path": "rows.txt", "reading": {"format": "csv"}},
        {"path": "rows.csv", "reading": {"header": ["instruction", "output"]}},
    ):
        recipe(tmp_path, settings)
        itune("run", "recipe.yaml")
        keys.append(facts(itune)["key"])
    assert len(set(keys[:3])) == 1
    assert keys[3] != keys[0]


def test_standard_input_is_data_like_any(itune: Itune, tmp_path: Path) -> None:
    recipe(tmp_path, {"path": "-", "reading": {"format": "jsonl"}})
    itune("run", "recipe.yaml", stdin=LINES)
    first = facts(itune)
    assert first["counts"]["used"] == len(KOREAN)
    itune("run", "recipe.yaml", stdin=LINES)
    assert facts(itune)["reused"]
    itune("run", "recipe.yaml", stdin=LINES + "{broken\n", code=4)
    (tmp_path / "rows.jsonl").write_text(LINES)
    recipe(tmp_path, {"path": "rows.jsonl"})
    itune("run", "recipe.yaml")
    assert facts(itune)["key"] == first["key"]


def test_standard_input_must_say_its_format(itune: Itune, tmp_path: Path) -> None:
    recipe(tmp_path, {"path": "-"})
    assert "E-DATA-023" in itune("run", "recipe.yaml", stdin=LINES, code=4).stderr
    recipe(tmp_path, {"path": ["-", "-"], "reading": {"format": "jsonl"}})
    itune("run", "recipe.yaml", stdin=LINES)
    assert facts(itune)["counts"]["used"] == 2 * len(KOREAN)


@pytest.mark.parametrize("rows", ["-", "*.csv", "rows.csv"])
def test_trying_on_standard_input_and_globs(rows: str, itune: Itune, tmp_path: Path) -> None:
    table = "instruction,output\n" + "".join(f"{row['instruction']},{row['output']}\n" for row in KOREAN)
    (tmp_path / "rows.csv").write_text(table)
    done = itune("try", "formatters/alpaca", "--rows", rows, "--with", "reading={format: csv}", stdin=table)
    made = [json.loads(line) for line in done.stdout.splitlines()]
    assert [item["record"]["messages"][-1]["content"] for item in made] == [row["output"] for row in KOREAN]
    assert made[0]["item"].endswith(":2")


def test_trying_other_stages_on_standard_input(itune: Itune) -> None:
    turns = [{"role": "user", "content": "A tree?"}, {"role": "assistant", "content": "The ash."}]
    settings = ("--with", "total={max_words: 9}")
    done = itune("try", "filters/length", "--rows", "-", *settings, stdin=json.dumps({"messages": turns}) + "\n")
    assert "keep" in done.stdout
    assert "E-TRY-005" in itune("try", "filters/length", *settings, code=2).stderr


def test_offline_a_hub_data_set_is_refused(itune: Itune, tmp_path: Path) -> None:
    recipe(tmp_path, {"hub": {"repo": "acme/trees", "revision": "v1"}})
    itune("plan", "recipe.yaml")  # which looks at nothing but the recipe
    assert "E-DATA-029" in itune("run", "recipe.yaml", "--offline", code=4, HF_HUB_OFFLINE="").stderr
