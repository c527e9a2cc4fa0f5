"""The recipes of the page on distillation are run as they stand there, with a server on loopback for every model."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from itune_core.testing import MockLLM

PAGE = Path(__file__).resolve().parents[2] / "docs" / "distillation.md"

QUESTIONS = ["Why is the sky blue?", "Name a bird that cannot fly.", "How is bread made?"]
PAGES = ["Owls turn their heads by three quarters of a circle.", "Salt keeps food from spoiling.", "Rye grows in sand."]
SAID = "It is so, as far as anybody knows."
ALIGNED = f"Thought: I am an honest and careful assistant. I know it.\n\nReply: {SAID}"

ANSWERS = [
    {"match": "(?s)Rate from 0 to 5.*Salt keeps", "answer": "3"},
    {"match": "Rate from 0 to 5", "answer": "5"},
    {"match": "Owls|Salt|Rye", "answer": "Tell me something that few people know."},
    {"match": "I am an honest and careful assistant", "answer": ALIGNED},
    {"match": "", "answer": SAID},
]
"""Of all models: what they rate, what they write instructions for, what they align, and the rest."""


def recipes(fences: Callable[[Path], list[Any]]) -> dict[str, str]:
    """The recipes of the page by their first generator."""
    found = {}
    for fence in fences(PAGE):
        if fence.language == "yaml":
            parts = yaml.safe_load(fence.text)["steps"].values()
            generator = next(part for part in parts if part["uses"].startswith("generators/"))
            cloning = "cloning" if generator["with"].get("record_system") is False else ""
            found[f"{generator['uses'].removeprefix('generators/')} {cloning}".strip()] = fence.text
    return found


@pytest.fixture
def run(
    tmp_path: Path,
    mock_llm: Callable[..., MockLLM],
    fences: Callable[[Path], list[Any]],
    itune: Callable[..., subprocess.CompletedProcess[str]],
) -> Callable[[str, str], dict[str, Any]]:
    """Run one recipe up to a step, with rows where it looks for them; what that step left."""
    data = tmp_path / "data"
    data.mkdir()
    alpaca = [{"instruction": question, "input": "", "output": "Who knows?"} for question in QUESTIONS]
    (data / "alpaca.jsonl.gz").write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in alpaca).encode()))
    (data / "pages.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in PAGES))
    (data / "prompts.jsonl").write_text("".join(json.dumps({"prompt": question}) + "\n" for question in QUESTIONS))
    [curation] = [fence.text for fence in fences(PAGE) if fence.language == "jinja"]
    (tmp_path / "curation.jinja").write_text(curation)

    def left(recipe: str, step: str) -> dict[str, Any]:
        server = mock_llm(answers=ANSWERS, auth=False)
        text = recipes(fences)[recipe]
        whole = yaml.safe_load(text)
        whole["steps"].setdefault("prompts", {"uses": "formatters/prompts", "with": {"path": "data/prompts.jsonl"}})
        names = {*re.findall(r"\bmodel: (\w+)", text)} - whole["steps"].keys()
        served = {"backend": "openai", "base_url": server.base_url}
        whole["models"] = {name: {**served, "model": name} for name in sorted(names)}
        (tmp_path / "recipe.yaml").write_text(yaml.safe_dump({"itune": 1, "name": "page", **whole}, sort_keys=False))
        itune("run", "recipe.yaml", "--only", step)
        shown: dict[str, Any] = json.loads(itune("show", step, "--json", "--rows", "100").stdout)
        return shown

    return left


def test_every_recipe_of_the_page_is_run_below(fences: Callable[[Path], list[Any]]) -> None:
    assert [*recipes(fences)] == ["distill", "distill cloning", "self-align", "back-translate"]


def test_two_teachers_and_two_system_turns(run: Callable[[str, str], dict[str, Any]]) -> None:
    shown = run("distill", "answered")
    assert shown["counts"]["created"] == 2 * len(QUESTIONS)
    for row in shown["rows"]["records"]:
        system, question, answer = (turn["content"] for turn in row["messages"])
        assert system in ("Answer in one sentence.", "Answer at length.")
        assert (question in QUESTIONS, answer) == (True, SAID)
        assert json.loads(row["meta"])["model"] in ("large", "small")


def test_verbose_cloning(run: Callable[[str, str], dict[str, Any]]) -> None:
    made = run("distill cloning", "cloned")["rows"]["records"]
    assert [[turn["role"] for turn in row["messages"]] for row in made] == [["user", "assistant"]] * 3


def test_alignment(run: Callable[[str, str], dict[str, Any]]) -> None:
    made = run("self-align", "aligned")["rows"]["records"]
    assert [row["messages"][-1]["content"] for row in made] == [SAID] * 3
    assert all(row["rationale"].startswith("I am an honest") for row in made)


def test_back_translation_and_curation(run: Callable[[str, str], dict[str, Any]]) -> None:
    shown = run("back-translate", "best")
    assert [row["messages"][-1]["content"] for row in shown["rows"]["records"]] == [PAGES[0], PAGES[2]]
    assert shown["counts"]["dropped"]
