"""The rows of a data set as unit vectors, by an embedding model."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from itune_core.api import (
    ComponentConfig,
    Context,
    Embed,
    Failed,
    Kind,
    ModelRef,
    Record,
    RowError,
    Vectors,
    parts,
    records,
)

if TYPE_CHECKING:
    import datasets
    import numpy as np

    Vector = np.ndarray[Any, np.dtype[np.float32]]

On = Literal["all", "prompt", "response"]


class EmbeddingConfig(ComponentConfig):
    """Settings of whatever compares records by their embedded texts."""

    model: ModelRef = Field(description="The embedding model.", examples=["minilm"])
    on: On = Field(
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


def embedded(rows: datasets.Dataset, config: EmbeddingConfig, context: Context) -> Iterator[Vector | Failed]:
    """The vector of each row, in order, asked as it is taken; or why it has none.

    A row fails that has nothing to embed (``E-SCORE-040``), or that the model cannot embed, in the words of its
    backend.
    """
    asked = ((record["id"], _asking(record, config)) for record in records(rows))
    return (finished.result for finished in context.converse(asked))


def gathered(
    rows: datasets.Dataset, config: EmbeddingConfig, context: Context
) -> tuple[np.ndarray[Any, np.dtype[np.float32]], dict[int, Failed]]:
    """:func:`embedded` at once.

    Returns:
        The vectors of the rows that have one, one a row, in order; and the failures of the others by row number.
    """
    import numpy as np

    vectors, failed = np.empty((0, 0), np.float32), {}
    for number, found in enumerate(embedded(rows, config, context)):
        if isinstance(found, Failed):
            failed[number] = found
            continue
        if not vectors.size:
            vectors = np.empty((len(rows), len(found)), np.float32)
        vectors[number - len(failed)] = found
    return vectors[: len(rows) - len(failed)], failed


def _asking(record: Record, config: EmbeddingConfig) -> Generator[Embed, Vectors, Vector]:
    import numpy as np

    reply = yield Embed(config.model, [_text(record, config.on)[: config.first_characters]])
    return np.array(reply.values[0], np.float32)


def _text(record: Record, on: On) -> str:
    """As `filters/diverse` puts it together too, so that what one has asked the other finds in the journal. A system
    turn that stands before every row would make all of them alike."""
    prompt, responses = parts(record)
    asked = [turn["content"] for turn in prompt if turn["role"] != "system"]
    answered = [turn["content"] for response in responses for turn in response]
    chosen = {"prompt": asked, "response": answered, "all": [*asked, *answered]}
    text = "\n".join(answered if record.kind is Kind.TEXT else chosen[on])
    if not text.strip():
        what = "text" if on == "all" else on
        raise RowError(f"a {record.kind.value} record has no {what} to embed", "E-SCORE-040")
    return text
