"""Two processes make of the same batches what one makes: losses, figures and weights, whatever each of them holds."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from itune_core.api import Kind, ModelSource, message, ranking
from itune_core.testing.context import BenchContext
from itune_trainers import Objective
from itune_trainers.launch import worker
from itune_trainers.launch.files import write
from itune_trainers.launch.parent import _environment
from itune_trainers.launch.processes import Processes
from itune_trainers.model.opening import trained_tensors
from itune_trainers.objectives.dpo import DPO
from itune_trainers.objectives.kto import KTO
from itune_trainers.objectives.reward import Reward
from itune_trainers.objectives.rrhf import RRHF
from itune_trainers.objectives.sft import SFT
from itune_trainers.training.task import Done, Task

pytestmark = pytest.mark.slow
STEPS = {"model": "tiny", "dtype": "float32", "device": "cpu", "learning_rate": 0.01, "batch_size": 5, "epochs": 2}
ALL = {**STEPS, "adapter": "none", "learning_rate": 1e-3}


@dataclass
class Case:
    """A task carried out by one process, and then by two.

    Attributes:
        objective: with its settings.
        rows: which fixture they are from.
        strategy: of the two.
    """

    objective: Callable[[], Objective]
    rows: str
    strategy: str


CASES = {
    "sft": Case(lambda: SFT(SFT.Config(**STEPS)), "conversations", "ddp"),
    "sft-all": Case(lambda: SFT(SFT.Config(**ALL, weight_decay=0.1)), "conversations", "ddp"),
    "sft-all-checkpointing": Case(lambda: SFT(SFT.Config(**ALL, gradient_checkpointing=True)), "conversations", "ddp"),
    # Groups of one row: the processes have different numbers of them, and one batch of one record leaves one with none.
    "sft-small": Case(lambda: SFT(SFT.Config(**STEPS, tokens_per_forward=1)), "conversations", "ddp"),
    "dpo": Case(lambda: DPO(DPO.Config(**{**STEPS, "batch_size": 3})), "pairs", "ddp"),
    "dpo-all": Case(lambda: DPO(DPO.Config(**ALL)), "pairs", "ddp"),
    "rrhf": Case(lambda: RRHF(RRHF.Config(**STEPS)), "rankings", "ddp"),
    "rrhf-all": Case(lambda: RRHF(RRHF.Config(**ALL)), "rankings", "ddp"),
    "kto": Case(lambda: KTO(KTO.Config(**{**STEPS, "batch_size": 2})), "feedback", "ddp"),
    "reward": Case(lambda: Reward(Reward.Config(**STEPS)), "pairs", "ddp"),
    "fsdp2-reward": Case(lambda: Reward(Reward.Config(**STEPS)), "pairs", "fsdp2"),
    "fsdp2-sft": Case(lambda: SFT(SFT.Config(**STEPS)), "conversations", "fsdp2"),
    "fsdp2-sft-all": Case(lambda: SFT(SFT.Config(**ALL)), "conversations", "fsdp2"),
    "fsdp2-sft-small": Case(lambda: SFT(SFT.Config(**STEPS, tokens_per_forward=1)), "conversations", "fsdp2"),
    "fsdp2-dpo": Case(lambda: DPO(DPO.Config(**{**STEPS, "tokens_per_forward": 8})), "pairs", "fsdp2"),
    "fsdp2-rrhf-all": Case(
        lambda: RRHF(RRHF.Config(**ALL, gradient_checkpointing=True, tokens_per_forward=32)), "rankings", "fsdp2"
    ),
    "fsdp2-kto": Case(lambda: KTO(KTO.Config(**{**STEPS, "batch_size": 2})), "feedback", "fsdp2"),
    "fsdp2-stopped": Case(
        lambda: SFT(SFT.Config(**STEPS, early_stopping={"every": 1, "patience": 3, "min_delta": 10.0})),
        "conversations",
        "fsdp2",
    ),
    "fsdp2-bfloat16": Case(lambda: SFT(SFT.Config(**{**STEPS, "dtype": "bfloat16"})), "conversations", "fsdp2"),
    "zero3-sft": Case(lambda: SFT(SFT.Config(**STEPS)), "conversations", "zero3"),
    "zero3-sft-all": Case(lambda: SFT(SFT.Config(**ALL, weight_decay=0.1)), "conversations", "zero3"),
    "zero3-sft-small": Case(lambda: SFT(SFT.Config(**STEPS, tokens_per_forward=1)), "conversations", "zero3"),
    "zero3-sft-all-small": Case(lambda: SFT(SFT.Config(**ALL, tokens_per_forward=1)), "conversations", "zero3"),
    "zero3-dpo": Case(lambda: DPO(DPO.Config(**{**STEPS, "tokens_per_forward": 8})), "pairs", "zero3"),
    "zero3-dpo-all": Case(lambda: DPO(DPO.Config(**ALL)), "pairs", "zero3"),
    "zero3-kto": Case(lambda: KTO(KTO.Config(**{**STEPS, "batch_size": 2})), "feedback", "zero3"),
    "zero3-reward": Case(lambda: Reward(Reward.Config(**STEPS)), "pairs", "zero3"),
    "zero3-rrhf-all": Case(
        lambda: RRHF(RRHF.Config(**ALL, gradient_checkpointing=True, tokens_per_forward=32)), "rankings", "zero3"
    ),
    # Three rows of a matrix in two processes: the parts are filled up.
    "zero3-dora": Case(
        lambda: SFT(SFT.Config(**STEPS, lora={"rank": 3, "alpha": 6, "dora": True}, max_grad_norm=None)),
        "conversations",
        "zero3",
    ),
    "zero3-stopped": Case(
        lambda: SFT(SFT.Config(**STEPS, early_stopping={"every": 1, "patience": 3, "min_delta": 10.0})),
        "conversations",
        "zero3",
    ),
    "zero3-bfloat16": Case(lambda: SFT(SFT.Config(**{**STEPS, "dtype": "bfloat16"})), "conversations", "zero3"),
    "quantised": Case(
        lambda: SFT(SFT.Config(**STEPS, quantize="4bit", early_stopping={"every": 1, "patience": 9})),
        "conversations",
        "ddp",
    ),
    "dropout": Case(lambda: SFT(SFT.Config(**STEPS, lora={"dropout": 0.3})), "conversations", "ddp"),
    "dropout-again": Case(lambda: SFT(SFT.Config(**STEPS, lora={"dropout": 0.3})), "conversations", "ddp"),
}
NEEDS = {
    "deepspeed": [name for name, case in CASES.items() if case.strategy == "zero3"],
    "bitsandbytes": ["quantised"],
}
WITHOUT = {name: package for package, names in NEEDS.items() if find_spec(package) is None for name in names}
WRAPPER = {
    "ddp": "DistributedDataParallel",
    "fsdp2": "FSDPModule (FSDPRows)",
    "zero3": "DeepSpeedEngine (DeepSpeedZeroOptimizer_Stage3)",
}


def run(names: Iterable[str]) -> list[Any]:
    """As parameters; those that cannot be run here are skipped, and those of DeepSpeed are marked."""
    marks: dict[str, list[pytest.MarkDecorator]] = {name: [pytest.mark.deepspeed] for name in NEEDS["deepspeed"]}
    for name, package in WITHOUT.items():
        marks.setdefault(name, []).append(pytest.mark.skip(reason=f"{package} is not installed"))
    return [pytest.param(name, marks=marks.get(name, ())) for name in names]


SAME = [name for name in CASES if not name.startswith("dropout") and not name.endswith("bfloat16")]


@dataclass
class Ran:
    """What came of a case: by one process, and by two."""

    alone: Done
    together: dict[str, Any]
    weights: dict[str, Tensor]


@pytest.fixture(scope="module")
def rankings(dataset: Any) -> datasets.Dataset:
    """Seven lists of two to four answers."""
    return dataset(
        Kind.RANKING,
        (
            ranking(
                [message("user", f"Count to {number}.")],
                [
                    {"completion": [message("assistant", " ".join(map(str, range(end))))], "score": float(end % 3)}
                    for end in range(1, 3 + number % 3)
                ],
            ).replace(id=f"r{number}")
            for number in range(7)
        ),
    )


@pytest.fixture(scope="module")
def feedback(pairs: datasets.Dataset, dataset: Any) -> datasets.Dataset:
    """Seven answers, of which every other was liked."""
    from itune_core.api import feedback

    return dataset(
        Kind.FEEDBACK,
        (
            feedback(row["prompt"], row["chosen"], label=number % 2 == 0).replace(id=f"f{number}")
            for number, row in enumerate(pairs.select(range(7)))
        ),
    )


@pytest.fixture(scope="module")
def ran(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, tiny: ModelSource
) -> tuple[dict[str, Ran], str]:
    """All cases, by one process each and then by two together; and what these said in the end."""
    import itune_trainers.train as training

    root = tmp_path_factory.mktemp("cases")
    alone: dict[str, Done] = {}
    folders = {name: root / name / "scratch" / "launch" for name in CASES if name not in WITHOUT}
    carry_out = training.carry_out
    with pytest.MonkeyPatch.context() as patch:
        for name in folders:
            case = CASES[name]
            folders[name].mkdir(parents=True)

            def kept(task: Task, desk: Any, reference: Any, name: str = name, case: Case = case) -> Done:
                seen: dict[str, Tensor] = {}
                alone[name] = carry_out(task, desk, lambda forward: seen.update(reference(forward)) or seen)
                write(folders[name], task, seen, processes=2, strategy=case.strategy)
                return alone[name]

            patch.setattr(training, "carry_out", kept)
            rows = request.getfixturevalue(case.rows)
            case.objective().train(
                {"train": rows, "eval": rows}, BenchContext(root / f"{name}-alone", models={"tiny": tiny})
            )
    store = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    command = [sys.executable, str(Path(__file__).parent / "launch_cases.py"), *map(str, folders.values())]
    with Processes(command, [_environment(rank, 2, store.port) for rank in (0, 1)], root) as group:
        said = "".join(group.lines())
    assert group.failed is None, [path.read_text()[-2000:] for path in root.glob("*.log")]
    return {
        name: Ran(
            alone[name],
            json.loads((folder / worker.DONE).read_text()),
            load_file(folder / worker.WEIGHTS),
        )
        for name, folder in folders.items()
    }, said


@pytest.mark.parametrize("name", run(SAME))
def test_the_curve_and_the_weights_are_those_of_one_process(ran: tuple[dict[str, Ran], str], name: str) -> None:
    one = ran[0][name]
    assert len(one.together["history"]) == len(one.alone.history) >= 4
    for here, there in zip(one.together["history"], one.alone.history, strict=True):
        assert list(here) == list(there)
        if here["step"] == 1:  # reference and model are the same, and which answer is ahead is rounding
            here, there = ({k: v for k, v in entry.items() if k != "rewards/accuracies"} for entry in (here, there))
        assert here == pytest.approx(there, rel=1e-5, abs=2e-5)
    assert one.together["before"]["loss"] == pytest.approx(one.alone.before["loss"], rel=1e-5)
    assert one.together["after"] == pytest.approx(one.alone.after, rel=1e-4, abs=2e-4)
    assert one.together["trained_parameters"] == one.alone.trained_parameters
    wanted = trained_tensors(one.alone.model)
    assert one.weights.keys() == wanted.keys()
    for label, weight in wanted.items():
        # Where a gradient is all rounding, Adam still makes a step of the learning rate's size, either way.
        assert ((one.weights[label] - weight.detach()).abs() > 1e-4).float().mean() < 0.02, label


@pytest.mark.parametrize("name", run(SAME))
def test_it_says_who_shared_the_work(ran: tuple[dict[str, Ran], str], name: str) -> None:
    facts = ran[0][name].together["facts"]
    strategy = CASES[name].strategy
    assert (facts["processes"], facts["strategy"], facts["wrapper"]) == (2, strategy, WRAPPER[strategy])


@pytest.mark.parametrize("name", run(["fsdp2-bfloat16", "zero3-bfloat16"]))
def test_frozen_weights_may_be_of_another_type_than_trained_ones(ran: tuple[dict[str, Ran], str], name: str) -> None:
    one = ran[0][name]
    assert {weight.dtype for weight in one.weights.values()} == {torch.float32}
    assert [entry["loss"] for entry in one.together["history"]] == pytest.approx(
        [entry["loss"] for entry in one.alone.history], rel=0.01
    )


def test_dropout_is_each_process_s_own_and_the_same_again(ran: tuple[dict[str, Ran], str]) -> None:
    first, again = ran[0]["dropout"], ran[0]["dropout-again"]
    assert first.together == again.together
    assert all(torch.equal(weight, again.weights[name]) for name, weight in first.weights.items())
    # The first step is no evidence: a new adapter adds nothing, whatever of its input is dropped.
    assert first.together["history"][1]["loss"] != pytest.approx(first.alone.history[1]["loss"], rel=1e-5)


def test_what_is_not_as_asked_is_refused(ran: tuple[dict[str, Ran], str]) -> None:
    # DeepSpeed says things there, too.
    assert [line for line in ran[1].splitlines() if line.startswith("E-TRAIN")] == [
        "E-TRAIN-093 3 processes over gloo were asked for, and there are 2 over gloo",
        "E-TRAIN-093 2 processes over nccl were asked for, and there are 2 over gloo",
        "E-TRAIN-094 the processes do not begin with the same weights: 2 of 2 differ",
        "E-TRAIN-095 ddp over 2 processes was asked for; DistributedDataParallel shares over 1",
        *(
            [
                "E-TRAIN-098 2 of 4 trained weights took no part in a pass",
                "E-TRAIN-095 zero3 over 2 processes was asked for; "
                "DeepSpeedEngine (DeepSpeedZeroOptimizer) shares over 0",
            ]
            if find_spec("deepspeed")
            else []
        ),
    ]
