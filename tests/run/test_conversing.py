"""Commands that look at a run with its model's eyes: chat, inspect, init and try."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]

RECIPE = """
itune: 1
name: talk
vars: {{rows: nowhere.jsonl}}
models:
  tiny: {{backend: transformers, model: "{tiny}"}}
steps:
  rows:    {{uses: formatters/alpaca, with: {{path: "${{vars.rows}}"}}}}
  sft:     {{uses: trainers/sft, from: rows, with: {{model: tiny, max_length: 512}}}}
  answers: {{uses: generators/distill, from: rows, with: {{model: sft, max_tokens: 4, unfinished: keep}}}}
"""


@pytest.fixture
def ran(tmp_path: Path, tiny: Path, rows: Path, itune: Run) -> Run:
    """``itune`` beside a run whose recipe needs its overrides to compile."""
    (tmp_path / "recipe.yaml").write_text(RECIPE.format(tiny=tiny))
    itune("run", "recipe.yaml", "--set", "vars.rows=rows.jsonl")
    return itune


def test_chat_answers_each_line_of_the_latest_run(ran: Run) -> None:
    for model in ("sft", "tiny"):
        done = ran("chat", model, "--max-tokens", "4", stdin="Count to 2.\nAnd on.\n\nnot read\n")
        assert done.stdout.count("> ") == 3
        again = ran("chat", model, "--max-tokens", "4", stdin="Count to 2.\nAnd on.\n")
        assert again.stdout == done.stdout  # greedy
    assert "E-STORE-004" in ran("chat", "rows", code=1).stderr


def test_inspect_shows_tokens_and_what_is_trained(ran: Run) -> None:
    done = ran("inspect", "recipe.yaml", "sft", "--tokens", "--rows", "2", "--json", "--set", "vars.rows=rows.jsonl")
    shown = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(shown) == 2
    trained = "".join(text for text, flag in shown[0]["tokens"] if flag)
    assert trained.startswith("0.")
    assert "Count" not in trained
    assert "Count to 1." in "".join(text for text, _ in shown[0]["tokens"])


def test_inspect_renders_the_prompt_that_is_asked(ran: Run) -> None:
    done = ran("inspect", "recipe.yaml", "answers", "--prompt", "1", "--set", "vars.rows=rows.jsonl")
    assert "<|im_start|>user\nCount to 2.\n\ncase 1<|im_end|>" in done.stdout
    assert done.stdout.rstrip().endswith("<|im_start|>assistant")


POOL = """
itune: 1
name: pool
models:
  tiny: {{backend: transformers, model: "{tiny}"}}
steps:
  rows:  {{uses: formatters/alpaca, with: {{path: rows.jsonl}}}}
  grown: {{uses: generators/self-instruct, from: rows, with: {{model: tiny, instructions: 1}}}}
"""


def test_inspect_shows_what_is_asked_for_a_whole_data_set(tmp_path: Path, tiny: Path, rows: Path, itune: Run) -> None:
    (tmp_path / "recipe.yaml").write_text(POOL.format(tiny=tiny))
    itune("run", "recipe.yaml", "--only", "rows")
    shown = itune("inspect", "recipe.yaml", "grown", "--prompt", "0").stdout
    assert "Count to " in shown, "the seeds stand in the prompt"
    none = itune("inspect", "recipe.yaml", "rows", "--prompt", "0", code=2)
    assert "E-INSPECT-002" in none.stderr


def test_init_writes_a_recipe_that_checks_and_overwrites_nothing(itune: Run) -> None:
    itune("init", "mine")
    assert "13 steps" in itune("check", "mine/recipe.yaml").stdout
    assert "E-INIT-001" in itune("init", "mine", code=1).stderr


def test_try_runs_one_component_without_a_store(itune: Run, rows: Path, tmp_path: Path, tiny: Path) -> None:
    done = itune("try", "formatters/alpaca", "--rows", "rows.jsonl", "--limit", "3")
    records = [json.loads(line)["record"] for line in done.stdout.splitlines()]
    assert len(records) == 3
    (tmp_path / "records.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    kept = itune("try", "filters/length", "--rows", "records.jsonl", "--with", "response={max_words: 2}")
    assert [list(json.loads(line))[1] for line in kept.stdout.splitlines()] == ["keep", "keep", "drop"]
    scored = itune("try", "scorers/perplexity", "--rows", "records.jsonl", "--with", f"model={tiny}")
    values = [json.loads(line)["values"] for line in scored.stdout.splitlines()]
    assert all(value["perplexity"] > 1 for value in values)
    assert not (tmp_path / ".itune").exists()
    wrong = itune("try", "filters/length", "--rows", "records.jsonl", "--with", "max=2", code=2)
    assert "E-TRY-003" in wrong.stderr
