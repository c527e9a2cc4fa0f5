"""The rows of a data set as unit vectors, by an embedding model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pydantic import Field

from itune_core.api import ComponentConfig, Context, Failed, ModelRef, Part, embedded, records

if TYPE_CHECKING:
    import datasets
    import numpy as np

    Array = np.ndarray[Any, np.dtype[np.float32]]


class EmbeddingConfig(ComponentConfig):
    """Settings of whatever compares records by their embedded texts."""

    model: ModelRef = Field(description="The embedding model.", examples=["minilm"])
    on: Part = Field(
        "all",
        description="What is embedded: the prompt and the answers, or one of them; of a text record, its text. Turns "
        "are put together with line breaks, system turns left out.",
    )
    first_characters: int | None = Field(
        None,
        ge=1,
        description="Embed only the first so many characters of a text; unset: all of it, and a record whose text is "
        "longer than the model reads fails.",
    )


def vectors(rows: datasets.Dataset, config: EmbeddingConfig, context: Context) -> Iterator[Array | Failed]:
    """The vector of each row, or why it has none, as :func:`itune_core.api.embedded` gives them."""
    first = config.first_characters
    return embedded(records(rows), context, model=config.model, on=config.on, first_characters=first)


def gathered(rows: datasets.Dataset, config: EmbeddingConfig, context: Context) -> tuple[Array, dict[int, Failed]]:
    """:func:`vectors` at once.

    Returns:
        The vectors of the rows that have one, one a row, in order; and the failures of the others by row number.
    """
    import numpy as np

    held, failed = np.empty((0, 0), np.float32), {}
    for number, found in enumerate(vectors(rows, config, context)):
        if isinstance(found, Failed):
            failed[number] = found
            continue
        if not held.size:
            held = np.empty((len(rows), len(found)), np.float32)
        held[number - len(failed)] = found
    return held[: len(rows) - len(failed)], failed
