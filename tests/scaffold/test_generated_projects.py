"""Every kind of generated project, in one fresh environment: tested, linted, typed, checked and run as it is.

Everything is installed from wheels and from the package index, so these tests need the index.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from itune_core.scaffold.stages import STAGES

pytestmark = pytest.mark.slow

NAMES = {stage: f"my-{about.noun}" for stage, about in STAGES.items()}
every_stage = pytest.mark.parametrize("stage", STAGES)

ASKED = ["Who sings at night?", "And by day?", "Who hoots?", "Who laughs?", "Who knocks on wood?", "Who dives?"]
SAID = ["The nightingale.", "The lark.", "THE OWL!", "The green one, which eats ants.", "The woodpecker.", "The grebe."]

RECIPE = """
itune: 1
name: generated
models:
  student: {backend: transformers, model: ./tiny, dtype: float32, device: cpu}
  teacher: {backend: my-backend, model: answers.jsonl}
steps:
  rows:     {uses: formatters/my-formatter, with: {path: rows.jsonl}}
  calm:     {uses: filters/my-filter, from: rows}
  varied:   {uses: scorers/my-scorer, from: calm}
  answered: {uses: generators/my-generator, from: calm, with: {model: teacher}}
  mixed:    {uses: mixers/my-mixer, from: [varied, answered]}
  tuned:    {uses: trainers/my-trainer, from: mixed, with: {model: student, learning_rate: 1.0e-3, batch_size: 4}}
  pairs:    {uses: formatters/pairs, with: {path: pairs.jsonl}}
  held:     {uses: trainers/my-objective, from: pairs, with: {model: tuned, device: cpu, dtype: float32}}
  brief:
    uses: evaluators/my-evaluator
    from: calm
    with: {models: [teacher, student, tuned], max_words: 2, max_tokens: 8}
