"""Every kind of generated project, in one fresh environment: tested, linted, typed, checked and run as it is.

Everything is installed from wheels and from the package index, so these tests need the index.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from itune_core.plugins.catalog import GROUPS
from itune_core.scaffold.stages import STAGES

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CONSTRAINTS = ROOT / "constraints.txt"
WHEELS = [ROOT, *(ROOT / "plugins" / f"itune-{name}" for name in ("torch", "backends", "formatters", "generators"))]
"""The core, what the generated trainer depends on, and what the recipes of the READMEs use besides."""

NAMES = {stage: f"my-{about.noun}" for stage, about in STAGES.items()}
every_stage = pytest.mark.parametrize("stage", GROUPS)

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
  brief:
    uses: evaluators/my-evaluator
    from: calm
    with: {models: [teacher, student, tuned], max_words: 2, max_tokens: 8}
extensions: {my-extension: {}}
"""


@dataclass(frozen=True)
class Environment:
    """A fresh virtual environment with the ten generated projects.

    Attributes:
        bin: its scripts.
        projects: folder of each stage's project.
        folder: for what the tools keep and what is run.
    """

    bin: Path
    projects: dict[str, Path]
    folder: Path

    def run(self, *command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        """One of its scripts, which must succeed."""
        return succeed([str(self.bin / command[0]), *command[1:]], cwd=cwd, MYPY_CACHE_DIR=str(self.folder / "mypy"))


def succeed(command: Sequence[str], cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    env = {**inherited, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "NO_COLOR": "1", **environment}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, f"{' '.join(command)}\nexit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    folder = tmp_path_factory.mktemp("generated")
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", "wheels"]
    succeed([*build, *map(str, WHEELS)], cwd=folder)
    install = installer(folder)
    wheels = [str(path) for path in (folder / "wheels").glob("*.whl")]
    try:
        succeed([*install, *wheels, "pytest", "ruff", "mypy"], cwd=folder)
    except AssertionError as error:
        raise AssertionError(f"the environment cannot be made; these tests need the package index\n{error}") from error
    bin = folder / "venv" / "bin"
    for stage, name in NAMES.items():
        succeed([str(bin / "itune"), "plugins", "new", stage, name, "--dir", "projects", "--author", "Ada"], cwd=folder)
    projects = {stage: folder / "projects" / f"itune-{name}" for stage, name in NAMES.items()}
    editable = [part for project in projects.values() for part in ("-e", str(project))]
    groups = [part for project in projects.values() for part in ("--group", f"{project / 'pyproject.toml'}:dev")]
    succeed([*install, *editable, *groups], cwd=folder)
    return Environment(bin, projects, folder)


def installer(folder: Path) -> list[str]:
    """Makes ``folder/venv``; gives the command that installs into it.

    With uv where it is there: it links what another environment has, torch above all.
    """
    python = str(folder / "venv" / "bin" / "python")
    if importlib.util.find_spec("uv") is None:
        succeed([sys.executable, "-m", "venv", "venv"], cwd=folder)
        pip = [python, "-m", "pip", "install", "--quiet", "-c", str(CONSTRAINTS)]
        succeed([*pip, "--upgrade", "pip"], cwd=folder)
        return pip
    uv = [sys.executable, "-m", "uv"]
    succeed([*uv, "venv", "--quiet", "--python", sys.executable, "venv"], cwd=folder)
    # uv does not read what pip is told; where torch comes from matters most, for it may be a build of this machine's
    settings = succeed([sys.executable, "-m", "pip", "config", "list"], cwd=folder).stdout
    told = re.findall(r"\.(find-links|index-url)=(.+)", settings)
    places = [part for option, values in told for place in shlex.split(values) for part in (f"--{option}", place)]
    return [*uv, "pip", "install", "--quiet", "--python", python, "-c", str(CONSTRAINTS), *places]


@every_stage
def test_it_passes_its_own_tests(stage: str, environment: Environment) -> None:
    done = environment.run("pytest", "-q", "-rs", cwd=environment.projects[stage])
    assert "skipped" not in done.stdout, done.stdout


@every_stage
def test_it_is_clean(stage: str, environment: Environment) -> None:
    project = environment.projects[stage]
    environment.run("ruff", "check", cwd=project)
    environment.run("ruff", "format", "--check", cwd=project)
    environment.run("mypy", cwd=project)


@every_stage
def test_it_is_listed_and_described(stage: str, environment: Environment) -> None:
    label = f"{stage}/{NAMES[stage]}"
    listed = json.loads(environment.run("itune", "plugins", "list", stage, "--json", cwd=environment.folder).stdout)
    (found,) = (row for row in listed if f"{row['stage']}/{row['name']}" == label)
    assert found["distribution"] == f"itune-{NAMES[stage]}"
    allowed = ("--allow", found["distribution"])
    described = environment.run("itune", "plugins", "show", label, *allowed, cwd=environment.folder).stdout
    assert STAGES[stage].summary in described


@pytest.mark.parametrize("stage", [stage for stage in GROUPS if stage != "executors"])  # which no recipe names
def test_its_readme_s_recipe_is_accepted(stage: str, environment: Environment, tmp_path: Path) -> None:
    readme = (environment.projects[stage] / "README.md").read_text("utf-8")
    (recipe,) = (part.partition("```")[0] for part in readme.split("```yaml\n")[1:])
    (tmp_path / "recipe.yaml").write_text(recipe)
    for name in ("rows.jsonl", "answers.jsonl"):
        (tmp_path / name).write_text("".join(_lines()))
    environment.run("itune", "check", "recipe.yaml", cwd=tmp_path)


def test_all_of_them_take_part_in_one_run(environment: Environment, tmp_path: Path) -> None:
    make = "import sys, pathlib, itune_torch; itune_torch.make_tiny_llama(pathlib.Path(sys.argv[1]))"
    environment.run("python", "-c", make, "tiny", cwd=tmp_path)
    for name in ("rows.jsonl", "answers.jsonl"):
        (tmp_path / name).write_text("".join(_lines()))
    allow = [f"itune-{name}" for name in NAMES.values()]
    (tmp_path / "recipe.yaml").write_text(RECIPE + yaml.safe_dump({"plugins": {"allow": allow}}))

    steps = _run(environment, tmp_path)
    counts = {name: step["counts"] for name, step in steps.items()}
    assert counts["rows"]["used"] == len(ASKED)
    assert counts["calm"]["dropped"] == {"capitals": 1}
    assert counts["answered"]["created"] == len(ASKED) - 1
    assert counts["mixed"]["used"] == 2 * (len(ASKED) - 1)
    assert counts["tuned"]["used"] == 2 * (len(ASKED) - 1)
    shown = json.loads(environment.run("itune", "show", "brief", "--json", cwd=tmp_path).stdout)
    figures = {name: shown["metrics"][identity] for name, identity in shown["identities"].items()}
    assert {*figures} == {"teacher", "student", "tuned"}
    assert figures["teacher"] == {"share": 0.8, "examples": 5}  # one calm answer has more than two words
    assert all(step["reused"] for step in _run(environment, tmp_path).values())
    (first, again) = sorted((tmp_path / ".itune" / "runs").glob("*/notes/my-extension.json"))
    assert ["filters/my-filter", 1, 0] in json.loads(first.read_text("utf-8"))["rows"]
    assert ["filters/my-filter", 0, 1] in json.loads(again.read_text("utf-8"))["rows"]


def test_without_leave_none_of_them_is_imported(environment: Environment, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("".join(_lines()))
    (tmp_path / "recipe.yaml").write_text(
        "itune: 1\nname: strange\nsteps:\n  rows: {uses: formatters/my-formatter, with: {path: rows.jsonl}}\n"
    )
    command = [str(environment.bin / "itune"), "run", "recipe.yaml"]
    refused = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert "--allow itune-my-formatter" in refused.stderr
    environment.run("itune", "run", "recipe.yaml", "--allow", "itune-my-formatter", cwd=tmp_path)


def _lines() -> list[str]:
    return [json.dumps({"question": ask, "answer": say}) + "\n" for ask, say in zip(ASKED, SAID, strict=True)]


def _run(environment: Environment, folder: Path) -> dict[str, Any]:
    steps: dict[str, Any] = json.loads(environment.run("itune", "run", "recipe.yaml", "--json", cwd=folder).stdout)[
        "steps"
    ]
    return steps
