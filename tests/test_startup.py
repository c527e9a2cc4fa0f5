"""What is only listed, checked or explained imports no deep-learning library: the command line answers at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
QUICKSTART = ROOT / "examples" / "quickstart" / "recipe.yaml"

HEAVY = ("torch", "transformers", "datasets", "pyarrow", "pandas", "peft", "trl", "sentence_transformers", "accelerate")

SCRIPT = """
import json, sys
from itune_core.cli.main import main
sys.argv = ["itune", *sys.argv[1:]]
try:
    main()
finally:
    sys.stderr.write("\\n" + json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def imported(home: Path, *arguments: str) -> tuple[int, set[str], str]:
    """Exit code, imported top-level modules and standard output of ``itune ARGUMENTS`` in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "ITUNE_HOME": str(home)},
        check=False,
    )
    return done.returncode, set(json.loads(done.stderr.splitlines()[-1])), done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("--version",),
        ("export", "--help"),
        ("selftest", "--help"),
        ("plugins", "list"),
        ("plugins", "list", "--json"),
        ("check", str(QUICKSTART)),
    ],
    ids=" ".join,
)
def test_nothing_heavy_is_imported(arguments: tuple[str, ...], tmp_path: Path) -> None:
    code, modules, out = imported(tmp_path, *arguments)
    assert code == 0, out
    assert modules.isdisjoint(HEAVY), sorted(modules.intersection(HEAVY))


def test_listing_imports_no_plugin(tmp_path: Path) -> None:
    _, modules, out = imported(tmp_path, "plugins", "list")
    assert "itune-trainers" in out
    assert {name for name in modules if name.startswith("itune_")} == {"itune_core"}
    assert "pydantic" not in modules  # which takes longer to import than the list takes


def test_the_probe_sees_what_is_imported(tmp_path: Path) -> None:
    """The test of the test: a command that must import a plugin shows it."""
    _, modules, _ = imported(tmp_path, "plugins", "show", "trainers/sft")
    assert "itune_trainers" in modules
    assert modules.isdisjoint(HEAVY)
