"""Distributions as the scaffold writes them, and fresh environments, installed from wheels, to try them in."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from itune_core.scaffold.names import Names
from itune_core.scaffold.project import render, write

ROOT = Path(__file__).parents[2]
CONSTRAINTS = ROOT / "constraints.txt"
NEEDED = ("torch", "backends", "formatters", "filters", "generators", "trainers")
BUILT = [ROOT, *(ROOT / "plugins" / f"itune-{name}" for name in NEEDED)]
"""The core, what the generated trainer and objective depend on, and what recipes of generated components use."""


@dataclass(frozen=True)
class Environment:
    """A virtual environment of its own.

    Attributes:
        folder: where it is, as ``venv``, and whatever else belongs to it.
        wheels: folder of the wheels of this checkout.
    """

    folder: Path
    wheels: Path

    def run(self, *command: str, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
        """One of its scripts, which must end with `code`."""
        script = self.folder / "venv" / "bin" / command[0]
        return ends([str(script), *command[1:]], cwd=cwd, code=code, MYPY_CACHE_DIR=str(self.folder / "mypy"))

    def install(self, *what: str) -> None:
        """Install into it, at the pinned versions: with uv where it is there, which links what another environment
        has, torch above all; else with pip."""
        python = str(self.folder / "venv" / "bin" / "python")
        if importlib.util.find_spec("uv") is None:
            call = [python, "-m", "pip", "install"]
        else:
            call = [sys.executable, "-m", "uv", "pip", "install", "--python", python, *_places(self.folder)]
        ends([*call, "--quiet", "-c", str(CONSTRAINTS), *what], cwd=self.folder)


def ends(command: Sequence[str], cwd: Path, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command without what this process' environment says of Python; it must end with `code`."""
    inherited = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    env = {**inherited, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "NO_COLOR": "1", **environment}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == code, f"{' '.join(command)}\nexit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def _places(folder: Path) -> list[str]:
    """uv does not read what pip is told; where torch comes from matters most, for it may be a build of this machine's
    kind."""
    settings = ends([sys.executable, "-m", "pip", "config", "list"], cwd=folder).stdout
    told = re.findall(r"\.(find-links|index-url)=(.+)", settings)
    return [part for option, values in told for place in shlex.split(values) for part in (f"--{option}", place)]


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wheels of what of this checkout generated components need."""
    folder = tmp_path_factory.mktemp("built")
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    ends([*build, *map(str, BUILT)], cwd=folder)
    return folder


@pytest.fixture(scope="session")
def fresh_environment(tmp_path_factory: pytest.TempPathFactory, wheels: Path) -> Callable[..., Environment]:
    """Makes a fresh environment with those wheels and what else is asked for. Needs the package index."""

    def make(*also: str) -> Environment:
        environment = Environment(tmp_path_factory.mktemp("fresh"), wheels)
        ends([sys.executable, "-m", "venv", "venv"], cwd=environment.folder)
        try:
            environment.install(*map(str, wheels.glob("*.whl")), *also)
        except AssertionError as error:
            raise AssertionError(
                f"the environment cannot be made; these tests need the package index\n{error}"
            ) from error
        return environment

    return make


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., Path]:
    """Writes one into a folder of its own; gives that folder."""

    def new(stage: str, name: str, author: str | None = "Ada Lovelace") -> Path:
        names = Names(stage, name)
        folder = tmp_path / stage / names.distribution
        write(folder, render(names, author, 2026))
        return folder

    return new
