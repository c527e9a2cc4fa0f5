"""The data sets that a mixer draws from, laid end to end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import repeat
from typing import TYPE_CHECKING, Any, NoReturn

from itune_core.api import DataError, Drawn
from itune_mixers.drawing import Block

if TYPE_CHECKING:
    import numpy as np

    from itune_mixers.drawing import Places


class Sources:
    """Data sets in declared order of the inputs and, within one, in the order of `from`.

    Args:
        names: the inputs that are drawn from.
        inputs: what the hook was handed.

    Attributes:
        data_sets: all of them.
        of: by input, the numbers of its data sets; none for an input that was left out.
    """

    def __init__(self, names: Iterable[str], inputs: Mapping[str, Any]) -> None:
        self.data_sets: list[Any] = []
        self.of: dict[str, range] = {}
        for name in names:
            before = len(self.data_sets)
            self.data_sets += inputs.get(name) or ()
            self.of[name] = range(before, len(self.data_sets))

    @cached_property
    def sizes(self) -> list[int]:
        """Rows of each."""
        return [len(rows) for rows in self.data_sets]

    @cached_property
    def starts(self) -> Places:
        """Place of the first row of each."""
        import numpy as np

        return np.cumsum([0, *self.sizes], dtype=np.int64)[:-1]

    @cached_property
    def pools(self) -> list[Places]:
        """The places of each."""
        import numpy as np

        return [np.arange(start, start + size) for start, size in zip(self.starts, self.sizes, strict=True)]

    def named(self, number: int) -> str:
        """Source `number` as a person finds it in the recipe: ``chat[0]``."""
        for name, numbers in self.of.items():
            if number in numbers:
                return f"{name}[{number - numbers.start}]"
        raise IndexError(number)

    def owners(self, places: Places) -> Places:
        """The number of the source that each place belongs to."""
        import numpy as np

        return np.searchsorted(self.starts, places, side="right") - 1

    def tally(self, places: Places, weights: np.ndarray[Any, Any] | None = None) -> list[int]:
        """How many of the places belong to each source, or the sum of their (whole) weights."""
        import numpy as np

        counted = np.bincount(self.owners(places), weights, minlength=len(self.sizes))
        return [int(number) for number in counted]

    def draws(self, blocks: Iterable[Block]) -> Iterator[Drawn]:
        """The blocks' rows as the engine takes them."""
        for places, phase, epoch in blocks:
            owners = self.owners(places)
            rows = places - self.starts[owners]
            yield from map(Drawn, owners.tolist(), rows.tolist(), repeat(phase), repeat(epoch))


def capped(sizes: Iterable[int], cap: int | None) -> list[int]:
    """min(e, K): the rows that each source counts for."""
    return [rows if cap is None else min(rows, cap) for rows in sizes]


def shares(weights: Sequence[float]) -> list[float]:
    """The weights in parts of their sum; all 0 where the sum is."""
    total = sum(weights)
    return [weight / total if total else 0.0 for weight in weights]


def refuse_empty(what: str, share: float) -> NoReturn:
    """A share was asked by name of what has no rows: drawing the others in its place would be another mix.

    Raises:
        DataError: ``E-MIX-002``.
    """
    raise DataError(
        "E-MIX-002",
        f"a share of {share:g} is asked of {what}, which has no rows",
        fix="look at what the steps before dropped (itune ledger), or leave it out",
    )
