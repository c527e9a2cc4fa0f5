"""Views: what a step reads. Selections, draws and score columns over published records, which stay where they are.

No text is stored twice: a filter leaves a mask, a mixer draws, a scorer columns, and a view joins them when a component
is handed its data set. The position of a row in its record artifacts, laid end to end, is its *base number*.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from itune_core.api.records import Kind, features, records, spelt
from itune_core.engine import casts, digest
from itune_core.engine.joining import joined

if TYPE_CHECKING:
    import datasets
    import numpy as np
    import pyarrow as pa

RECORDS = "records"
ROW_DIGESTS = "rows.npy"

PIECE = 1_000_000
"""Rows whose digests are gathered at a time: 16 MB."""


@dataclass(frozen=True)
class Base:
    """One record artifact's output as a view reads it: `folder` holds the saved data set and its row digests."""

    folder: Path
    kind: Kind
    cast: Kind | None = None

    @property
    def gives(self) -> Kind:
        """The kind of its records as they are read."""
        return self.cast or self.kind

    def load(self) -> datasets.Dataset:
        """The data set, cast."""
        import datasets

        rows = datasets.load_from_disk(str(self.folder / RECORDS))
        if self.cast is None:
            return rows
        made = list(casts.cast(records(rows), self.kind, self.cast))
        return datasets.Dataset.from_list(made, features=features(self.cast))

    def row_digests(self) -> np.ndarray[Any, Any]:
        """``(rows, 16)`` bytes; a cast changes them by what it is, not by what it makes."""
        import numpy as np

        stored: np.ndarray[Any, Any] = np.load(self.folder / ROW_DIGESTS, allow_pickle=False)
        if self.cast is None:
            return stored
        factor = casts.factor(self.kind, self.cast)
        made = [
            bytes.fromhex(digest.of_value([row.tobytes().hex(), self.cast.value, part]))
            for row in stored
            for part in range(factor)
        ]
        return np.frombuffer(b"".join(made), dtype=np.uint8).reshape(-1, digest.SIZE)


@dataclass(frozen=True)
class View:
    """Rows of one or more bases, with columns joined to them.

    Attributes:
        bases: record artifacts, laid end to end.
        rows: base number of each row of the view; a row may occur more than once (epochs).
        columns: Arrow arrays aligned to `rows`, by column name.
    """

    bases: tuple[Base, ...]
    rows: np.ndarray[Any, Any]
    columns: Mapping[str, pa.Array] = field(default_factory=dict)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds that its bases hold, in the order of :class:`Kind`: one, unless it is mixed of several."""
        held = {base.gives for base in self.bases}
        return tuple(kind for kind in Kind if kind in held)

    def __len__(self) -> int:
        return len(self.rows)

    def select(self, positions: np.ndarray[Any, Any]) -> View:
        """The rows at these positions of the view."""
        import pyarrow as pa

        taken = {name: column.take(pa.array(positions)) for name, column in self.columns.items()}
        return replace(self, rows=self.rows[positions], columns=taken)

    def join(self, columns: Mapping[str, pa.Array]) -> View:
        """This view with more columns, each aligned to its rows."""
        return replace(self, columns={**self.columns, **columns})

    def without(self, columns: Container[str]) -> View:
        """This view without some of its columns."""
        return replace(self, columns={name: values for name, values in self.columns.items() if name not in columns})

    def cast(self, target: Kind | None) -> View:
        """This view as records of another kind (see :mod:`itune_core.engine.casts`); several kinds are never cast."""
        import numpy as np
        import pyarrow as pa

        if target is None or (target,) == self.kinds:
            return self
        (kind,) = self.kinds
        factor = casts.factor(kind, target)
        rows = (self.rows[:, None] * factor + np.arange(factor)).reshape(-1)
        columns = {
            name: column.take(pa.array(np.repeat(np.arange(len(self)), factor)))
            for name, column in self.columns.items()
        }
        return View(tuple(replace(base, cast=target) for base in self.bases), rows, columns)

    @cached_property
    def digest(self) -> str:
        """Digest of the rows' values, in order; joined columns have their own."""
        import numpy as np

        known = np.concatenate([base.row_digests() for base in self.bases])
        pieces = (known[self.rows[start : start + PIECE]] for start in range(0, len(self), PIECE))
        return digest.of_rows(spelt(self.kinds), pieces)

    @cached_property
    def dataset(self) -> datasets.Dataset:
        """The data set that a component is handed. Records stay memory-mapped, also where a row occurs more than once.

        Of several kinds, it has the columns of all of them, null where a kind lacks them.
        """
        import datasets

        loaded = [base.load() for base in self.bases]
        whole = datasets.concatenate_datasets(loaded) if len(loaded) > 1 else loaded[0]
        rows = joined(whole, self.rows, self.columns)
        return rows.select_columns([*features(*self.kinds), *self.columns]) if len(self.kinds) > 1 else rows


def concatenate(views: Sequence[View]) -> View:
    """Views end to end. A column that some lack is null there."""
    import numpy as np
    import pyarrow as pa

    bases: list[Base] = []
    rows: list[np.ndarray[Any, Any]] = []
    shift = 0
    for view in views:
        bases.extend(view.bases)
        rows.append(view.rows + shift)
        shift += sum(_length(base) for base in view.bases)
    columns: dict[str, pa.Array] = {}
    for name in {name: None for view in views for name in view.columns}:
        type_ = next(view.columns[name].type for view in views if name in view.columns)
        parts = [view.columns[name] if name in view.columns else pa.nulls(len(view), type_) for view in views]
        columns[name] = pa.concat_arrays(parts)
    return View(tuple(bases), np.concatenate(rows), columns)


def _length(base: Base) -> int:
    import numpy as np

    stored = len(np.load(base.folder / ROW_DIGESTS, mmap_mode="r", allow_pickle=False))
    return stored * (casts.factor(base.kind, base.cast) if base.cast else 1)


def column_digest(column: pa.Array) -> str:
    """Digest of a score column's values, in order."""
    return digest.of_value(column.to_pylist())
