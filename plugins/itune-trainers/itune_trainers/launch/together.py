"""One of several processes that train one model: its share of each batch, and what is added up over all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch.distributed.tensor import DTensor, distribute_tensor

from itune_core.api import ModelError
from itune_trainers.algorithm import Logps
from itune_trainers.launch.settings import Strategy
from itune_trainers.launch.wrappers import WRAPPERS, Wrapper
from itune_trainers.ranks import Ranks, Values
from itune_trainers.rows.example import Example

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from itune_trainers.forward.base import Forward


class Together(Ranks):
    """This process in its process group, which has been joined.

    Args:
        asked: how many processes there should be.
        strategy: what each of them holds.
        device: this one's.
    """

    def __init__(self, asked: int, strategy: Strategy, device: str) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self.strategy, self.device = strategy, device
        self.first, self.draw = self.rank == 0, (self.rank,)
        self.wrapper: Wrapper | None = None
        backend = {"cpu": "gloo", "cuda": "nccl"}[device.partition(":")[0]]
        if (self.size, dist.get_backend()) != (asked, backend):
            raise ModelError(
                "E-TRAIN-093",
                f"{asked} processes over {backend} were asked for, and there are {self.size} over {dist.get_backend()}",
                where=f"process {self.rank}",
                fix="unset what a launcher around itune has set for torch.distributed (RANK, WORLD_SIZE, MASTER_ADDR)",
            )

    def wrap(self, forward: Forward) -> Values:
        """As in `Ranks`; first makes sure that all begin with the same weights, then that they are really shared.

        Raises:
            ModelError: ``E-TRAIN-094`` they do not; ``E-TRAIN-095`` they are not.
        """
        self._same_weights(forward.model)
        self.wrapper = WRAPPERS[self.strategy](forward)
        self._really_shared()
        return self.wrapper.values

    def _really_shared(self) -> None:
        assert self.wrapper is not None
        shared = self.wrapper.shared_by()
        if shared != self.size:
            raise ModelError(
                "E-TRAIN-095",
                f"{self.strategy} over {self.size} processes was asked for; {self.wrapper.name} shares over {shared}",
                where=f"process {self.rank}",
                fix="this is a combination of torch and model that itune does not know; use launch: {strategy: ddp}",
            )

    def passes(self, forward: Forward, examples: Sequence[Example]) -> Iterator[tuple[list[Example], bool]]:
        assert self.wrapper is not None
        count = len(examples)
        own = examples[self.rank * count // self.size : (self.rank + 1) * count // self.size]
        passes = [(group, True) for group in forward.groups(own)] if own else []
        most = torch.tensor(len(passes), device=self.device)
        dist.all_reduce(most, dist.ReduceOp.MAX)
        # Its loss counts nothing, but the others' sums wait for it. The time is not lost: they run an example, too.
        passes += [([min(examples, key=lambda example: example.tokens)], False)] * (int(most) - len(passes))
        for number, one in enumerate(passes, 1):
            with self.wrapper.adding(last=number == len(passes)):
                yield one

    def added(self, figures: Mapping[str, float]) -> dict[str, float]:
        sums = torch.tensor(list(figures.values()), dtype=torch.float64, device=self.device)
        dist.all_reduce(sums)
        return dict(zip(figures, sums.tolist(), strict=True))

    def joined(self, parts: Sequence[Logps]) -> Logps:
        own = Logps.joined(parts) if parts else None
        # A process without a share has not even an empty tensor: it is told by the others whether there is a reference.
        held = torch.tensor(int(own is not None and own.reference is not None), device=self.device)
        dist.all_reduce(held, dist.ReduceOp.MAX)
        whole: dict[str, Any] = {}
        for field in fields(Logps):
            if field.name == "baseline" or (field.name == "reference" and not held):
                whole[field.name] = None
                continue
            kind = torch.int64 if field.name in ("tokens", "rows") else torch.float32
            part = torch.empty(0, dtype=kind, device=self.device) if own is None else getattr(own, field.name)
            whole[field.name] = self._gathered(part.to(kind))
        return Logps(**whole)

    def weight(self, weight: nn.Parameter) -> Tensor:
        return _whole(weight.detach())

    def assign(self, weight: nn.Parameter, whole: Tensor) -> None:
        super().assign(weight, _part(whole, weight))

    def moments(self, optimizer: Optimizer, weight: nn.Parameter) -> dict[str, Tensor]:
        return {key: _whole(value) for key, value in super().moments(optimizer, weight).items()}

    def resume(self, optimizer: Optimizer, weight: nn.Parameter, moments: Mapping[str, Tensor]) -> None:
        super().resume(optimizer, weight, {key: _part(value, weight) for key, value in moments.items()})

    def _norm(self, norm: Tensor) -> float:
        return _whole(norm).item()

    def facts(self) -> Mapping[str, Any]:
        assert self.wrapper is not None
        return {"processes": self.size, "strategy": self.strategy, "wrapper": self.wrapper.name}

    def _same_weights(self, model: nn.Module) -> None:
        """Each process has opened the model by itself: same files, same seeds, and so the same bits."""
        names, weights = zip(*model.named_parameters(), strict=True)
        own = torch.stack([weight.detach().sum(dtype=torch.float64) for weight in weights])
        all_ = [torch.empty_like(own) for _ in range(self.size)]
        dist.all_gather(all_, own)
        differs = torch.stack([other != own for other in all_]).any(0).nonzero().flatten().tolist()
        if differs:
            raise ModelError(
                "E-TRAIN-094",
                f"the processes do not begin with the same weights: {len(differs)} of {len(names)} differ",
                where=f"{names[differs[0]]}, process {self.rank}",
                fix="the model's files may have changed while they were read; start the run again",
            )

    def _gathered(self, part: Tensor) -> Tensor:
        """The parts of all processes, end to end."""
        length = torch.tensor(len(part), device=self.device)
        lengths = [torch.empty_like(length) for _ in range(self.size)]
        dist.all_gather(lengths, length)
        longest = int(max(lengths))
        padded = torch.cat([part, part.new_zeros(longest - len(part))])
        parts = [torch.empty_like(padded) for _ in range(self.size)]
        dist.all_gather(parts, padded)
        return torch.cat([one[: int(size)] for one, size in zip(parts, lengths, strict=True)])


def _whole(tensor: Tensor) -> Tensor:
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def _part(whole: Tensor, like: Tensor) -> Tensor:
    """This process's part of a tensor, divided as `like` is."""
    if not isinstance(like, DTensor) or whole.shape != like.shape:  # the optimiser's count of steps is one number
        return whole
    # None: each process takes its part out of what it has read itself; nothing is sent.
    return distribute_tensor(whole.to(like.device), like.device_mesh, like.placements, src_data_rank=None)
