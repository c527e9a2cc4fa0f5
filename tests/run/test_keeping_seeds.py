"""What a generator was given beside what it made: a mix of both, for no generator gives its inputs again."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from itune_core.testing import MockLLM

Run = Callable[..., subprocess.CompletedProcess[str]]

RECIPE = """
itune: 1
name: keeping
seed: 3
models:
  teacher: {{backend: openai, base_url: "{url}", model: mock, api_key: "file:keys/teacher"}}
steps:
  seeds: {{uses: formatters/self-instruct, with: {{path: seeds.jsonl}}}}
  made:
    uses: generators/self-instruct
    from: seeds
    with: {{model: teacher, instructions: 8, at_once: 1, prompts: {{classification: kind.jinja}}}}
  all:   {{uses: mixers/proportional, from: [seeds, made]}}
  said:  {{uses: generators/distill, from: seeds, with: {{model: teacher}}}}
  twice: {{uses: mixers/proportional, from: [seeds, said]}}
"""

SEEDS = {
    "Name a river that crosses a desert.": "The Nile.",
    "How many sides does a hexagon have?": "Six.",
    "Spell the plural of 'leaf'.": "Leaves.",
    "Which metal is liquid at room temperature?": "Mercury.",
    "Give the opposite of 'shallow'.": "Deep.",
    "Add 17 and 25.": "42.",
    "Who painted sunflowers in Arles?": "Van Gogh.",
    "Turn 'she walks' into the past tense.": "She walked.",
}
TASKS = (
    "Describe a harbour in the early morning.",
    "Explain to a child why bread rises.",
    "Propose a title for a book about moths.",
    "Compare travelling by train with flying.",
    "List what belongs into a first-aid box.",
    "Rewrite this complaint in a friendlier tone.",
    "Sketch a weekly plan for learning chess.",
    "Retell a fairy tale that you know.",
)


@pytest.fixture
def recipe(tmp_path: Path, mock_llm: Callable[..., MockLLM]) -> str:
    """The recipe in a folder below, with the key that its server asks for; the server knows the seeds' own answers."""
    tasks = "\n".join(f"{number}. {task}" for number, task in enumerate(TASKS, len(SEEDS) + 1))
    answers = [
        {"match": "^Write 8 more", "answer": tasks},
        {"match": "^Classification:", "answer": "No"},
        {"match": "^Task:", "answer": "Example 1\nOutput: Done."},
        *({"match": f"^{asked[:9]}", "answer": answer} for asked, answer in SEEDS.items()),
    ]
    server = mock_llm(answers=answers, token="only-for-this-test")
    folder = tmp_path / "project"
    (folder / "keys").mkdir(parents=True)
    (folder / "keys" / "teacher").write_text("only-for-this-test\n")
    (folder / "kind.jinja").write_text("Classification: {{ instruction }}")
    rows = [{"instruction": asked, "instances": [{"input": "", "output": answer}]} for asked, answer in SEEDS.items()]
    (folder / "seeds.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "recipe.yaml").write_text(RECIPE.format(url=server.base_url))
    return "project/recipe.yaml"


def _turns(rows: Sequence[Mapping[str, Any]]) -> set[tuple[str, ...]]:
    return {tuple(turn["content"] for turn in row["messages"]) for row in rows}


def test_a_mix_holds_each_seed_and_each_created_record_once(recipe: str, itune: Run, tmp_path: Path) -> None:
    home = {"ITUNE_HOME": str(tmp_path / "project" / ".itune")}
    steps = json.loads(itune("run", recipe, "--json", **home).stdout)["steps"]
    assert steps["all"]["counts"]["not_drawn"] == 0

    def rows(step: str) -> list[dict[str, Any]]:
        shown = json.loads(itune("show", step, "--rows", "100", "--json", **home).stdout)
        return list(shown["rows"]["records"])

    seeds, made, said = rows("seeds"), rows("made"), rows("said")
    seed_ids = {row["id"] for row in seeds}
    assert _turns(made) == {(task, "Done.") for task in TASKS}
    assert _turns(said) == _turns(seeds) == set(SEEDS.items()), "the hardest case: created records that say the same"
    for mixed, created in (rows("all"), made), (rows("twice"), said):
        ids = [row["id"] for row in mixed]
        assert len(set(ids)) == len(ids) == len(seeds) + len(created)
        assert set(ids) == seed_ids | {row["id"] for row in created}
        kept = {row["id"]: row["parents"] for row in mixed}
        assert all(not kept[row["id"]] for row in seeds)
        assert all(kept[row["id"]] and seed_ids.issuperset(kept[row["id"]]) for row in created)
    assert all(len(row["parents"]) == 1 for row in said)
