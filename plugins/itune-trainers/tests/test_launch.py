"""A training step in two processes, from its settings to the saved model, also where some of them are killed."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import datasets
import psutil
import pytest
from safetensors.torch import load_file

from itune_core.api import ModelError, ModelSource, TrainedModel
from itune_core.testing.context import BenchContext
from itune_trainers.objectives.sft import SFT

Bench = Callable[..., BenchContext]
PLAIN = {"model": "tiny", "dtype": "float32", "device": "cpu", "learning_rate": 0.01, "batch_size": 4, "epochs": 2}
FILE = """
compute_environment: LOCAL_MACHINE
distributed_type: MULTI_CPU
num_machines: 1
num_processes: 2
use_cpu: true
mixed_precision: 'no'
"""

NEEDS_DEEPSPEED = [
    pytest.mark.deepspeed,
    pytest.mark.skipif(
        find_spec("deepspeed") is None, reason="deepspeed is not installed: pip install 'itune-trainers[deepspeed]'"
    ),
]
ZERO3 = pytest.param("zero3", marks=NEEDS_DEEPSPEED)
pytestmark = pytest.mark.timeout(300)  # a process that waits for one that is gone would wait for ever


def sft(rows: datasets.Dataset, context: BenchContext, **settings: Any) -> TrainedModel:
    settings = {"launch": {"processes": 2}, "save_steps": 1, **PLAIN, **settings}
    return SFT(SFT.Config(**settings)).train({"train": rows, "eval": rows}, context)


def weights(made: TrainedModel) -> bytes:
    return (made.folder / "adapter_model.safetensors").read_bytes()


class GaveUp(Exception):
    pass


class Disturbed(BenchContext):
    """A bench where something happens when a step is reported."""

    def __init__(self, *args: Any, step: int, act: Callable[[], None], **rest: Any) -> None:
        super().__init__(*args, **rest)
        self.step, self.act = step, act

    def progress(self, done: int, total: int | None = None, **figures: float) -> None:
        super().progress(done, total, **figures)
        if done == self.step and figures:
            self.act()


def kill_one() -> None:
    # The last started: what trains is killed, not what listens to it.
    max(psutil.Process().children(), key=lambda child: child.create_time()).send_signal(signal.SIGKILL)


def give_up() -> None:
    raise GaveUp


@pytest.mark.slow
def test_an_accelerate_file_that_accelerate_runs_in_one_process_runs_in_two(
    conversations: datasets.Dataset, bench: Bench, tmp_path: Path
) -> None:
    file = tmp_path / "accelerate.yaml"
    file.write_text(FILE)
    alone = sft(conversations, bench("alone"), launch={})
    context = bench("together")
    made = sft(conversations, context, launch={"config": str(file)})
    told = {name: made.metrics.get(name) for name in ("processes", "strategy", "wrapper")}
    assert told == {"processes": 2, "strategy": "ddp", "wrapper": "DistributedDataParallel"}
    assert made.metrics.keys() == {*alone.metrics, *told}
    for name, value in alone.metrics.items():
        near = pytest.approx(value, rel=1e-5) if isinstance(value, float) else value
        assert made.metrics[name] == near, name
    assert [entry["loss"] for entry in made.history] == pytest.approx([entry["loss"] for entry in alone.history], 1e-5)
    assert [done for done, _, figures in context.reported if figures] == [1, 2, 3, 4, 5, 6]
    assert {path.name for path in made.folder.iterdir()} == {path.name for path in alone.folder.iterdir()}
    for name, tensor in load_file(alone.folder / "adapter_model.safetensors").items():
        same = load_file(made.folder / "adapter_model.safetensors")[name]
        assert ((tensor - same).abs() > 1e-4).float().mean() < 0.02, name


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["fsdp2", ZERO3])
def test_it_goes_on_with_the_same_bits_after_one_is_killed_and_after_all_are(
    conversations: datasets.Dataset, bench: Bench, tmp_path: Path, tiny: ModelSource, strategy: str
) -> None:
    before = psutil.Process().children()  # other tests of this process have theirs
    settings = {"lora": {"dropout": 0.1}, "launch": {"processes": 2, "strategy": strategy}}
    whole = sft(conversations, bench("whole"), **settings)

    folder = tmp_path / "disturbed"
    with pytest.raises(ModelError, match="was killed by SIGKILL") as caught:
        sft(conversations, Disturbed(folder, models={"tiny": tiny}, step=2, act=kill_one), **settings)
    assert caught.value.code == "E-TRAIN-091"
    assert Path(caught.value.where or "").is_file()
    assert psutil.Process().children() == before
    with pytest.raises(GaveUp):
        sft(conversations, Disturbed(folder, models={"tiny": tiny}, step=4, act=give_up), **settings)
    assert psutil.Process().children() == before

    shutil.copytree(folder, tmp_path / "elsewhere")
    context = bench("disturbed")
    resumed = sft(conversations, context, **settings)
    assert next(done for done, _, figures in context.reported if figures) > 3, "three steps were in the checkpoint"
    assert resumed.history == whole.history
    assert resumed.metrics == whole.metrics
    assert weights(resumed) == weights(whole)

    # A checkpoint holds whole tensors: how many processes go on from it is no matter.
    other = sft(conversations, bench("elsewhere"), **{**settings, "launch": {}})
    assert [entry["loss"] for entry in other.history[:3]] == [entry["loss"] for entry in whole.history[:3]]
    assert len(other.history) == len(whole.history)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", [ZERO3])
def test_what_one_process_began_is_ended_by_two(
    conversations: datasets.Dataset, bench: Bench, tmp_path: Path, tiny: ModelSource, strategy: str
) -> None:
    alone = sft(conversations, bench("alone"), launch={})
    folder = tmp_path / "disturbed"
    with pytest.raises(GaveUp):
        sft(conversations, Disturbed(folder, models={"tiny": tiny}, step=4, act=give_up), launch={})
    made = sft(conversations, bench("disturbed"), launch={"processes": 2, "strategy": strategy})
    assert [entry["loss"] for entry in made.history] == pytest.approx([entry["loss"] for entry in alone.history], 1e-5)
    for name, tensor in load_file(alone.folder / "adapter_model.safetensors").items():
        same = load_file(made.folder / "adapter_model.safetensors")[name]
        assert ((tensor - same).abs() > 1e-4).float().mean() < 0.02, name


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", ZERO3])
def test_what_a_process_says_is_wrong_is_said_by_the_step(
    conversations: datasets.Dataset, bench: Bench, strategy: str
) -> None:
    launch = {"processes": 2, "strategy": strategy}
    with pytest.raises(ModelError, match="went astray at step 2") as caught:
        sft(conversations, bench(), learning_rate=1e30, max_grad_norm=None, launch=launch)
    assert caught.value.code == "E-TRAIN-020"
    assert caught.value.fix


def test_an_objective_that_others_cannot_import_is_refused(conversations: datasets.Dataset, bench: Bench) -> None:
    class Inside(SFT):
        pass

    config = SFT.Config(**PLAIN, launch={"processes": 2})
    with pytest.raises(ModelError, match="cannot import") as caught:
        Inside(config).train({"train": conversations}, bench())
    assert caught.value.code == "E-TRAIN-092"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"device": "mps"}, "device is 'mps'"),
        ({"device": "cuda:1"}, "device is 'cuda:1'"),
    ],
)
def test_what_cannot_be_shared_is_refused(
    conversations: datasets.Dataset, bench: Bench, settings: dict[str, Any], says: str
) -> None:
    with pytest.raises(ModelError, match=says) as caught:
        sft(conversations, bench(), **settings)
    assert caught.value.code == "E-TRAIN-090"
