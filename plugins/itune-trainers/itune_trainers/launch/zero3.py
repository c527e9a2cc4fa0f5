"""DeepSpeed's ZeRO-3: its engine holds weights, gradients and the optimiser's moments in parts, and makes the step.

The loop stays the loop. It asks its `Ranks` for the backward pass, the step and the state, and here DeepSpeed's engine
does them, over our own optimiser; so a checkpoint holds whole tensors here, too, and goes on under any strategy.
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim import Optimizer

from itune_core.api import ModelError
from itune_trainers.launch.settings import Strategy
from itune_trainers.launch.together import Together
from itune_trainers.launch.wrappers import Rows

if TYPE_CHECKING:
    from itune_torch import Encoded
    from itune_trainers.forward.base import Forward
    from itune_trainers.ranks import Values

DIVIDED: Mapping[str, Any] = {
    "stage": 3,
    "stage3_param_persistence_threshold": 0,  # small weights, too
}
"""What each process holds a part of."""

BUCKET = 50_000_000
"""Gradients are summed in buffers of at most so many numbers, allocated once; DeepSpeed's default takes 2 GB."""


class Partitions:
    """The engine, from when there is an optimiser for it."""

    def __init__(self, forward: Forward) -> None:
        import deepspeed

        # It would compile C++ on this machine, at the first start, for sums that gloo does.
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
        forward.one_call = True  # a process that called the model more often than another would wait for ever
        self._rows, self._engine = Rows(forward), cast(Any, None)
        self.name = "no engine yet"
        self._trained: frozenset[str] = frozenset()
        self._reached: set[str] = set()

    def start(self, optimizer: Optimizer, limit: float | None) -> None:
        """Divide the model, and have the engine make the steps of `optimizer`."""
        import deepspeed

        for group in list(optimizer.param_groups):
            if not group["params"]:
                optimizer.param_groups.remove(group)
        trained = {name: weight for name, weight in self._rows.named_parameters() if weight.requires_grad}
        for name, weight in trained.items():
            weight.register_post_accumulate_grad_hook(lambda _, name=name: self._reached.add(name))
        self._trained = frozenset(trained)
        numbers = sum(weight.numel() for weight in trained.values())
        config = {
            "train_micro_batch_size_per_gpu": 1,  # asked for; says nothing where the caller decides when to step
            "managed_gradient_accumulation": False,
            "gradient_clipping": limit or 0.0,
            "zero_allow_untested_optimizer": True,
            "zero_force_ds_cpu_optimizer": False,
            "zero_optimization": {**DIVIDED, "reduce_bucket_size": min(numbers, BUCKET)},
        }
        self._engine, *_ = deepspeed.initialize(model=self._rows, optimizer=optimizer, config=config)
        self.name = f"{type(self._engine).__name__} ({type(self._engine.optimizer).__name__})"

    def values(self, rows: Sequence[Sequence[Encoded]]) -> tuple[Tensor, Tensor]:
        return cast(tuple[Tensor, Tensor], self._engine(rows))

    def adding(self, *, last: bool) -> AbstractContextManager[None]:
        return nullcontext()  # summed after every pass: kept whole until the last, they would not be shared

    def shared_by(self) -> int:
        if self._engine.zero_optimization_stage() != 3:
            return 0
        counts = {dist.get_world_size(weight.ds_process_group) for weight in self._rows.parameters()}
        divided = all(
            weight.numel() == 0 and weight.ds_tensor.numel() == math.ceil(weight.ds_numel / max(counts))
            for weight in self._rows.parameters()
        )
        return counts.pop() if divided and len(counts) == 1 else 0

    def backward(self, loss: Tensor) -> None:
        """Add to the gradients.

        Raises:
            ModelError: ``E-TRAIN-098`` a trained weight got none, for which the engine takes that of an earlier step.
        """
        self._reached.clear()
        self._engine.backward(loss)
        missed = sorted(self._trained - self._reached)
        if missed:
            raise ModelError(
                "E-TRAIN-098",
                f"{len(missed)} of {len(self._trained)} trained weights took no part in a pass",
                where=missed[0].removeprefix("model."),
                why="DeepSpeed's ZeRO-3 would make its step with the gradients they had before",
                fix="set strategy: ddp, or fsdp2",
            )

    def step(self) -> float:
        """Gives the norm of the gradients; infinity where one is not finite, and no step is made."""
        self._engine.step()
        return float(self._engine.get_global_grad_norm())

    def let_go(self) -> None:
        """Have each process hold its parts only: whole weights are kept from pass to pass where there is room."""
        self._engine.empty_partition_cache()

    def flat(self) -> list[Tensor]:
        """What the optimiser is given for its parameters: this process's parts of many weights end to end."""
        return cast(list[Tensor], self._engine.optimizer.fp32_partitioned_groups_flat)


