"""From prompts to candidates to what trainers read, on a two-layer model and a reward model of that size, through the
command line."""

from __future__ import annotations

import json
import math
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

RECIPE = """
itune: 1
name: choosing
seed: 3
models:
  tiny:  {{backend: transformers, model: "{tiny}", dtype: float32, device: cpu}}
  judge: {{backend: transformers, model: "{judge}", dtype: float32, device: cpu}}
steps:
  asked: {{uses: formatters/prompts, with: {{path: prompts.jsonl}}}}
  drawn: {{uses: generators/candidates, from: asked, with: {{policy: tiny, n: 6, max_tokens: 5, unfinished: keep}}}}
  best:  {{uses: generators/best-of-n, from: drawn, with: {{reward: judge}}}}
  rated: {{uses: generators/best-of-n, from: drawn, with: {{reward: judge, keep: all}}}}
  rso:
    uses: generators/rejection-sampling
    from: drawn
    with: {{reward: judge, accept: 4, beta: 0.2, pairs: tournament}}
  pairs: {{uses: generators/pairs, from: rated, with: {{by: adjacent, labels: soft}}}}
"""
TRAINED = """
  raft:  {{uses: trainers/sft, from: best, with: {{model: tiny, dtype: float32, max_length: 64}}}}
  rrhf:  {{uses: trainers/rrhf, from: rated, with: {{model: tiny, dtype: float32, max_length: 64}}}}
  tuned: {{uses: trainers/rso-sigmoid, from: rso, with: {{model: tiny, dtype: float32, max_length: 64}}}}
  dpo:   {{uses: trainers/dpo, from: pairs, with: {{model: tiny, dtype: float32, max_length: 64}}}}
"""
QUESTIONS = ["Why is the sky blue?", "Sort: 3, 1, 2.", "Write a letter.", "Name {{ a }} {% tree %}."]

Run = Callable[..., Any]


@pytest.fixture
def itune(tmp_path: Path) -> Run:
    """Runs a command beside the recipe and gives what it printed as JSON."""
    lines = (json.dumps({"prompt": question}) + "\n" for question in QUESTIONS)
    (tmp_path / "prompts.jsonl").write_text("".join(lines))

    def run(*arguments: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-m", "itune_core.cli.main", *arguments, "--json"],
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout)

    return run


def answers(folder: Path) -> int:
    """How many answers of models stand in the journal."""
    with sqlite3.connect(folder / ".itune" / "journal.sqlite") as journal:
        [[count]] = journal.execute("SELECT COUNT(*) FROM answers")
    return int(count)


def said(turns: list[dict[str, Any]]) -> str:
    return str(turns[-1]["content"])


def test_one_set_of_candidates_serves_every_way_to_choose(
    tmp_path: Path, tiny_folder: Path, tiny_reward_folder: Path, itune: Run
) -> None:
    recipe = RECIPE.format(tiny=tiny_folder, judge=tiny_reward_folder)
    (tmp_path / "recipe.yaml").write_text(recipe)
    steps = itune("run", "recipe.yaml")["steps"]
    for name in ("drawn", "best", "rated", "rso", "pairs"):
        counts = steps[name]["counts"]
        assert (counts["used"], counts["dropped"], counts["failed"]) == (4, {}, {}), name

    made = {name: itune("show", name, "--rows", "40")["rows"]["records"] for name in ("best", "rated", "rso", "pairs")}
    for best, rated in zip(made["best"], made["rated"], strict=True):
        scores = [one["score"] for one in rated["candidates"]]
        assert scores == sorted(scores, reverse=True)
        assert said(best["messages"]) == said(rated["candidates"][0]["completion"])
        assert json.loads(best["meta"])["best_of_n"]["reward"] == scores[0]
        assert best["parents"] == rated["parents"]
    assert {len(one["candidates"]) for one in made["rated"]} <= {5, 6}  # random bytes are not always text

    rewards = {said(one["completion"]): one["score"] for rated in made["rated"] for one in rated["candidates"]}
    assert len(made["rso"]) == 12
    for pair in (*made["rso"], *made["pairs"]):
        better, worse = (rewards[said(pair[side])] for side in ("chosen", "rejected"))
        assert pair["margin"] == better - worse > 0
    assert all(0.5 < pair["probability"] <= 1 for pair in made["pairs"])
    assert all(pair["probability"] is None for pair in made["rso"])

    events = [path.read_text() for path in tmp_path.glob(".itune/runs/*/events.jsonl")]
    assert '"kl_bound"' in events[0]
    assert '"acceptance_rate"' in events[0]

    paid = answers(tmp_path)
    assert paid == 4 * 6 + len(rewards)
    changed = recipe.replace("{reward: judge}", "{reward: judge, n: 2}").replace("beta: 0.2", "beta: 5")
    (tmp_path / "recipe.yaml").write_text(changed)
    itune("run", "recipe.yaml")
    best = itune("show", "best", "--rows", "4")["rows"]["records"]
    assert [json.loads(record["meta"])["best_of_n"]["n"] for record in best] == [2] * 4
    assert answers(tmp_path) == paid


@pytest.mark.slow
def test_trainers_read_what_was_chosen(tmp_path: Path, tiny_folder: Path, tiny_reward_folder: Path, itune: Run) -> None:
    (tmp_path / "recipe.yaml").write_text((RECIPE + TRAINED).format(tiny=tiny_folder, judge=tiny_reward_folder))
    steps = itune("run", "recipe.yaml")["steps"]
    metrics = {name: itune("show", name)["metrics"] for name in ("raft", "rrhf", "tuned", "dpo")}
    assert steps["rso"]["counts"]["created"] == steps["tuned"]["counts"]["used"] == 12
    assert steps["pairs"]["counts"]["created"] == steps["dpo"]["counts"]["used"] > 12
    assert steps["raft"]["counts"]["used"] == steps["rrhf"]["counts"]["used"] == 4
    assert all(math.isfinite(found["loss"]) and found["supervised_tokens"] > 0 for found in metrics.values())
