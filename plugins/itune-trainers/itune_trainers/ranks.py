"""The processes that train one model together, as the loop sees them; here: the one process that trains alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from itune_trainers.algorithm import Logps
from itune_trainers.rows.example import Example

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from itune_torch import Encoded
    from itune_trainers.forward.base import Forward

Values = Callable[[Sequence[Sequence["Encoded"]]], tuple["Tensor", "Tensor"]]
"""The form of `Forward.values`."""


class Ranks:
    """One process. What is the sum over all processes, or a share of the work, is here the thing itself.

    Every process calls every method, in the same order: most wait until the others are there.

    Attributes:
        first: whether this process is the one that writes files and reports.
        draw: what tells the random numbers of this process from those of the others.
    """

    first: bool = True
    draw: Sequence[int] = ()

    def wrap(self, forward: Forward) -> Values:
        """`Forward.values` of a model that is shared with the other processes. Called once, when the model is as it is
        to be trained and before its parameters are handed to an optimiser."""
        return forward.values

    def passes(self, forward: Forward, examples: Sequence[Example]) -> Iterator[tuple[list[Example], bool]]:
        """This process's share of a batch, in groups to be run at once; the flag says whether a group counts.

        Each process has as many groups. One that has fewer of its own runs some example again, and counts it not.
        Gradients of all groups are added up over all processes once the last one's loss has gone backward.
        """
        for group in forward.groups(examples):
            yield group, True

    def added(self, figures: Mapping[str, float]) -> dict[str, float]:
        """The sum over all processes of each figure; all have figures of the same names."""
        return dict(figures)

    def joined(self, parts: Sequence[Logps]) -> Logps:
        """What all processes have found for their shares of a batch, in the order of the batch. Without gradient.

        Args:
            parts: of the groups that count.
        """
        return Logps.joined(parts)

    def optimise(self, optimizer: Optimizer, limit: float | None) -> None:
        """Take charge of an optimiser of the shared model's parameters. Called once, after :meth:`wrap`.

        Args:
            optimizer: that has made no step yet.
            limit: the largest norm of the gradient of all parameters, which is scaled down to it.
        """

    def backward(self, loss: Tensor) -> None:
        """Add to the gradients those of one group's share of the batch's loss."""
        loss.backward()  # type: ignore[no-untyped-call]

    def step(self, optimizer: Optimizer, weights: Collection[nn.Parameter], limit: float | None) -> float:
        """Clip the gradients and make the optimiser's step; gives their norm before they were clipped.

        No step is made where the norm is not finite.
        """
        import torch

        norm = self._norm(torch.nn.utils.clip_grad_norm_(weights, math.inf if limit is None else limit))
        if math.isfinite(norm):
            optimizer.step()
        return norm

    def _norm(self, norm: Tensor) -> float:
        return norm.item()

    def weight(self, weight: nn.Parameter) -> Tensor:
        """The whole of a weight, of which each process may hold a part; without gradient."""
        return weight.detach()

    def assign(self, weight: nn.Parameter, whole: Tensor) -> None:
        """Let a weight be `whole`, or this process's part of it."""
        import torch

        with torch.no_grad():
            weight.copy_(whole)

    def moments(self, optimizer: Optimizer, weight: nn.Parameter) -> dict[str, Tensor]:
        """The optimiser's state of a weight, by its own names, whole; empty before the first step."""
        return dict(optimizer.state[weight])

    def resume(self, optimizer: Optimizer, weight: nn.Parameter, moments: Mapping[str, Tensor]) -> None:
        """Give an optimiser the state of a weight that :meth:`moments` gave."""
        optimizer.state[weight] = {key: value.to(weight.device, copy=True) for key, value in moments.items()}

    def facts(self) -> Mapping[str, Any]:
        """How many there are and how they share the work, for the step's metrics."""
        return {}


ALONE = Ranks()


def wholes(ranks: Ranks, tensors: Iterable[tuple[str, Tensor]]) -> dict[str, Tensor]:
    """The tensors by their names, on the CPU of the first process; nothing in the others.

    Each is asked for when the one before it is there: a device that holds a part of each need not have room for all.
    """
    made = {}
    for name, whole in tensors:
        if ranks.first:
            made[name] = whole.cpu()
    return made
