"""A project in a folder of its own, and ``itune`` called inside it, in this process."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from itune_core.cli import main as shell

RECIPE = """
itune: 1
name: small
seed: 3
steps:
  rows:  {uses: formatters/alpaca, with: {path: rows.jsonl}, max_failed: 0.2}
  short: {uses: filters/length, from: rows, with: {response: {max_words: 5}}}
  parts: {uses: filters/split, from: short, with: {held_out: 0.25}}
  size:  {uses: scorers/length, from: parts.train}
"""

Call = Callable[..., Result]
"""Call ``itune`` with arguments; `code` is the exit code that is expected."""


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ITUNE_HOME", raising=False)

    def run(*arguments: str, code: int = 0) -> Result:
        done = CliRunner().invoke(shell.app, [*arguments], prog_name="itune")
        assert done.exit_code == code, f"exit {done.exit_code}\n{done.output}\n{done.exception!r}"
        return done

    return run


@pytest.fixture
def project(tmp_path: Path, call: Call) -> Path:
    """A folder with a recipe and its rows: forty with answers of one to seven words, one that fails, one that acts."""
    rows: list[dict[str, Any]] = [
        {"instruction": f"Count to {n % 7 + 1}.", "input": f"case {n}", "output": " ".join("1234567"[: n % 7 + 1])}
        for n in range(40)
    ]
    rows.append({"instruction": "\x1b[31m{{ 7*7 }} [bold]", "output": 7})
    rows.append({"instruction": "\x1b[31m[bold]red[/bold]", "input": "", "output": "one two"})
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    return tmp_path


@pytest.fixture(scope="session")
def _home_of_a_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the home of the first run of the recipe is kept; it is the same for every test, so it is made once."""
    return tmp_path_factory.mktemp("home") / ".itune"


@pytest.fixture
def made(project: Path, call: Call, plain: Callable[..., Any], _home_of_a_run: Path) -> str:
    """The name of a finished run."""
    if not _home_of_a_run.exists():
        call("run", "recipe.yaml")
        shutil.copytree(project / ".itune", _home_of_a_run)
    else:
        shutil.copytree(_home_of_a_run, project / ".itune")
    return str(plain("runs")[0]["run"])


@pytest.fixture
def plain(call: Call) -> Callable[..., Any]:
    """Call ``itune`` with ``--json`` and give what it prints."""
    return lambda *arguments: json.loads(call(*arguments, "--json").stdout)


TRAININGS = """
itune: 1
name: small
seed: 3
models:
  base: {{backend: transformers, model: "{tiny}"}}
steps:
  rows:  {{uses: formatters/alpaca, with: {{path: rows.jsonl}}}}
  sft:   {{uses: trainers/sft, from: rows, with: {{model: base, learning_rate: 0.01, dtype: float32, device: cpu}}}}
  full:
    uses: trainers/sft
    from: rows
    with: {{model: base, adapter: none, learning_rate: 0.001, device: cpu}}
  again: {{uses: trainers/sft, from: rows, with: {{model: full, learning_rate: 0.01, dtype: float32, device: cpu}}}}
"""


@pytest.fixture(scope="session")
def _home_of_trainings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trained") / ".itune"


@pytest.fixture
def trained(tmp_path: Path, call: Call, tiny: Path, rows: Path, _home_of_trainings: Path) -> Path:
    """A project with an adapter, whole weights, and an adapter on those."""
    rows.write_text("".join(rows.read_text().splitlines(keepends=True)[:12]))
    (tmp_path / "recipe.yaml").write_text(TRAININGS.format(tiny=tiny))
    if _home_of_trainings.exists():
        shutil.copytree(_home_of_trainings, tmp_path / ".itune")
        for record in (tmp_path / ".itune" / "runs").glob("*/run.json"):
            data = json.loads(record.read_text())
            record.write_text(json.dumps({**data, "recipe": str(tmp_path / "recipe.yaml")}))
    else:
        call("run", "recipe.yaml")
        shutil.copytree(tmp_path / ".itune", _home_of_trainings)
    return tmp_path
