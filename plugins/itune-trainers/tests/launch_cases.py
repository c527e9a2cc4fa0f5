"""What the processes of test_launch_curves.py run: several tasks, one after another, then what must be refused."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch
import torch.distributed as dist

from itune_core.api import ModelError
from itune_trainers.launch import together
from itune_trainers.launch.worker import Desk, train
from itune_trainers.launch.wrappers import Replicas


def refused(act: Callable[[], Any]) -> None:
    """Say with which error this is refused."""
    try:
        act()
    except ModelError as error:
        if dist.get_rank() == 0:
            print(f"{error.code} {error.what}", flush=True)


class Unshared(Replicas):
    """A wrapper in name only."""

    def shared_by(self) -> int:
        return 1


if __name__ == "__main__":
    dist.init_process_group("gloo")
    for folder in map(Path, sys.argv[1:]):
        train(folder, "cpu", Desk(folder.parent, None))

    refused(lambda: together.Together(3, "ddp", "cpu"))
    refused(lambda: together.Together(2, "ddp", "cuda:0"))
    ranks = together.Together(2, "ddp", "cpu")
    torch.manual_seed(dist.get_rank())
    refused(lambda: ranks.wrap(SimpleNamespace(model=torch.nn.Linear(2, 3), values=None)))
    torch.manual_seed(0)
    with patch.dict(together.WRAPPERS, ddp=Unshared):
        refused(lambda: ranks.wrap(SimpleNamespace(model=torch.nn.Linear(2, 3), values=None)))

    if find_spec("deepspeed") is not None:
        from itune_trainers.launch import zero3

        halves = torch.nn.ModuleList([torch.nn.Linear(3, 1), torch.nn.Linear(3, 1)])
        forward = SimpleNamespace(model=halves, values=lambda rows: halves[0](rows))
        ranks = zero3.Zero3(2, "zero3", "cpu")
        values = ranks.wrap(forward)
        ranks.optimise(torch.optim.AdamW(halves.parameters()), None)
        refused(lambda: ranks.backward(values(torch.ones(1, 3)).sum()))

        ranks.wrap(SimpleNamespace(model=torch.nn.Linear(2, 3), values=None))
        with patch.dict(zero3.DIVIDED, stage=2):
            refused(lambda: ranks.optimise(torch.optim.AdamW(ranks.wrapper._rows.parameters()), None))
    dist.barrier()
    dist.destroy_process_group()
