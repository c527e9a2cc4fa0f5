"""How torch shares a model among processes: what each of them holds, and when gradients are added up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol, cast

import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, Shard
from torch.nn.parallel import DistributedDataParallel

from itune_trainers.launch.settings import Strategy

if TYPE_CHECKING:
    from itune_torch import Encoded
    from itune_trainers.forward.base import Forward


class Wrapper(Protocol):
    """A shared model.

    Attributes:
        name: of torch's own class, as it is at run time.
    """

    name: str

    def values(self, rows: Sequence[Sequence[Encoded]]) -> tuple[Tensor, Tensor]:
        """`Forward.values`, run by the wrapper."""
        ...

    def adding(self, *, last: bool) -> AbstractContextManager[None]:
        """Around a forward and its backward pass; the gradients are the sum over all processes after the last."""
        ...

    def shared_by(self) -> int:
        """How many processes share the model, as torch itself says: 0 if it shares nothing."""
        ...


class Rows(nn.Module):
    """`Forward.values` as a module, so that what wraps it sees all of a pass, the LM head's projection included."""

    def __init__(self, forward: Forward) -> None:
        super().__init__()
        self.model = forward.model
        self._values = forward.values

    def forward(self, rows: Sequence[Sequence[Encoded]]) -> tuple[Tensor, Tensor]:
        return self._values(rows)


class Replicas:
    """A model of its own for each process; gradients are added up while the last backward pass still runs."""

    def __init__(self, forward: Forward) -> None:
        self._engine = DistributedDataParallel(
            Rows(forward),
            broadcast_buffers=False,  # nobody changes them
            find_unused_parameters=True,  # experts that no token of the batch was sent to
        )
        self._engine.register_comm_hook(None, _sum)
        self.name = type(self._engine).__name__

    def values(self, rows: Sequence[Sequence[Encoded]]) -> tuple[Tensor, Tensor]:
        return cast(tuple[Tensor, Tensor], self._engine(rows))

    def adding(self, *, last: bool) -> AbstractContextManager[None]:
        return nullcontext() if last else cast(AbstractContextManager[None], self._engine.no_sync())

    def shared_by(self) -> int:
        return dist.get_world_size(self._engine.process_group)


class Shards:
    """A share of every weight for each process; the whole of a layer is there only while it is computed.

    This is ``fully_shard`` of torch itself. accelerate's and the Trainer's FSDP share nothing on a CPU, with no error.
    """

    def __init__(self, forward: Forward) -> None:
        from itune_torch import base_of

        forward.one_call = True  # a process that called the model more often than another would wait for ever
        mesh = init_device_mesh(forward.device.partition(":")[0], (dist.get_world_size(),))
        layers = base_of(forward.model)._no_split_modules or ()
        for module in list(forward.model.modules()):
            if type(module).__name__ in layers:
                fully_shard(module, mesh=mesh)
        # The root, too, after each pass: else weights set between two passes (a checkpoint's) would not be seen.
        self._engine = cast(Any, fully_shard(Rows(forward), mesh=mesh, reshard_after_forward=True))
        for module in self._engine.modules():
            if isinstance(module, FSDPModule):
                module.set_force_sum_reduction_for_comms(True)
                module.set_gradient_divide_factor(1.0)
        self.name = f"FSDPModule ({type(self._engine).__name__})"

    def values(self, rows: Sequence[Sequence[Encoded]]) -> tuple[Tensor, Tensor]:
        return cast(tuple[Tensor, Tensor], self._engine(rows))

    def adding(self, *, last: bool) -> AbstractContextManager[None]:
        return nullcontext()  # summed after every pass: kept whole until the last, they would not be shared

    def shared_by(self) -> int:
        weights = [weight for weight in self._engine.parameters() if weight.requires_grad]
        shared = all(isinstance(weight, DTensor) and weight.placements == (Shard(0),) for weight in weights)
        if not (isinstance(self._engine, FSDPModule) and shared):
            return 0
        return cast(int, weights[0].device_mesh.size())


WRAPPERS: Mapping[Strategy, type[Replicas] | type[Shards]] = {"ddp": Replicas, "fsdp2": Shards}


def _sum(_, bucket):  # type: ignore[no-untyped-def]  # torch compares annotations with classes, and these are strings
    """Add gradients up: the loss is divided by the weight of the whole batch already. torch would take the mean."""
    work = dist.all_reduce(bucket.buffer(), async_op=True)
    return work.get_future().then(lambda future: future.value()[0])
