"""The processes that train one model together, as the loop sees them; here: the one process that trains alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from itune_trainers.algorithm import Logps
from itune_trainers.examples import Example

if TYPE_CHECKING:
    from torch import Tensor

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

    def whole(self, tensor: Tensor) -> Tensor:
        """The whole of a tensor of which each process holds a part."""
        return tensor

    def part(self, whole: Tensor, like: Tensor) -> Tensor:
        """This process's part of a tensor, divided as `like` is."""
        return whole

    def facts(self) -> Mapping[str, Any]:
        """How many there are and how they share the work, for the step's metrics."""
        return {}


ALONE = Ranks()


def wholes(ranks: Ranks, parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """All of each tensor, on the CPU of the first process; nothing in the others. One by one: a device that holds a
    part of each need not have room for them all."""
    made = {}
    for name, part in parts.items():
        whole = ranks.whole(part).cpu()
        if ranks.first:
            made[name] = whole
    return made