extensions: {my-extension: {}}
"""


@dataclass(frozen=True)
class Generated:
    """A fresh virtual environment with the generated projects.

    Attributes:
        place: the environment.
        projects: folder of each stage's project.
    """

    place: Any
    projects: dict[str, Path]

    @property
    def folder(self) -> Path:
        folder: Path = self.place.folder
        return folder

    def run(self, *command: str, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
        done: subprocess.CompletedProcess[str] = self.place.run(*command, cwd=cwd, code=code)
        return done


@pytest.fixture(scope="module")
def environment(fresh_environment: Callable[..., Any]) -> Generated:
    place = fresh_environment("pytest", "ruff", "mypy")
    for stage, name in NAMES.items():
        place.run("itune", "plugins", "new", stage, name, "--dir", "projects", "--author", "Ada", cwd=place.folder)
    projects = {stage: place.folder / "projects" / f"itune-{name}" for stage, name in NAMES.items()}
    editable = [part for project in projects.values() for part in ("-e", str(project))]
    groups = [part for project in projects.values() for part in ("--group", f"{project / 'pyproject.toml'}:dev")]
    place.install(*editable, *groups)
    return Generated(place, projects)


@every_stage
def test_it_passes_its_own_tests(stage: str, environment: Generated) -> None:
    done = environment.run("pytest", "-q", "-rs", cwd=environment.projects[stage])
    assert "skipped" not in done.stdout, done.stdout


@every_stage
def test_it_is_clean(stage: str, environment: Generated) -> None:
    project = environment.projects[stage]
    environment.run("ruff", "check", cwd=project)
    environment.run("ruff", "format", "--check", cwd=project)
    environment.run("mypy", cwd=project)


@every_stage
def test_it_is_listed_and_described(stage: str, environment: Generated) -> None:
    published = STAGES[stage].group or stage
    label = f"{published}/{NAMES[stage]}"
    listed = json.loads(environment.run("itune", "plugins", "list", published, "--json", cwd=environment.folder).stdout)
    (found,) = (row for row in listed if f"{row['stage']}/{row['name']}" == label)
    assert found["distribution"] == f"itune-{NAMES[stage]}"
    allowed = ("--allow", found["distribution"])
    described = environment.run("itune", "plugins", "show", label, *allowed, cwd=environment.folder).stdout
    assert STAGES[stage].summary in described


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage != "executors"])  # which no recipe names
def test_its_readme_s_recipe_is_accepted(stage: str, environment: Generated, tmp_path: Path) -> None:
    readme = (environment.projects[stage] / "README.md").read_text("utf-8")
    (recipe,) = (part.partition("```")[0] for part in readme.split("```yaml\n")[1:])
    (tmp_path / "recipe.yaml").write_text(recipe)
    for name in ("rows.jsonl", "answers.jsonl"):
        (tmp_path / name).write_text("".join(_lines()))
    environment.run("itune", "check", "recipe.yaml", cwd=tmp_path)


def test_all_of_them_take_part_in_one_run(environment: Generated, tmp_path: Path) -> None:
    make = "import sys, pathlib, itune_torch; itune_torch.make_tiny_llama(pathlib.Path(sys.argv[1]))"
    environment.run("python", "-c", make, "tiny", cwd=tmp_path)
    for name in ("rows.jsonl", "answers.jsonl"):
        (tmp_path / name).write_text("".join(_lines()))
    pairs = [{"prompt": ask, "chosen": say, "rejected": "No idea."} for ask, say in zip(ASKED, SAID, strict=True)]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    allow = [f"itune-{name}" for name in NAMES.values()]
    (tmp_path / "recipe.yaml").write_text(RECIPE + yaml.safe_dump({"plugins": {"allow": allow}}))

    steps = _run(environment, tmp_path)
    counts = {name: step["counts"] for name, step in steps.items()}
    assert counts["rows"]["used"] == len(ASKED)
    assert counts["calm"]["dropped"] == {"capitals": 1}
    assert counts["answered"]["created"] == len(ASKED) - 1
    assert counts["mixed"]["used"] == 2 * (len(ASKED) - 1)
    assert counts["tuned"]["used"] == 2 * (len(ASKED) - 1)
    assert counts["held"]["used"] == len(ASKED)
    shown = json.loads(environment.run("itune", "show", "brief", "--json", cwd=tmp_path).stdout)
    figures = {name: shown["metrics"][identity] for name, identity in shown["identities"].items()}
    assert {*figures} == {"teacher", "student", "tuned"}
    assert figures["teacher"] == {"share": 0.8, "examples": 5}  # one calm answer has more than two words
    assert all(step["reused"] for step in _run(environment, tmp_path).values())
    (first, again) = sorted((tmp_path / ".itune" / "runs").glob("*/notes/my-extension.json"))
    assert ["filters/my-filter", 1, 0] in json.loads(first.read_text("utf-8"))["rows"]
    assert ["filters/my-filter", 0, 1] in json.loads(again.read_text("utf-8"))["rows"]


def test_without_leave_none_of_them_is_imported(environment: Generated, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("".join(_lines()))
    (tmp_path / "recipe.yaml").write_text(
        "itune: 1\nname: strange\nsteps:\n  rows: {uses: formatters/my-formatter, with: {path: rows.jsonl}}\n"
    )
    refused = environment.run("itune", "run", "recipe.yaml", cwd=tmp_path, code=2)
    assert "--allow itune-my-formatter" in refused.stderr
    environment.run("itune", "run", "recipe.yaml", "--allow", "itune-my-formatter", cwd=tmp_path)


def _lines() -> list[str]:
    return [json.dumps({"question": ask, "answer": say}) + "\n" for ask, say in zip(ASKED, SAID, strict=True)]


def _run(environment: Generated, folder: Path) -> dict[str, Any]:
    steps: dict[str, Any] = json.loads(environment.run("itune", "run", "recipe.yaml", "--json", cwd=folder).stdout)[
        "steps"
    ]
    return steps
