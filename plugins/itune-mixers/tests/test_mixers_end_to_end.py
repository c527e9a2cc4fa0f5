"""Mixers in a run: what reaches the next step, and what the manifest says."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from itune_core.engine import runner
from itune_core.engine.home import Home
from itune_core.engine.project import Project
from itune_core.recipe.errors import RecipeProblems
from itune_core.recipe.plan import compile

STAGES = """
itune: 1
name: two-stages
models:
  tiny: {{backend: transformers, model: "{tiny}"}}
steps:
  tasks: {{uses: formatters/alpaca, with: {{path: tasks.jsonl}}}}
  chats: {{uses: formatters/alpaca, with: {{path: chats.jsonl}}}}
  mixed:
    uses: mixers/stages
    from: {{first: tasks, second: chats}}
    with: {{replay: 0.2, second: {{epochs: 2}}, tokens_of: tiny}}
  sft: {{uses: trainers/sft, from: mixed, with: {{model: tiny, max_length: 256, dtype: float32, device: cpu}}}}
"""

QUALITY = """
itune: 1
name: quality
steps:
  rows:  {variant: source}
  words: {uses: scorers/length, from: rows}
  mixed: {uses: mixers/quality-weighted, from: words, with: {score: score.words.response_words, size: 1000}}
  order: {uses: mixers/curriculum, from: mixed, with: {score: score.words.response_words, steps: 2}}
matrix:
  source:
    short: {uses: formatters/alpaca, with: {path: short.jsonl}}
    long:  {uses: formatters/alpaca, with: {path: long.jsonl}}
"""

FUSION = """
itune: 1
name: fusion
steps:
  short: {uses: formatters/alpaca, with: {path: short.jsonl}}
  long:  {uses: formatters/alpaca, with: {path: long.jsonl}}
  mixed: {uses: mixers/fusion, from: [short, long], with: {size: 4, number: "${matrix.mixture}"}}
matrix:
  mixture: [0, 1, 2]
"""

REPLAY = """
itune: 1
name: replay
models:
  tiny: {{backend: transformers, model: "{tiny}"}}
steps:
  short: {{uses: formatters/alpaca, with: {{path: short.jsonl}}}}
  web:   {{uses: formatters/text, with: {{path: web.jsonl}}}}
  mixed: {{uses: mixers/replay, from: {{records: short, text: web}}, with: {{share: 0.25}}}}
  sft: {{uses: trainers/sft, from: mixed, with: {{model: tiny, max_length: 256, dtype: float32, device: cpu}}}}
"""


FAMILIES = """
itune: 1
name: families
steps:
  short: {uses: formatters/alpaca, with: {path: short.jsonl}}
  long:  {uses: formatters/alpaca, with: {path: long.jsonl}}
  mixed:
    uses: mixers/families
    from: {chat: short, synthetic: [long]}
    with: {shares: {chat: 1, synthetic: 3}, size: 8}
  left:  {uses: filters/exact-duplicates, from: mixed}
"""


def run(folder: Path, recipe: str) -> Mapping[str, Any]:
    """The artifacts of a run of `recipe`, by step."""
    file = folder / "recipe.yaml"
    file.write_text(recipe, "utf-8")
    return runner.run(Project(compile(file), Home(folder / ".itune"))).artifacts


def write(folder: Path, name: str, answers: Sequence[str]) -> None:
    rows = [{"instruction": f"Say {name} {n}.", "input": "", "output": answer} for n, answer in enumerate(answers)]
    (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def test_two_stages_are_trained_in_order(tmp_path: Path, tiny_folder: Path) -> None:
    """12 tasks, then twice 4 chats with one task, as a run does it: mixed, trained on, written down."""
    pytest.importorskip("itune_trainers")
    write(tmp_path, "tasks", [f"task {n}" for n in range(12)])
    write(tmp_path, "chats", [f"chat {n}" for n in range(4)])
    artifacts = run(tmp_path, STAGES.format(tiny=tiny_folder))
    first, second = artifacts["mixed"].manifest["mix"]
    assert [source["drawn"] for source in first["sources"]] == [12, 0]
    assert [source["drawn"] for source in second["sources"]] == [2, 8]
    assert [source["asked"] for source in second["sources"]] == pytest.approx([0.2, 0.8])
    assert [(phase["epochs"], phase["sources"][1]["in_an_epoch"]) for phase in (first, second)] == [(1, 0), (2, 4)]
    assert first["sources"][0]["tokens"] > second["sources"][1]["tokens"] > 0
    assert artifacts["sft"].manifest["metrics"]["records"] == 22


def test_variants_of_a_scorer_are_sources_of_one_column(tmp_path: Path) -> None:
    """Means of 1 and 2 words: e times as many rows of the second. The mix keeps the column, and can be put in order."""
    write(tmp_path, "short", ["Yes.", "No."])
    write(tmp_path, "long", ["Yes indeed.", "No way."])
    artifacts = run(tmp_path, QUALITY)
    (phase,) = artifacts["mixed"].manifest["mix"]
    short, long = phase["sources"]
    assert (short["drawn"], long["drawn"]) == (round(1000 / (1 + math.e)), round(1000 * math.e / (1 + math.e)))
    assert long["asked"] == pytest.approx(math.e / (1 + math.e))
    easy, _ = artifacts["order"].manifest["mix"]
    assert easy["sources"][0]["drawn"] == 500
    assert easy["sources"][0]["distinct"] == 200


def test_a_matrix_makes_many_mixtures(tmp_path: Path) -> None:
    write(tmp_path, "short", ["a", "b", "c", "d", "e"])
    write(tmp_path, "long", ["f", "g", "h", "i", "j"])
    mixtures = [made for name, made in run(tmp_path, FUSION).items() if name.startswith("mixed")]
    asked = {tuple(source["asked"] for source in made.manifest["mix"][0]["sources"]) for made in mixtures}
    assert len(mixtures) == len(asked) == 3
    for made in mixtures:
        assert sum(source["distinct"] for source in made.manifest["mix"][0]["sources"]) == 4


def test_conversations_and_text_are_mixed_and_trained_on(tmp_path: Path, tiny_folder: Path) -> None:
    write(tmp_path, "short", [f"answer {n}" for n in range(6)])
    (tmp_path / "web.jsonl").write_text('{"text": "The river rose in the night."}\n', "utf-8")
    made = run(tmp_path, REPLAY.format(tiny=tiny_folder))
    mixed = made["mixed"].manifest
    records, text = mixed["mix"][0]["sources"]
    assert (records["drawn"], text["drawn"], text["epochs"]) == (6, 2, 2.0)
    assert mixed["outputs"]["records"]["rows"] == 8
    assert made["sft"].manifest["counts"]["used"] == 7


def test_families_may_be_left_out_and_not_all_of_them(tmp_path: Path) -> None:
    write(tmp_path, "short", ["a", "b"])
    write(tmp_path, "long", ["c", "d", "e"])
    made = run(tmp_path, FAMILIES)
    chat, synthetic = made["mixed"].manifest["mix"][0]["sources"]
    assert (chat["drawn"], synthetic["drawn"], synthetic["epochs"]) == (2, 6, 2.0)
    assert made["left"].manifest["outputs"]["records"]["rows"] == 5
    with pytest.raises(RecipeProblems, match="at least one of the inputs nlp, chat or synthetic"):
        run(tmp_path, FAMILIES.replace("    from: {chat: short, synthetic: [long]}\n", ""))
