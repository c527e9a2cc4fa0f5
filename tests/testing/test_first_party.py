"""Every component that this repository publishes has a conformance test in its plugin."""

from __future__ import annotations

import tomllib
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from itune_core.testing.conformance.component import Conformance

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = [
    folder.parent
    for folder in sorted(ROOT.glob("plugins/*/pyproject.toml"))
    if "entry-points" in tomllib.loads(folder.read_text("utf-8"))["project"]
]

EXCEPTIONS = {
    "extensions/trackio": "what it forwards to is a database in the user's home folder",
    "backends/vllm": "vLLM pins another torch, so it is in an environment of its own; see test_vllm_backend.py",
}
"""Components that cannot keep to the contract, and why."""

ELSEWHERE = {"extensions/wandb": "wandb", "extensions/mlflow": "mlflow"}
"""Components that are tested only where the library that they forward to is installed, which is in `nox -s trackers`.
Here they are excused only as long as it is not."""


def collected(folder: Path) -> set[str]:
    """The labels of the conformance classes that pytest finds in a plugin's tests here and now."""
    found = set()
    for path in folder.glob("tests/test_conformance_*.py"):
        spec = spec_from_file_location(f"collected_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        for name, value in vars(module).items():
            if name.startswith("Test") and isinstance(value, type) and issubclass(value, Conformance):
                found.add(value.component)
    return found


@pytest.mark.parametrize("folder", PLUGINS, ids=lambda folder: folder.name)
def test_it_is_in_its_plugins_conformance_tests(folder: Path) -> None:
    groups = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"]
    published = {f"{group.removeprefix('itune.')}/{name}" for group, names in groups.items() for name in names}
    excused = EXCEPTIONS.keys() | {label for label, library in ELSEWHERE.items() if find_spec(library) is None}
    assert collected(folder) == published - excused


def test_what_is_tested_elsewhere_is_tested_there() -> None:
    """The session installs each of these libraries and runs the conformance tests."""
    session = (ROOT / "noxfile.py").read_text("utf-8").split("def trackers(", 1)[1].split("@nox.session", 1)[0]
    assert "test_conformance_extensions.py" in session
    extras = session.split("itune-extensions[", 1)[1].split("]", 1)[0].split(",")
    assert set(ELSEWHERE.values()) <= set(extras)
