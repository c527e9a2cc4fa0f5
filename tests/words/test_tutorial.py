"""The tutorial is true: its files are written, its commands run, its outputs compared, in order, as a reader would."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "tutorial-plugin.md"
Fences = Callable[[Path], list[Any]]


class Terminal:
    """A shell in a folder: the working directory and the environment stay from one block of commands to the next.

    Attributes:
        folder: where it is.
        output: what the last commands printed, standard error included.
    """

    def __init__(self, folder: Path, state: Path, environment: Mapping[str, str]) -> None:
        self.folder, self.output = folder, ""
        self._state, self._environment = state, dict(environment)

    def run(self, commands: str) -> None:
        """Run commands, each of which must succeed."""
        script = f"set -euo pipefail\n{commands}\n{{ pwd; env -0; }} > {shlex.quote(str(self._state))}\n"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self.output = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
        assert done.returncode == 0, f"{commands}\nended with {done.returncode} in {self.folder}:\n{done.stdout}"
        place, _, variables = self._state.read_text("utf-8").partition("\n")
        self.folder = Path(place)
        self._environment = dict(item.split("=", 1) for item in variables.split("\0") if item)

    def write(self, name: str, text: str) -> None:
        """Put a file where the shell is."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def misses(shown: str, output: str) -> list[str]:
    """The lines of `shown` that do not occur in `output`, in order; an ellipsis stands for anything, blanks for any."""
    lines = [" ".join(line.split()) for line in output.splitlines()]
    absent = []
    for line in filter(None, (" ".join(line.split()) for line in shown.splitlines())):
        pattern = ".*".join(map(re.escape, line.split("…")))
        place = next((number for number, found in enumerate(lines) if re.fullmatch(pattern, found)), None)
        if place is None:
            absent.append(line)
        else:
            lines = lines[place + 1 :]
    return absent


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """That of a reader's shell, in which pip finds the core and the formatters of this checkout, as wheels."""
    wheels = tmp_path_factory.mktemp("wheels")
    for folder in (ROOT, ROOT / "plugins" / "itune-formatters"):
        build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(wheels)]
        subprocess.run(build, cwd=folder, check=True, capture_output=True)
    own = ("PYTHON", "VIRTUAL_ENV", "PYTEST_", "COVERAGE_", "ITUNE_")
    links = f"{wheels} {os.environ.get('PIP_FIND_LINKS', '')}".strip()
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(own)},
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PIP_CONSTRAINT": str(ROOT / "constraints.txt"),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_FIND_LINKS": links,
        "UV_CONSTRAINT": str(ROOT / "constraints.txt"),
        "UV_FIND_LINKS": links.replace(" ", ","),
        "WHEELS": str(wheels),
    }


@pytest.mark.slow
def test_every_step_of_the_tutorial(fences: Fences, environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "reader").mkdir()
    terminal = Terminal(tmp_path / "reader", tmp_path / "state", environment)
    for fence in fences(PAGE):
        if fence.title:
            terminal.write(fence.title, fence.text)
        elif (fence.language, fence.info) == ("bash", "run"):
            terminal.run(fence.text)
        elif (fence.language, fence.info) == ("text", "output"):
            assert misses(fence.text, terminal.output) == [], terminal.output


def test_every_command_is_run_but_the_upload(fences: Fences) -> None:
    """A block of shell is run, or it is one of those that only the forge and the index can carry out."""
    shell = [fence for fence in fences(PAGE) if fence.language in {"bash", "console", "sh", "shell"}]
    left = [fence.text for fence in shell if (fence.language, fence.info) != ("bash", "run")]
    assert all(re.match(r"\$ (git|gh) ", line) for text in left for line in text.splitlines()), left
    assert len(shell) - len(left) >= 8


def test_output_follows_the_commands_that_print_it(fences: Fences) -> None:
    shown = [fence for fence in fences(PAGE) if fence.title or fence.info in {"run", "output"}]
    for before, fence in zip([None, *shown], shown, strict=False):
        assert fence.info != "output" or (before and before.info == "run"), fence.text
    assert any(fence.info == "output" for fence in shown)


@pytest.mark.parametrize(
    ("shown", "output", "absent"),
    [
        ("a  b\nc", "x\na b\ny\nc\n", []),
        ('…"reason": "cut"…', '{"id": 1, "reason": "cut"}', []),
        ("c\na", "a\nc\n", ["a"]),
        ("a", "ab\n", ["a"]),
    ],
)
def test_outputs_are_compared_line_by_line(shown: str, output: str, absent: list[str]) -> None:
    assert misses(shown, output) == absent


def test_a_shell_stays_where_it_is_and_fails_where_a_command_does(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, tmp_path / "state", os.environ)
    terminal.run("mkdir inner; cd inner; export SAID=hello")
    terminal.write("file", "text\n")
    terminal.run('echo "$SAID"; cat file')
    assert terminal.output == "hello\ntext\n"
    with pytest.raises(AssertionError, match="ended with 1"):
        terminal.run("false\ntrue")