class Zero3(Together):
    """This process in its process group, with DeepSpeed's engine."""

    wrapper: Partitions | None

    def __init__(self, asked: int, strategy: Strategy, device: str) -> None:
        # When it is imported, by whomever, it looks for a device by itself, and takes a GPU that it finds.
        os.environ["DS_ACCELERATOR"] = device.partition(":")[0]
        super().__init__(asked, strategy, device)

    def wrap(self, forward: Forward) -> Values:
        self._same_weights(forward.model)
        self.wrapper = Partitions(forward)
        return self.wrapper.values

    def optimise(self, optimizer: Optimizer, limit: float | None) -> None:
        self._engine.start(optimizer, limit)
        self._really_shared()

    def backward(self, loss: Tensor) -> None:
        self._engine.backward(loss * self.size)  # it takes the mean over processes, and the loss is a share of a sum

    def step(self, optimizer: Optimizer, weights: Collection[nn.Parameter], limit: float | None) -> float:
        return self._engine.step()

    def weight(self, weight: nn.Parameter) -> Tensor:
        from deepspeed.utils import safe_get_full_fp32_param

        return cast(Tensor, safe_get_full_fp32_param(weight)).detach().clone()

    def assign(self, weight: nn.Parameter, whole: Tensor) -> None:
        from deepspeed.utils import safe_set_local_fp32_param

        self._engine.let_go()
        part = self._part(whole, weight)
        safe_set_local_fp32_param(weight, part)
        # That is the optimiser's copy. The model's own follows at the next step, and may be asked before.
        cast(Any, weight).ds_tensor.data.copy_(part)

    def moments(self, optimizer: Optimizer, weight: nn.Parameter) -> dict[str, Tensor]:
        from deepspeed.utils import safe_get_full_optimizer_state

        state: Mapping[str, Tensor] = next(iter(optimizer.state.values()), {})
        return {
            key: safe_get_full_optimizer_state(weight, key).clone() if value.ndim else value.clone()
            for key, value in state.items()
        }

    def resume(self, optimizer: Optimizer, weight: nn.Parameter, moments: Mapping[str, Tensor]) -> None:
        from deepspeed.utils import safe_set_local_optimizer_state

        for key, whole in moments.items():
            for flat in self._engine.flat():
                whole = whole.to(flat.device)
                optimizer.state[flat].setdefault(key, torch.zeros_like(flat) if whole.ndim else whole.clone())
            if whole.ndim:  # the count of steps is one number
                safe_set_local_optimizer_state(weight, self._part(whole, weight), key)

    @property
    def _engine(self) -> Partitions:
        assert self.wrapper is not None
        return self.wrapper

    def _part(self, whole: Tensor, weight: nn.Parameter) -> Tensor:
        """This process's part of a tensor of `weight`'s shape; the last ones are filled up to the others' length."""
        length = cast(Any, weight).ds_tensor.numel()
        filled = nn.functional.pad(whole.flatten(), (0, length * self.size - whole.numel()))
        return filled[self.rank * length :][:length]
