"""Drop records that say nearly the same as an earlier one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from pydantic import Field

from itune_core.api import (
    ComponentConfig,
    Context,
    Drop,
    Failed,
    Filter,
    Inputs,
    Keep,
    Part,
    Record,
    RowError,
    contents,
    hookimpl,
)
from itune_filters.likeness.minhash import band_keys, bands_for, colliding
from itune_filters.likeness.shingles import Shingler
from itune_filters.likeness.texts import texts_of
from itune_filters.likeness.tokens import Unit, tokens

if TYPE_CHECKING:
    from itune_filters.likeness.shingles import Numbers

_STRIDE = 1000


class Alike(NamedTuple):
    """An earlier set: its place, and the Jaccard similarity to it."""

    place: int
    jaccard: float


class NearDuplicates(Filter):
    r"""Keep the first of records that are nearly the same, in the order of the data set.

    Of each record the set of its shingles is taken: all runs of `size` words (or characters) of its text, lower and
    upper case being one; a text of fewer is one shingle. A record is dropped if the Jaccard similarity

    .. math:: J(A, B) = \frac{|A \cap B|}{|A \cup B|}

    of its shingles to those of an earlier record that was kept reaches `threshold`. Which records to compare is found
    by MinHash: 128 permutations, in bands through which at least 99 % of the pairs at the threshold come, and more of
    those above it. So a near duplicate can be missed, one in a hundred at most; none is dropped that is not one, for
    the similarity is then counted over the shingles themselves, by numbers of 64 bits. Eight bytes are held for each
    shingle, and no text.

    All turns count but system turns, unless `on` says otherwise. Scripts without spaces (Chinese, Japanese, Thai, ...)
    are read character by character, so that the default works for them too. To compare instructions by themselves,
    which are short, take a smaller `size`.

    Dropped: ``near-duplicate``, with the id of the kept record that it is most like, the first of equals, and their
    similarity. A record that lacks the part fails (``E-DATA-037``), and so does one without letters and digits
    (``E-FILTER-050``).

    Source: MinHash, Broder (1997), https://doi.org/10.1109/SEQUEN.1997.666900; what near duplicates do to a model:
    arXiv:2107.06499.
    """

    class Config(ComponentConfig):
        threshold: float = Field(0.7, ge=0.1, le=1, description="Jaccard similarity from which on a record is dropped.")
        on: Part = Field("all", description="What is compared: prompt and answers, the prompt, or the answers.")
        unit: Unit = Field("words", description="What shingles are made of.")
        size: int = Field(5, ge=1, description="Words, or characters, of a shingle.")

    @hookimpl
    def itune_filter(self, inputs: Inputs, context: Context) -> Iterator[Keep | Drop | Failed]:
        # The hook itself: a verdict depends on all records before this one.
        rows = inputs["records"]
        sets, failed = self._sets(texts_of(rows))
        names = [name for place, name in enumerate(rows["id"][:]) if place not in failed]
        alike = enumerate(first_of_each(sets, self.config.threshold), 1)
        for place in range(len(rows)):
            if place in failed:
                yield failed[place]
                continue
            done, earlier = next(alike)
            if done % _STRIDE == 0:
                context.progress(done, len(sets))
            if earlier is None:
                yield Keep()
            else:
                yield Drop("near-duplicate", f"of {names[earlier.place]}, jaccard {earlier.jaccard:.3f}")

    def _sets(self, rows: Iterator[Record]) -> tuple[list[Numbers], dict[int, Failed]]:
        """The shingles of each record that has any, and by number of the row those that cannot be compared."""
        shingler, read = Shingler(self.config.size), 0
        sets: list[Numbers] = []
        failed: dict[int, Failed] = {}
        while some := list(islice(rows, _STRIDE)):
            texts = []
            for record in some:
                try:
                    texts.append(tokens("\n".join(contents(record, self.config.on)), self.config.unit))
                except RowError as error:
                    failed[read] = Failed.of(error)
                read += 1
            sets += shingler(texts)
        return sets, failed


def first_of_each(sets: Sequence[Numbers], threshold: float) -> Iterator[Alike | None]:
    """For each set, in order, the earlier one that it is most like; None if it is unlike all: then it is one that later
    sets are compared with.

    Args:
        sets: shingles by number, none empty; repeats count once.
        threshold: least Jaccard similarity of sets that are alike.
    """
    import numpy as np

    if not sets:
        return
    keys = band_keys(sets, bands_for(threshold))
    shared = colliding(keys)
    kept: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    members: dict[int, AbstractSet[int]] = {}
    for place, numbers in enumerate(sets):
        bands = np.flatnonzero(shared[place])
        if not len(bands):
            yield None
            continue
        buckets = [kept[bucket] for bucket in zip(bands.tolist(), keys[place, bands].tolist(), strict=True)]
        own = set(numbers.tolist())
        best = Alike(place, 0.0)
        for other in sorted(set().union(*buckets)):
            jaccard = _jaccard(own, members[other])
            if jaccard > best.jaccard:
                best = Alike(other, jaccard)
        if best.jaccard >= threshold:
            yield best
            continue
        for bucket in buckets:
            bucket.append(place)
        members[place] = own
        yield None


def _jaccard(one: AbstractSet[int], other: AbstractSet[int]) -> float:
    common = len(one & other)
    return common / (len(one) + len(other) - common)
