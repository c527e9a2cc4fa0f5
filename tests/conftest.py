"""What tests of the whole share: the two-layer model, recipes written in place, the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random two-layer Llama and its tokenizer."""
    from itune_torch import make_tiny_llama

    folder = tmp_path_factory.mktemp("models") / "tiny"
    make_tiny_llama(folder)
    return folder


@pytest.fixture
def itune(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run ``itune`` in `tmp_path`, in a process of its own; `code` is the expected exit code."""

    def run(
        *arguments: str, code: int | None = 0, stdin: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", **environment}
        done = subprocess.run(
            [sys.executable, "-m", "itune_core.cli.main", *arguments],
            cwd=tmp_path,
            env=env,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert code is None or done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    return run


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Forty instruction rows, as Alpaca lays them out."""
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in instruction_rows(40)))
    return path


def instruction_rows(count: int) -> list[dict[str, str]]:
    """Rows whose answers differ in length: one to seven words."""
    return [
        {
            "instruction": f"Count to {n % 7 + 1}.",
            "input": f"case {n}",
            "output": " ".join(map(str, range(n % 7 + 1))) + ".",
        }
        for n in range(count)
    ]
