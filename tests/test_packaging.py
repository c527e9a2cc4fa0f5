"""What is shipped: the metadata of every distribution, and what is in the core's wheel."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import itune_core

ROOT = Path(__file__).resolve().parents[1]
PLUGINS = sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))
each_plugin = pytest.mark.parametrize("folder", PLUGINS, ids=lambda folder: folder.name)


def project(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]


def test_the_core_states_its_version_once_more_in_its_metadata() -> None:
    assert project(ROOT)["version"] == itune_core.__version__


@each_plugin
def test_a_plugin_names_itself_and_its_terms(folder: Path) -> None:
    facts = project(folder)
    assert facts["name"] == folder.name
    assert facts["version"] == itune_core.__version__, "the workspace is released together"
    assert facts["license"] == "Apache-2.0"
    assert (folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert (folder / facts["readme"]).read_text("utf-8").startswith(f"# {folder.name}\n")
    assert (folder / folder.name.replace("-", "_") / "py.typed").is_file()
    assert Requirement(f"python{facts['requires-python']}").specifier == Requirement("python>=3.11").specifier


@each_plugin
def test_a_plugin_bounds_the_core_from_both_sides(folder: Path) -> None:
    requirements = {found.name: found for found in map(Requirement, project(folder)["dependencies"])}
    operators = {part.operator: part.version for part in requirements["itune-core"].specifier}
    assert operators == {">=": "0.1", "<": "1"}
    assert Version(itune_core.__version__) in requirements["itune-core"].specifier
    bare = [name for name, found in requirements.items() if not found.specifier]
    assert bare == [], "a dependency without a lower bound cannot be tested with its oldest version"


@each_plugin
def test_entry_points_lead_to_classes_that_are_there(folder: Path) -> None:
    """Without an import: the file exists and defines the class at its top level."""
    import ast

    for group, entries in project(folder).get("entry-points", {}).items():
        assert group.startswith("itune.")
        for name, value in entries.items():
            module, _, attribute = value.partition(":")
            path = folder / Path(*module.split(".")).with_suffix(".py")
            assert path.is_file(), f"{group} {name}: no {path.relative_to(ROOT)}"
            classes = [node.name for node in ast.parse(path.read_text("utf-8")).body if isinstance(node, ast.ClassDef)]
            assert attribute in classes, f"{group} {name}: {path.relative_to(ROOT)} defines {classes}"


def test_every_plugin_of_the_workspace_is_pinned_to_the_same_tools() -> None:
    """A constraint on everything that is asked for, so that a fresh environment is the one that was tested."""
    pinned = {Requirement(line).name.lower().replace("_", "-") for line in _constraints()}
    asked = {
        found.name.lower().replace("_", "-")
        for folder in (ROOT, *PLUGINS)
        for found in map(Requirement, project(folder)["dependencies"])
    }
    assert {name for name in asked - pinned if not name.startswith("itune-")} == set()


def _constraints() -> list[str]:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The core's wheel, built by its own backend."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_the_core_and_the_quickstart_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"itune_core", f"itune_core-{itune_core.__version__}.dist-info"}
    assert [name for name in names if Path(name).name.startswith(("test_", "conftest")) or "/tests/" in name] == []
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "itune_core").rglob("*.py")}
    assert modules <= set(names)
    shipped = {name.removeprefix("itune_core/quickstart/") for name in names if "/quickstart/" in name}
    quickstart = ROOT / "examples" / "quickstart"
    tracked = {
        path.relative_to(quickstart).as_posix()
        for path in quickstart.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(quickstart).parts)
    }
    assert shipped == tracked
    assert "recipe.yaml" in shipped


def test_init_works_from_a_wheel(wheel: Path, tmp_path: Path) -> None:
    """No checkout in sight: only the unpacked wheel and the core's dependencies are on the path."""
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    script = f"""
import sys
sys.path.insert(0, {str(tmp_path / "site")!r})
import itune_core
assert itune_core.__file__.startswith({str(tmp_path)!r}), itune_core.__file__
from itune_core.cli.main import main
sys.argv = ["itune", "init", "mine"]
main()
"""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "mine" / "recipe.yaml").read_bytes() == (ROOT / "examples/quickstart/recipe.yaml").read_bytes()
    assert (tmp_path / "mine" / "data" / "instructions.jsonl").is_file()
