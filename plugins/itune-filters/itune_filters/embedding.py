"""The rows of a data set as unit vectors, by an embedding model."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

from itune_core.api import Context, Embed, Failed, Record, RowError, Vectors, records
from itune_filters.compared import Part, compared

if TYPE_CHECKING:
    import datasets
    import numpy as np

    Vector = np.ndarray[Any, np.dtype[np.float32]]


def embedded(
    rows: datasets.Dataset, context: Context, *, model: str, on: Part, first_characters: int | None
) -> Iterator[Vector | Failed]:
    """The vector of each row, in order, asked as it is taken; or why it has none.

    A row fails that has nothing to embed (``E-FILTER-002``, ``E-FILTER-040``), or that the model cannot embed, in the
    words of its backend.

    Args:
        rows: the data set.
        context: the engine.
        model: name of the embedding model.
        on: which part of a record is embedded; its turns are put together with line breaks.
        first_characters: of a text that are embedded; None: all.
    """
    asked = ((record["id"], asking(record, model, on, first_characters)) for record in records(rows))
    return (finished.result for finished in context.converse(asked))


def asking(record: Record, model: str, on: Part, first_characters: int | None) -> Generator[Embed, Vectors, Vector]:
    """Ask for one record's vector; arguments and failures as for :func:`embedded`."""
    import numpy as np

    text = "\n".join(compared(record, on))[:first_characters]
    if not text.strip():
        raise RowError(f"the {on} of the record is blank: there is nothing to embed", "E-FILTER-040")
    reply = yield Embed(model, [text])
    return np.array(reply.values[0], np.float32)
