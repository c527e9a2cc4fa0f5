"""The example of the README, run: an objective of one's own gets all the rest."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest

from itune_core.api import ModelSource
from itune_core.testing.context import BenchContext

README = Path(__file__).parents[1] / "README.md"
ROOT = README.parent / "itune_trainers"


def test_the_readmes_objective_trains(pairs: datasets.Dataset, bench: Callable[..., BenchContext]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    space: dict[str, Any] = {}
    exec(code, space)  # of our own README
    objective = space["SquaredMargin"]
    config = objective.Config(model="tiny", dtype="float32", device="cpu", learning_rate=1e-4, epochs=8, beta=0.5)
    made = objective(config).train({"train": pairs, "eval": pairs}, bench())
    assert made.metrics["eval/loss/before"] == pytest.approx(1.0)  # (0 - 1) ** 2
    assert made.metrics["eval/loss"] < 0.5


def test_importing_the_components_imports_no_torch() -> None:
    import subprocess
    import sys

    modules = [f"itune_trainers.objectives.{path.stem}" for path in (ROOT / "objectives").glob("[a-z]*.py")]
    assert len(modules) > 14
    code = (
        f"import sys, {', '.join(modules)}; "
        "heavy = {'torch', 'transformers', 'peft', 'datasets'} & set(sys.modules); sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_model_is_left_as_it_was(
    tiny: ModelSource, conversations: datasets.Dataset, bench: Callable[..., BenchContext]
) -> None:
    from itune_trainers.objectives.sft import SFT

    before = {path.name: path.read_bytes() for path in tiny.files.iterdir()}
    SFT(SFT.Config(model="tiny", dtype="float32", device="cpu")).train({"train": conversations}, bench())
    assert before == {path.name: path.read_bytes() for path in tiny.files.iterdir()}
