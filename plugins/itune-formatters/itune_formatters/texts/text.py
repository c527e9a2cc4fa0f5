"""Plain text, from a field of rows or from files of text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from itune_core.api import Context, Drop, Failed, Formatter, Kind, Record, Row, Used, hookimpl, text
from itune_formatters.rest import rest
from itune_formatters.texts.units import units


class Text(Formatter):
    """Text to train on as it is, such as a replay of pre-training data: one text a row.

    With ``unit: field`` rows are read as every formatter reads them, and one field holds the text; every other field is
    kept (see :mod:`itune_formatters.rest`). The other units read files of plain text, whatever their suffix, compressed
    or not, in the encoding that `reading` tells: each ``line`` that is not blank; each ``paragraph``, lines up to a
    blank one; each ``article``, from a heading as WikiText writes them (`` = Title = ``) to the next; each
    ``document``, a file. Lines of a unit are joined by line feeds, blank lines around it left out; nothing else is
    changed. Where it stands is the line it begins at. A line that is not text in the encoding spoils its unit and no
    other.

    Memory is that of one unit. One of more than 4,194,304 characters fails; `max_characters` cuts articles and
    documents into chunks at the borders of paragraphs.

    Dropped: ``empty-text``.

    Source: the `text` column of TRL's data sets, https://huggingface.co/docs/trl/dataset_formats; headings as in
    WikiText, arXiv:1609.07843.
    """

    produces = Kind.TEXT

    class Config(Formatter.Config):
        column: str = Field("text", description="The field that holds the text, with `unit: field`.")
        unit: Literal["field", "line", "paragraph", "article", "document"] = Field(
            "field", description="What a text is. field: a field of a row; the others: part of a file of plain text."
        )
        max_characters: int | None = Field(
            None,
            ge=1,
            description="With `unit: article` and `document`: make chunks of paragraphs, each of at most so many "
            "characters; a longer paragraph is a chunk of its own. Unset: no chunks.",
        )

        @model_validator(mode="before")
        @classmethod
        def _text_files(cls, values: Any) -> Any:
            """Plain text is read as such without being told; no suffix says it."""
            if isinstance(values, Mapping) and values.get("unit", "field") != "field":
                reading = values.get("reading", {})
                if isinstance(reading, Mapping):
                    return {**values, "reading": {"format": "text", **reading}}
            return values

        @model_validator(mode="after")
        def _fits_unit(self) -> Self:
            if self.max_characters is not None and self.unit not in ("article", "document"):
                raise ValueError(f"`max_characters` is for `unit: article` and `document`, not {self.unit}")
            if self.unit != "field" and (self.hub is not None or {*_formats(self.reading.format)} != {"text"}):
                raise ValueError(f"`unit: {self.unit}` is for files of plain text; rows need `unit: field`")
            return self

    def format(self, row: Row) -> Record | Drop:
        column = self.config.column if self.config.unit == "field" else "text"
        content = row.text(column)
        return text(content, **rest(row, column)) if content.strip() else Drop("empty-text")

    @hookimpl
    def itune_format(self, context: Context) -> Iterator[tuple[str, Record | Used | Drop | Failed]]:
        unit = self.config.unit
        if unit == "field":
            yield from super().itune_format(context)
            return
        rows = islice(units(self.read(), unit, self.config.max_characters), self.config.limit)
        for where, outcomes in context.map(self._format_row, rows):  # type: ignore[misc]  # it raises no RowError
            for outcome in outcomes:
                yield where, outcome


def _formats(said: Any) -> list[Any]:
    return said if isinstance(said, list) else [said]
