"""How rows are written: settings that a recipe gives where suffixes and defaults do not say it."""

from __future__ import annotations

import codecs
from typing import Literal

from pydantic import Field, field_validator

from itune_core.api.fields import ComponentConfig

Format = Literal["jsonl", "json", "csv", "tsv", "parquet", "arrow", "yaml", "text"]
"""The ways of writing rows that can be read. No suffix tells `text`: a folder of rows may hold a README.txt."""

DETECT = "detect"

_NO_FILES = frozenset({"idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape"})
"""Codecs between text and bytes that no file is written in."""


class Reading(ComponentConfig):
    """How the rows of files are written."""

    format: Format | list[Format] | None = Field(
        default=None, description="How the files are written; a list says it for each. Unset: by suffix."
    )
    encoding: str = Field(
        default="utf-8",
        description='Encoding of text: a name that Python knows, or "detect" to find it out.',
    )
    delimiter: str | None = Field(
        default=None, min_length=1, max_length=1, description="Between fields of CSV and TSV. Unset: comma, tab."
    )
    header: list[str] | None = Field(
        default=None, min_length=1, description="Names of the fields of a CSV or TSV without a header line."
    )
    columns: list[str] | None = Field(default=None, min_length=1, description="Fields to read; others are left out.")

    @field_validator("encoding")
    @classmethod
    def _one_name(cls, name: str) -> str:
        """One name an encoding: what is written differently must not differ in the key."""
        if name == DETECT:
            return name
        try:
            "".encode(name)  # refuses what turns bytes into bytes, such as hex
            known = codecs.lookup(name).name
        except (LookupError, ValueError, UnicodeError):
            known = None
        if known is None or known in _NO_FILES:
            raise ValueError(f'a text encoding that Python knows (utf-8, cp949, shift_jis, ...), or "{DETECT}"')
        return "utf-8" if known == "utf-8-sig" else known

    @field_validator("delimiter")
    @classmethod
    def _tells_fields_apart(cls, delimiter: str | None) -> str | None:
        if delimiter is not None and delimiter in '"\r\n\0':
            raise ValueError("a character other than a quote, a line break or NUL")
        return delimiter

    @field_validator("header", "columns")
    @classmethod
    def _distinct(cls, names: list[str] | None) -> list[str] | None:
        if names is not None and (len(set(names)) != len(names) or "" in names):
            raise ValueError("names, none empty and none twice")
        return names

    @property
    def for_tables(self) -> bool:
        """Whether something is set that only CSV and TSV have."""
        return self.delimiter is not None or self.header is not None


class HubDataset(ComponentConfig):
    """A data set of the Hugging Face hub, one split of it."""

    repo: str = Field(pattern=r"^[\w.-]+/[\w.-]+$", description="The repository: owner/name.")
    revision: str = Field(
        min_length=1, description="Commit, tag or branch. Only a commit is sure to give the same rows next year."
    )
    split: str = Field(default="train", min_length=1, description="The split to read.")
    config: str | None = Field(default=None, description="The data set's configuration (subset), where it has several.")

    def __str__(self) -> str:
        return f"hub:{self.repo}@{self.revision}/{self.split}"
