"""Every component that this repository publishes has a conformance test in its plugin."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = [
    folder.parent
    for folder in sorted(ROOT.glob("plugins/*/pyproject.toml"))
    if "entry-points" in tomllib.loads(folder.read_text("utf-8"))["project"]
]

EXCEPTIONS = {"extensions/trackio": "what it forwards to is a database in the user's home folder"}
"""Components that cannot keep to the contract, and why."""


def covered(folder: Path) -> set[str]:
    """The labels that conformance classes of a plugin name, read and not imported."""
    return {
        ast.literal_eval(statement.value)
        for path in folder.glob("tests/test_conformance_*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ClassDef)
        for statement in node.body
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "component"
    }


@pytest.mark.parametrize("folder", PLUGINS, ids=lambda folder: folder.name)
def test_it_is_in_its_plugins_conformance_tests(folder: Path) -> None:
    groups = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"]
    published = {f"{group.removeprefix('itune.')}/{name}" for group, names in groups.items() for name in names}
    assert covered(folder) == published - EXCEPTIONS.keys()
