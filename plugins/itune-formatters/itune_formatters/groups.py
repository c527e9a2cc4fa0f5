"""The base of formatters whose rows are judged together: the messages of a tree, the comparisons under a post."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice

from itune_core.api import BadRow, Context, Drop, Failed, Formatter, Record, Row, RowError, Used, hookimpl

Outcome = Record | Used | Drop | Failed

Placed = list[tuple[int, Row | BadRow]]
"""Rows of a group, each with its number among all rows."""


class GroupFormatter(Formatter):
    """Rows that belong together are formatted together; what becomes of each does not depend on where it stands.

    Rows are read twice (a data set of the hub is loaded twice): first the rows of each group are counted, then each
    group is formatted once its last row has been read. Until then it is held in memory, and so is what became of the
    rows after its first, for outcomes come in the order of rows. Files that keep groups together need the memory of
    one; where groups are scattered it grows. The names of groups are always held.

    A subclass defines :meth:`group` and :meth:`format_group`.
    """

    @property
    def grouped(self) -> bool:
        """Whether rows are judged together at all; if not, files are read once and each row is a group."""
        return True

    def group(self, row: Row) -> str:
        """The name of the group that `row` belongs to.

        Raises:
            RowError: it cannot be told; the row fails alone.
        """
        raise TypeError(f"{type(self).__name__} must define group()")

    def format_group(self, rows: Sequence[Row]) -> Sequence[Sequence[Outcome]]:
        """What becomes of each row of a group, in the order of `rows`; at least one outcome each.

        A record that several rows went into stands at one of them; the others are ``Used``.
        """
        raise TypeError(f"{type(self).__name__} must define format_group()")

    @hookimpl
    def itune_format(self, context: Context) -> Iterator[tuple[str, Outcome]]:
        self._seed = context.rng().getrandbits(63)
        ready: dict[int, tuple[str, Sequence[Outcome]]] = {}
        next_ = 0
        for formatted in context.map(self._format_placed, self._groups()):
            ready.update(formatted)  # type: ignore[arg-type]  # never Failed: no RowError leaves _format_placed
            while next_ in ready:
                where, outcomes = ready.pop(next_)
                next_ += 1
                for outcome in outcomes:
                    yield where, outcome

    def _rows(self) -> Iterator[tuple[Row | BadRow, str | None]]:
        """Every row with the name of its group; None: it stands alone."""
        for row in islice(self.read(), self.config.limit):
            name = None
            if self.grouped and isinstance(row, Row):
                try:
                    name = self.group(row)
                except RowError:
                    name = None  # it fails when its turn comes, alone
            yield row, name

    def _groups(self) -> Iterator[Placed]:
        missing = Counter(name for _, name in self._rows()) if self.grouped else Counter[str | None]()
        begun: dict[str, Placed] = defaultdict(list)
        for number, (row, name) in enumerate(self._rows()):
            if name is None:
                yield [(number, row)]
                continue
            begun[name].append((number, row))
            missing[name] -= 1
            if not missing[name]:
                del missing[name]
                yield begun.pop(name)
        yield from begun.values()  # of a file that grew shorter between the two readings nothing is lost either

    def _format_placed(self, placed: Placed) -> list[tuple[int, tuple[str, Sequence[Outcome]]]]:
        rows = [row for _, row in placed if isinstance(row, Row)]
        made: Sequence[Sequence[Outcome]]
        try:
            if not rows:
                made = [[Failed.of(row.error)] for _, row in placed if isinstance(row, BadRow)]
            else:
                if self.grouped:
                    self.group(rows[0])
                made = self.format_group(rows)
        except RowError as error:  # a group of one: what is wrong with a row of several is its own outcome
            made = [[Failed.of(error)] for _ in placed]
        return [
            (number, (row.where, [self._named(item) for item in outcomes]))
            for (number, row), outcomes in zip(placed, made, strict=True)
        ]

    def _named(self, outcome: Outcome) -> Outcome:
        source = self.config.source
        if source is not None and isinstance(outcome, Record) and outcome["source"] is None:
            return outcome.replace(source=source)
        return outcome
