"""One of the processes of a training: ``python -m itune_trainers.launch.worker FOLDER DEVICE``, started by the parent.

It finds its place in the environment, as torch.distributed's own launcher would set it: RANK, LOCAL_RANK, WORLD_SIZE,
MASTER_ADDR and MASTER_PORT. What it says, one JSON object a line, goes to standard output, and only the first process
says anything; what anybody else prints goes to standard error, which is the process's log.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from itune_core.api import ItuneError

if TYPE_CHECKING:
    from itune_trainers.launch.settings import Strategy
    from itune_trainers.launch.together import Together

DONE, WEIGHTS = "done.json", "weights.safetensors"
REFUSED = 3
"""Exit code of a process that has left an error of itune's."""


class Desk:
    """The parent's desk, from here.

    Args:
        scratch: the step's folder.
        channel: to the parent; None: somebody else reports.
    """

    def __init__(self, scratch: Path, channel: int | None) -> None:
        self.scratch, self._channel = scratch, channel

    def progress(self, done: int, total: int | None = None, **figures: float) -> None:
        if self._channel is not None:
            line = json.dumps({"done": done, "total": total, "figures": figures}) + "\n"
            os.write(self._channel, line.encode())


def error_file(folder: Path, rank: int) -> Path:
    """Where a process leaves the error that ended it."""
    return folder / f"error-{rank}.json"


def main(folder: Path, device: str) -> int:
    """Carry out the task in `folder` as one of its processes; gives the exit code.

    Args:
        folder: where the parent wrote the task.
        device: the kind, ``cpu`` or ``cuda``.
    """
    rank = int(os.environ["RANK"])
    channel = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    try:
        _carry_out(folder, device, channel if rank == 0 else None)
    except ItuneError as error:
        told = {name: getattr(error, name) for name in ("code", "what", "where", "why", "fix")}
        error_file(folder, rank).write_text(json.dumps(told), "utf-8")
        return REFUSED
    return 0


def _end_with_the_parent() -> None:
    """Standard input is the parent's, and ends with it, however it ends. Nobody is left to train for then."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(1)


def _carry_out(folder: Path, device: str, channel: int | None) -> None:
    import torch
    import torch.distributed as dist

    if device == "cuda":
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    try:
        train(folder, device, Desk(folder.parent, channel))
        dist.barrier()  # nobody leaves while another still wants something of it
    finally:
        dist.destroy_process_group()


def train(folder: Path, device: str, desk: Desk) -> None:
    """Carry out the task in `folder` in the process group that this process is in.

    Args:
        folder: where the parent wrote the task; the first process leaves there what came of it.
        device: of this process.
        desk: where checkpoints are and progress is told.
    """
    from safetensors.torch import save_file

    from itune_trainers.launch.files import read
    from itune_trainers.model.opening import trained_tensors
    from itune_trainers.ranks import wholes
    from itune_trainers.training.task import carry_out

    task, reference, beside = read(folder)
    ranks = join(beside["processes"], beside["strategy"], device)
    config = task.config.model_copy(update={"device": device})
    done = carry_out(replace(task, config=config), desk, lambda _: reference, ranks)
    trained = trained_tensors(done.model).items()
    weights = wholes(ranks, ((name, ranks.weight(weight)) for name, weight in trained))
    if ranks.first:
        save_file({name: weight.contiguous() for name, weight in weights.items()}, folder / WEIGHTS)
        names = [field.name for field in fields(done) if field.name != "model"]
        (folder / DONE).write_text(json.dumps({name: getattr(done, name) for name in names}), "utf-8")


def join(asked: int, strategy: Strategy, device: str) -> Together:
    """This process's place among those that share a model, as :class:`Together` takes it."""
    from itune_trainers.launch.together import Together

    if strategy == "zero3":
        from itune_trainers.launch.zero3 import Zero3

        return Zero3(asked, strategy, device)
    return Together(asked, strategy, device)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
