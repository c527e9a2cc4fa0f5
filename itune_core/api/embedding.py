"""Records as unit vectors, by an embedding model."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from itune_core.api.asking import Embed, Vectors
from itune_core.api.context import Context
from itune_core.api.errors import RowError
from itune_core.api.outcomes import Failed
from itune_core.api.parts import Part, contents
from itune_core.api.records import Record

if TYPE_CHECKING:
    import numpy as np

    Vector = np.ndarray[Any, np.dtype[np.float32]]


def embedded(
    rows: Iterable[Record], context: Context, *, model: str, on: Part = "all", first_characters: int | None = None
) -> Iterator[Vector | Failed]:
    """The vector of each record, in order, asked as it is taken; or why it has none.

    A record fails that has no such part (``E-DATA-037``), of which nothing is to be embedded but white space
    (``E-DATA-038``), or that the model cannot embed, in the words of its backend. Every component that embeds records
    through here asks the same, so that one finds in the journal what another has asked.

    Args:
        rows: records with their ids.
        context: the engine.
        model: name of the embedding model.
        on: what of a record is embedded: :func:`contents` of it, put together with line breaks.
        first_characters: how many characters of that are embedded; None: all, and a text that is longer than the model
            reads fails.

    Returns:
        Arrays of float32, of equal dimension, each of length 1.
    """
    asked = ((record["id"], _asking(record, model, on, first_characters)) for record in rows)
    return (finished.result for finished in context.converse(asked))


def _asking(record: Record, model: str, on: Part, first_characters: int | None) -> Generator[Embed, Vectors, Vector]:
    import numpy as np

    text = "\n".join(contents(record, on))[:first_characters]
    if not text.strip():
        raise RowError(
            f"the {'text' if on == 'all' else on} of the record is blank: there is nothing to embed",
            "E-DATA-038",
            why=None if first_characters is None else f"its first {first_characters} characters are read",
        )
    reply = yield Embed(model, [text])
    return np.array(reply.values[0], np.float32)
