"""The parent of a training in several processes: writes down the task, listens, and takes what came of it."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from itune_core.api import Context, ModelError
from itune_trainers.forward.base import Forward
from itune_trainers.launch import worker
from itune_trainers.launch.accelerate_file import read_accelerate_file
from itune_trainers.launch.files import write
from itune_trainers.launch.processes import Processes, log_file, worker_command
from itune_trainers.launch.settings import Strategy
from itune_trainers.model.opening import trained_tensors
from itune_trainers.settings import Settings
from itune_trainers.training.task import Done, Task

if TYPE_CHECKING:
    from torch import Tensor


def carry_out_together(task: Task, context: Context, reference: Callable[[Forward], Mapping[bytes, Tensor]]) -> Done:
    """As `carry_out`, in the processes that the task's settings ask for. Values under the reference are computed in
    this one, before.

    Raises:
        ModelError: ``E-TRAIN-091`` one of them came to an end; those of :func:`asked`, of the processes, and of
            `carry_out`.
    """
    import torch
    from safetensors.torch import load_file

    processes, strategy = asked(task.config)
    folder = context.scratch / "launch"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    values = reference(task.open()) if task.objective.needs_reference else {}
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()  # that model is gone, and the processes need its memory
    write(folder, task, values, processes=processes, strategy=strategy)
    # A store of this process's own: a port that is chosen and held in one moment is nobody else's.
    store = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    command = worker_command(worker.__name__, str(folder), task.config.device)
    with Processes(command, [_environment(rank, processes, store.port) for rank in range(processes)], folder) as group:
        for line in group.lines():
            told = json.loads(line)
            context.progress(told["done"], told["total"], **told["figures"])
        if group.failed is not None:
            raise _error(folder, *group.failed, processes)

    done = json.loads((folder / worker.DONE).read_text("utf-8"))
    config = task.config.model_copy(update={"device": "cpu"})  # a model that was shared may fit on no single device
    model = replace(task, config=config).open().model
    weights = trained_tensors(model)
    with torch.no_grad():
        for name, tensor in load_file(folder / worker.WEIGHTS).items():
            weights[name].copy_(tensor)
    return Done(model, **done)


def asked(config: Settings) -> tuple[int, Strategy]:
    """How many processes a settled config asks for, and what each holds.

    Raises:
        ModelError: ``E-TRAIN-090`` they cannot be had on this device, or with these settings; those of the accelerate
            config file.
    """
    import torch

    processes, strategy = config.launch.processes, config.launch.strategy
    if config.launch.config is not None:
        processes, strategy = read_accelerate_file(Path(config.launch.config), config.device)
    what = f"launch asks for {processes} processes with {strategy}"
    if config.device not in ("cpu", "cuda"):
        raise ModelError("E-TRAIN-090", f"{what}, and device is {config.device!r}", fix="set device: cuda, or cpu")
    if config.device == "cuda" and torch.cuda.device_count() < processes:
        raise ModelError(
            "E-TRAIN-090",
            f"{what} on cuda, and this machine has {torch.cuda.device_count()} of these devices",
            why="each process needs one of its own",
            fix=f"set processes: {max(2, torch.cuda.device_count())}, or device: cpu",
        )
    if strategy != "ddp" and config.quantize is not None:
        raise ModelError(
            "E-TRAIN-090",
            f"{what}, and the weights are quantised",
            why="quantised weights cannot be divided among processes",
            fix="set strategy: ddp, or remove quantize",
        )
    return processes, strategy


def _environment(rank: int, processes: int, port: int) -> dict[str, str]:
    """As torch.distributed's launcher sets it; a process group of its own, whatever one this process may be in."""
    threads = os.environ.get("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
    return {
        **os.environ,
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(processes),
        "LOCAL_WORLD_SIZE": str(processes),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",  # the store is there already, in the parent
        "OMP_NUM_THREADS": threads,
    }


def _error(folder: Path, rank: int, code: int, processes: int) -> ModelError:
    """What the process said that failed first; what can be said about it where it said nothing."""
    told = worker.error_file(folder, rank)
    if code == worker.REFUSED and told.is_file():
        values = json.loads(told.read_text("utf-8"))
        return ModelError(values.pop("code"), values.pop("what"), **values)
    log = log_file(folder, rank)
    with log.open(errors="replace") as lines:
        last = [line.strip() for line in deque(lines, 20) if line.strip()]
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    return ModelError(
        "E-TRAIN-091",
        f"process {rank} of {processes} {how}; the others were ended",
        where=str(log),
        why=last[-1] if last else "it said nothing; the system kills a process so when memory runs out",
        fix="start the run again: it goes on from the last checkpoint",
    )
