"""The documentation says what the code does: tables against the code, recipes compiled, the tutorial's files run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import itune_core.api
import itune_core.testing
from itune_core.api import errors
from itune_core.api.records import COMMON, CONTENT, MESSAGE, Kind, Type
from itune_core.cli.main import COMMANDS, CRASH
from itune_core.engine import casts
from itune_core.engine.errors import StoreError
from itune_core.recipe import recipe as language
from itune_core.recipe.kinds import CASTS
from itune_core.recipe.plan import compile

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
Fences = Callable[[Path], list[Any]]


def table(page: str, heading: str) -> list[list[str]]:
    """The cells of the first table under a heading, without its header; backticks left out."""
    text = (DOCS / page).read_text("utf-8")
    section = re.split(r"^#+ ", text.split(f"# {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    rows = re.findall(r"^\|(.+)\|$", section, re.MULTILINE)[2:]
    return [[cell.strip().replace("`", "") for cell in row.split(" | ")] for row in rows]


@pytest.mark.parametrize("script", ["errors_page.py", "components_page.py", "stages_page.py"])
def test_generated_pages_are_up_to_date(script: str) -> None:
    done = subprocess.run(
        [sys.executable, str(DOCS / script), "--check"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr


def test_kinds_have_the_columns_that_records_md_lists() -> None:
    listed = {kind: columns.split(", ") for kind, columns, _ in table("records.md", "Kinds")}
    assert listed == {kind.value: [*columns] for kind, columns in CONTENT.items()}
    assert {*listed} == {kind.value for kind in Kind}


@pytest.mark.parametrize(("heading", "schema"), [("Messages", MESSAGE), ("Columns that all kinds have", COMMON)])
def test_columns_have_the_types_that_records_md_lists(heading: str, schema: dict[str, Type]) -> None:
    listed = {name: kind for name, kind, _ in table("records.md", heading)}
    assert listed == {name: f"list of {kind[0]}" if isinstance(kind, list) else kind for name, kind in schema.items()}


def test_casts_are_those_of_recipe_and_engine() -> None:
    listed = {(source, target) for source, target, _ in table("recipes.md", "Casts")}
    assert listed == {(source.value, target.value) for source, targets in CASTS.items() for target in targets}
    assert listed == {(source.value, target.value) for source, target in casts._CASTS}


def test_keys_are_those_that_recipes_have() -> None:
    assert {row[0] for row in table("recipes.md", "Keys of the recipe")} == set(language.TOP_KEYS)
    assert {row[0] for row in table("recipes.md", "Keys of a step")} == set(language.STEP_KEYS)
    text = (DOCS / "recipes.md").read_text("utf-8")
    reserved = re.search(r"Reserved for later versions[^:]*: ([^.]+)\.", text)
    assert reserved
    assert set(re.findall(r"`(\w+)`", reserved[1])) == set(language.RESERVED)
    assert f"default {language.MAX_FAILED}" in text


def test_commands_are_those_that_there_are() -> None:
    listed = {row[0].split()[1]: row[1] for row in table("command-line.md", "Command line")}
    assert listed == COMMANDS


def test_exit_codes_are_those_that_errors_have() -> None:
    listed = {int(row[0]) for row in table("command-line.md", "Exit codes")}
    family = [errors.ItuneError, errors.RecipeError, errors.PluginError, errors.RowError, StoreError]
    assert {error.exit_code for error in family} | {0, CRASH, 130} == listed


def test_the_api_page_names_everything_public() -> None:
    text = (DOCS / "api.md").read_text("utf-8")
    public = [*itune_core.api.__all__, *itune_core.testing.__all__]
    assert [name for name in public if not re.search(rf"(?:[.`]|:: ){name}\b", text)] == []


def test_recipes_compile(fences: Fences, quickstart: Path) -> None:
    """The whole recipe as it stands; every fragment in its place in the whole recipe."""
    whole, *fragments = [fence.text for fence in fences(DOCS / "recipes.md") if fence.language == "yaml"]
    file = quickstart / "styles.yaml"
    file.write_text(whole, "utf-8")
    plan = compile(file)
    assert [name for name in plan.nodes if name.startswith("aligned[")] == [
        "aligned[beta=0.05]",
        "aligned[beta=0.1]",
        "aligned[beta=0.5]",
    ]
    assert "loss" in plan.nodes, "an evaluator gathers all variants"
    assert len(fragments) >= 2
    for fragment in fragments:
        merged, part = yaml.safe_load(whole), yaml.safe_load(fragment)
        for section, value in part.items():
            merged[section] = value if section == "matrix" else {**merged[section], **value}
        file.write_text(yaml.safe_dump(merged, sort_keys=False), "utf-8")
        compile(file)


@pytest.mark.parametrize("page", ["formatting.md", "mixing.md"])
def test_whole_recipes_compile(page: str, fences: Fences, tmp_path: Path) -> None:
    whole = [fence.text for fence in fences(DOCS / page) if fence.text.startswith("itune: 1")]
    assert whole
    for text in whole:
        for path in re.findall(r"path: (data/[\w./]+)", text):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).touch()
        file = tmp_path / "recipe.yaml"
        file.write_text(text, "utf-8")
        assert compile(file).nodes


@pytest.fixture(scope="module")
def tutorial(fences: Fences, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The distribution that docs/writing-a-component.md writes, its files under their titles."""
    folder = tmp_path_factory.mktemp("tutorial")
    for fence in fences(DOCS / "writing-a-component.md"):
        if fence.title:
            path = folder / fence.title
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(fence.text, "utf-8")
    return folder


def test_the_tutorials_tests_pass(tutorial: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=tutorial,
        env={**os.environ, "PYTHONPATH": str(tutorial)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "5 passed" in done.stdout


def test_the_tutorials_plugin_installs_and_is_found(tutorial: Path, tmp_path: Path) -> None:
    """Built by its own pyproject, unpacked onto the path as pip would: the policy and the contract let it in."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=tutorial, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "HELLO"}]}\n')

    def itune(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "itune_core.cli.main", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    allow = ("--allow", "acme-style")
    listed = itune("plugins", "list", "filters", "generators", "--verify", *allow)
    for name in ("shouting", "revise"):
        assert re.search(rf"{name} +acme-style +0\.1\.0 +yes", listed), listed
    tried = itune("try", "filters/shouting", "--rows", str(rows), "--with", "share=0.8", *allow)
    assert '"reason": "shouting"' in tried


def test_links_within_the_docs_lead_somewhere() -> None:
    """The site's build checks them too, in a session of its own; here they fail fast."""
    missing = []
    for page in DOCS.rglob("*.md"):
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text("utf-8")):
            if "://" not in target and not (page.parent / target).exists():
                missing.append(f"{page.relative_to(DOCS)}: {target}")
    assert missing == []


def test_options_that_the_page_names_are_there() -> None:
    """Each option of the table, asked of each command it is said to belong to."""
    import typer

    from itune_core.cli.main import _import, app

    def options(path: str) -> set[str]:
        name, *inner = path.split()
        command = typer.main.get_command(app) if name == "itune" else _import(name)
        for part in inner:
            command = command.get_command(typer.Context(command), part)
        return {option for parameter in command.params for option in parameter.opts}

    for cell, of, _ in table("command-line.md", "Options worth knowing"):
        for command in re.findall(r"(?:^|, )([a-z]+(?: [a-z]+)?)(?=,|$)", of):
            for option in re.findall(r"--[a-z-]+", cell):
                assert option in options(command), f"{command} has no {option}"
