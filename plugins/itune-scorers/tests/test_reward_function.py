"""Rewards by a function of an installed package: let in like a plugin, or not imported at all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import datasets
import pytest
from pydantic import ValidationError

from itune_core.api import Failed, conversation, features, feedback, message
from itune_core.testing import BenchContext
from itune_scorers.reward import Reward

CODE = """
open({trace!r}, "a").write("imported ")


def short(prompt, answer):
    if "secret" in answer[-1]["content"]:
        raise ValueError("not this one")
    return float("nan") if answer[-1]["content"] == "Nothing." else -len(answer[-1]["content"].split())


LENGTH = 3
"""
RECIPE = """
itune: 1
name: rewarded
steps:
  rows: {uses: formatters/alpaca, with: {path: rows.jsonl}}
  short: {uses: scorers/reward, from: rows, with: {python: "my_rewards.length:short"}}
"""
ROWS = [
    {"instruction": "Name a tree.", "input": "", "output": "An oak it is."},
    {"instruction": "Name a bird.", "input": "", "output": "A wren."},
]


def install(site: Path, trace: Path, code: str = CODE) -> Path:
    """A package as an installer would leave it in `site`."""
    package, info = site / "my_rewards", site / "my_rewards-1.0.dist-info"
    package.mkdir(parents=True)
    info.mkdir()
    (package / "__init__.py").write_text("")
    (package / "length.py").write_text(code.format(trace=str(trace)))
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-rewards\nVersion: 1.0\n")
    (info / "RECORD").write_text(
        "my_rewards/__init__.py,,\nmy_rewards/length.py,,\nmy_rewards-1.0.dist-info/METADATA,,\n"
    )
    return site


@pytest.fixture
def itune(tmp_path: Path) -> Callable[..., str]:
    """Runs a command beside the recipe, with the package on the path, and gives what it said."""
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    site = install(tmp_path / "site", tmp_path / "trace")

    def run(*arguments: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "itune_core.cli.main", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, f"{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    return run


def test_a_function_that_is_not_allowed_is_not_imported(itune: Callable[..., str], tmp_path: Path) -> None:
    said = itune("check", "recipe.yaml", code=2)
    assert "E-PLUGIN-010" in said
    assert "--allow my-rewards" in said
    assert "recipe.yaml:6" in said
    assert not (tmp_path / "trace").exists()


def test_an_allowed_function_scores_and_its_package_is_in_the_key(itune: Callable[..., str], tmp_path: Path) -> None:
    itune("run", "recipe.yaml", "--allow", "my-rewards")
    [made] = [json.loads(path.read_text()) for path in tmp_path.glob(".itune/store/*/artifact.json")
              if json.loads(path.read_text())["stage"] == "scorers"]  # fmt: skip
    assert made["parts"]["config"]["python"] == "my_rewards.length:short of my-rewards==1.0"
    assert made["counts"]["used"] == 2
    record = next(tmp_path.glob(".itune/runs/*/run.json")).read_text()
    assert "my-rewards" in record


@pytest.mark.parametrize(
    ("named", "code"),
    [
        ("my_rewards.length:missing", "E-PLUGIN-024"),
        ("my_rewards.absent:short", "E-PLUGIN-020"),
        ("my_rewards.length:LENGTH", "E-PLUGIN-062"),
        ("no_such_package:short", "E-PLUGIN-061"),
        ("os:system", "E-PLUGIN-061"),
        ("my_rewards.length", "E-PLUGIN-060"),
        ("my_rewards.length:short()", "E-PLUGIN-060"),
        ("__import__('os'):system", "E-PLUGIN-060"),
    ],
)
def test_what_is_no_function_of_an_installed_package_is_refused(
    itune: Callable[..., str], tmp_path: Path, named: str, code: str
) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE.replace("my_rewards.length:short", named))
    assert code in itune("check", "recipe.yaml", "--allow", "my-rewards", code=2)


@pytest.fixture
def scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Sequence[Any]], list[Any]]:
    monkeypatch.syspath_prepend(install(tmp_path / "site", tmp_path / "trace"))
    monkeypatch.delitem(sys.modules, "my_rewards", raising=False)
    monkeypatch.delitem(sys.modules, "my_rewards.length", raising=False)

    def score(rows: Sequence[Any]) -> list[Any]:
        made = datasets.Dataset.from_list([dict(row) for row in rows], features=features(rows[0].kind))
        component = Reward(Reward.Config(python="my_rewards.length:short"))
        return list(component.itune_score({"records": made}, BenchContext(tmp_path)))

    return score


def test_it_is_given_prompt_and_answer_and_a_failure_is_the_record_s_own(
    scored: Callable[[Sequence[Any]], list[Any]],
) -> None:
    answers = ["An oak, I think.", "secret", "Nothing."]
    rows = [
        conversation([message("user", "Name a tree."), message("assistant", answer)]).replace(id=str(number))
        for number, answer in enumerate(answers)
    ]
    rows.append(conversation([message("assistant", "Hello there.")]).replace(id="3"))
    first, *failed = scored(rows)
    assert first == {"": -4.0}
    assert all(isinstance(item, Failed) for item in failed)
    assert [item.code for item in failed] == ["E-DATA-039", "E-DATA-039", "E-SCORE-003"]


def test_of_feedback_it_is_given_the_completion(scored: Callable[[Sequence[Any]], list[Any]]) -> None:
    row = feedback([message("user", "Name a tree.")], [message("assistant", "Elm.")], label=True).replace(id="a")
    assert scored([row]) == [{"": -1.0}]


@pytest.mark.parametrize("settings", [{}, {"model": "judge", "python": "a:b"}])
def test_either_a_model_or_a_function(settings: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="either model or python"):
        Reward.Config(**settings)
