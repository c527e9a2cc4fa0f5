"""The rules of the house: imports run downwards, plugins use the front door, the core is light, files are small.

Everything is read with `ast`; nothing is imported.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
CORE = ROOT / "itune_core"
PLUGINS = sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))

LAYERS = ("cli", "report", "engine", "recipe", "plugins", "api")
"""From the top down; a module imports its own layer and what stands below it."""

ABOVE_TESTING = ("cli", "report")
UNDER_SCAFFOLD = ("plugins", "api")
NEVER = {"torch", "transformers", "trl", "peft", "sentence_transformers", "accelerate", "tensorflow", "jax", "ray"}
LATE = {"datasets", "pyarrow", "numpy", "pandas", "huggingface_hub", "stevedore"}
"""Costly to import: the core does so only inside functions, or where a type checker looks."""

MAX_LINES = 450
DRAWERS = {"utils", "util", "helpers", "helper", "common", "misc", "shared", "tools"}
"""Names of modules in which anything could be put."""

IMPORT_NAMES = {
    "pyyaml": "yaml",
    "pillow": "PIL",
    "faiss-cpu": "faiss",
    "scikit-learn": "sklearn",
    "huggingface-hub": "huggingface_hub",
    "mlflow-skinny": "mlflow",
    "tensorboardx": "tensorboardX",
}
"""Distributions whose module is not called as they are."""

BASE = {"pydantic", "pluggy"}
"""What itune-core depends on and its interface is made of: fields of a Config, hooks."""

HIDDEN = {"itune_core.api.records", "itune_core.api.parts"}
"""Modules that their package hides behind a function of the same name."""


class Import(NamedTuple):
    """One module named by an import statement.

    Attributes:
        module: its full name; of ``from a.b import c``, ``a.b.c`` where that is a module of this repository.
        line: where.
        late: whether it stands inside a function.
        typing: whether only a type checker reads it.
    """

    module: str
    line: int
    late: bool
    typing: bool

    @property
    def top(self) -> str:
        return self.module.partition(".")[0]


def modules(package: Path) -> list[Path]:
    return sorted(package.rglob("*.py"))


def imports(path: Path) -> Iterator[Import]:
    """Every import of a module, relative ones refused."""

    def walk(node: ast.AST, late: bool, typing: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                for alias in child.names:
                    yield Import(alias.name, child.lineno, late, typing)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{path}:{child.lineno}: a relative import"
                for alias in child.names:
                    whole = f"{child.module}.{alias.name}"
                    module = whole if _is_module(whole) and whole not in HIDDEN else str(child.module)
                    yield Import(module, child.lineno, late, typing)
            elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                for inner in child.body:
                    yield from walk(ast.Module([inner], []), late, True)
                for inner in child.orelse:
                    yield from walk(ast.Module([inner], []), late, typing)
            else:
                inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
                yield from walk(child, late or inside, typing)

    yield from walk(ast.parse(path.read_text("utf-8"), str(path)), False, False)


def _is_module(name: str) -> bool:
    path = ROOT / Path(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def shown(path: Path, found: Import) -> str:
    return f"{path.relative_to(ROOT)}:{found.line} imports {found.module}"


def layer(module: str) -> str | None:
    """The layer of a core module; None for what has none (the package itself)."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == "itune_core" else None


def test_every_core_package_has_its_place() -> None:
    packages = {path.parent.name for path in CORE.glob("*/__init__.py")}
    assert packages == {*LAYERS, "testing", "scaffold"}


def test_imports_run_downwards() -> None:
    wrong = []
    for path in modules(CORE):
        here = path.relative_to(CORE).parts[0] if path.parent != CORE else None
        for found in imports(path):
            there = layer(found.module)
            if there is None or here is None or here == there:
                continue
            if here == "testing":
                good = there not in ABOVE_TESTING
            elif there == "testing":  # the command line starts its test server, late
                good = here == "cli" and found.late
            elif "scaffold" in (here, there):  # below the command line alone
                good = there in UNDER_SCAFFOLD or here == "cli"
            else:
                good = LAYERS.index(here) < LAYERS.index(there)
            if not good:
                wrong.append(shown(path, found))
    assert wrong == []


def test_the_core_never_imports_a_deep_learning_library() -> None:
    wrong = [shown(path, found) for path in modules(CORE) for found in imports(path) if found.top in NEVER]
    assert wrong == []


def test_the_core_imports_costly_libraries_inside_functions_only() -> None:
    wrong = [
        shown(path, found)
        for path in modules(CORE)
        for found in imports(path)
        if found.top in LATE and not found.late and not found.typing
    ]
    assert wrong == []


def _module_of(requirement: str) -> str:
    name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0].lower()
    return IMPORT_NAMES.get(name, name.replace("-", "_"))


@pytest.mark.parametrize("folder", PLUGINS, ids=lambda folder: folder.name)
def test_a_plugin_imports_the_api_and_what_it_declares(folder: Path) -> None:
    own = folder.name.replace("-", "_")
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    declared = set(map(_module_of, project["dependencies"]))
    optional = {_module_of(line) for extra in project.get("optional-dependencies", {}).values() for line in extra}
    # What comes with torch, transformers or the core and belongs to their interface.
    declared |= BASE | ({"datasets"} if "itune_core" in declared else set())
    wrong = []
    for path in modules(folder):
        testing = "tests" in path.relative_to(folder).parts
        for found in imports(path):
            if found.top == "itune_core":
                good = found.module == "itune_core.api" or (testing and found.module.startswith("itune_core.testing"))
                good |= testing  # end-to-end tests run the real engine
            elif found.top == own or found.top in sys.stdlib_module_names:
                good = True
            elif found.top.startswith("itune_"):
                there = found.top in declared or ((found.late or testing) and found.top in optional)
                good = there and (found.module == found.top or testing)
            else:
                good = found.top in declared or found.typing or testing or (found.late and found.top in optional)
            if not good:
                wrong.append(shown(path, found))
    assert wrong == []


@pytest.mark.parametrize("folder", PLUGINS, ids=lambda folder: folder.name)
def test_published_modules_import_no_deep_learning_library_at_once(folder: Path) -> None:
    """Listing, checking and planning import these modules: torch must wait until it is needed."""
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    values = [value for group in project.get("entry-points", {}).values() for value in group.values()]
    wrong: list[str] = []
    seen: set[Path] = set()
    queue = [folder / Path(*value.partition(":")[0].split(".")).with_suffix(".py") for value in values]
    while queue:
        path = queue.pop()
        if path in seen or not path.is_file():
            continue
        seen.add(path)
        for found in imports(path):
            if found.late or found.typing:
                continue
            if found.top in NEVER | {"datasets", "pyarrow"}:
                wrong.append(shown(path, found))
            if found.top == folder.name.replace("-", "_"):  # what the module itself pulls in
                queue.append(folder / Path(*found.module.split(".")).with_suffix(".py"))
    assert wrong == []


def test_files_are_small_and_named_after_what_they_hold() -> None:
    python = [
        path
        for package in (CORE, *PLUGINS, ROOT / "tests", ROOT / "docs", ROOT / "benchmarks")
        for path in modules(package)
    ]
    long = {str(path.relative_to(ROOT)): lines for path in python if (lines := _lines(path)) > MAX_LINES}
    assert long == {}
    assert [str(path.relative_to(ROOT)) for path in python if path.stem.lower().strip("_") in DRAWERS] == []


def _lines(path: Path) -> int:
    return len(path.read_text("utf-8").splitlines())
