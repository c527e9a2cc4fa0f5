"""The README is true: its commands have the form `.ci/run` takes them in, its recipe compiles, its component works."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from itune_core.api import Drop, Keep, conversation, message
from itune_core.plugins.catalog import Entry
from itune_core.plugins.contract import check_component
from itune_core.recipe.plan import compile as compile_recipe

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"


def test_there_are_two_commands_of_one_line_each(fences: Callable[[Path], list[Any]]) -> None:
    """`.ci/run` extracts exactly these: the quickstart, then the tests."""
    commands = [fence.text for fence in fences(README) if (fence.language, fence.info) == ("bash", "run")]
    assert len(commands) == 2
    assert all(command.count("\n") == 1 for command in commands)
    sessions = set(re.findall(r"^def (\w+)\(session", (ROOT / "noxfile.py").read_text("utf-8"), re.MULTILINE))
    for command, named in zip(commands, ({"quickstart"}, {"lint", "types", "docs", "tests"}), strict=True):
        *install, run = command.strip().split(" && ")
        assert set(run.split()[2:]) == named <= sessions
        assert run.startswith(".venv/bin/nox -s ")
        assert install == [
            "python3 -m venv .venv",
            ".venv/bin/pip install --quiet -c constraints.txt nox",
        ], "each command installs what it needs"
    pinned = {Requirement(line).name for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line}
    assert "nox" in pinned


def test_the_first_recipe_has_no_mistake(fences: Callable[[Path], list[Any]], quickstart: Path) -> None:
    (recipe,) = (fence.text for fence in fences(README) if fence.language == "yaml")
    file = quickstart / "first.yaml"
    file.write_text(recipe, "utf-8")
    plan = compile_recipe(file)
    assert [*plan.nodes] == ["rows", "once", "parts", "sft", "loss"]
    assert plan.nodes["sft"].inputs["eval"][0].output == "held_out"


def test_the_recipe_test_can_fail(fences: Callable[[Path], list[Any]], tmp_path: Path) -> None:
    """Where the rows are not there, the recipe is not right."""
    from itune_core.recipe.errors import RecipeProblems

    (recipe,) = (fence.text for fence in fences(README) if fence.language == "yaml")
    (tmp_path / "first.yaml").write_text(recipe, "utf-8")
    with pytest.raises(RecipeProblems, match="E-RECIPE-023"):
        compile_recipe(tmp_path / "first.yaml")


def test_the_component_meets_the_contract_and_decides(fences: Callable[[Path], list[Any]]) -> None:
    (source,) = (fence.text for fence in fences(README) if fence.language == "python")
    assert len(source.strip().splitlines()) <= 10
    names: dict[str, Any] = {}
    exec(compile(source, str(README), "exec"), names)
    entry = Entry("filters", "shouting", "acme_shouting:Shouting", "acme-shouting", "1.0", "here")
    shouting = check_component(names["Shouting"], entry)
    component: Any = shouting(shouting.Config())
    ask = message("user", "Name a prime number.")
    assert component.decide(conversation([ask, message("assistant", "SEVEN!")])) == Drop("shouting")
    assert component.decide(conversation([ask, message("assistant", "Seven.")])) == Keep()


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_lead_somewhere(name: str) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)", (ROOT / name).read_text("utf-8"))
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (ROOT / target).exists()] == []
