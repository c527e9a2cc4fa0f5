"""SIGKILL at moments of the clock's choosing, then once more to the end: the same bits as undisturbed."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import datasets
import pytest

from itune_core.api import ModelSource

WORKER = """
import sys
from pathlib import Path
import datasets
from itune_core.api import ModelSource
from itune_core.testing.context import BenchContext
from itune_trainers.objectives.sft import SFT

model, rows, folder = map(Path, sys.argv[1:])
context = BenchContext(folder, models={"tiny": ModelSource(model, "transformers", "tiny-1", "tiny")})
config = SFT.Config(
    model="tiny", dtype="float32", device="cpu", learning_rate=0.01, epochs=60, batch_size=4, save_steps=2,
    lora={"dropout": 0.1},
)
SFT(config).train({"train": datasets.load_from_disk(str(rows))}, context)
print("finished")
"""


@pytest.mark.slow
def test_killed_at_random_moments(tiny: ModelSource, conversations: datasets.Dataset, tmp_path: Path) -> None:
    rows = tmp_path / "rows"
    conversations.save_to_disk(str(rows))

    def start(folder: Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", WORKER, str(tiny.files), str(rows), str(folder)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    def digest(folder: Path) -> str:
        return hashlib.sha256((folder / "scratch" / "model" / "adapter_model.safetensors").read_bytes()).hexdigest()

    def last(folder: Path) -> str:
        return max((path.name for path in (folder / "scratch").glob("checkpoints/step-*")), default="")

    undisturbed = start(tmp_path / "undisturbed")
    assert "finished" in undisturbed.communicate()[0]

    killed, moments, kills = tmp_path / "killed", random.Random(0), 0
    for _ in range(4):
        process, seen = start(killed), last(killed)
        while process.poll() is None and last(killed) == seen:  # let it get somewhere, or nothing is put to the test
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 0.15))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.communicate()
    assert kills > 0
    assert "finished" in start(killed).communicate()[0]
    assert digest(killed) == digest(tmp_path / "undisturbed")
