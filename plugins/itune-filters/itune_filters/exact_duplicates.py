"""Drop records that say the same as an earlier one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence

from pydantic import Field

from itune_core.api import (
    ComponentConfig,
    Context,
    Drop,
    Failed,
    Filter,
    Inputs,
    Keep,
    Message,
    Part,
    Record,
    RowError,
    hookimpl,
    parts,
    records,
)


class ExactDuplicates(Filter):
    """Keep the first of records that are the same, in the order of the data set.

    Two records are the same if the chosen part of them is, turn by turn: role, content, name and tool calls. Columns
    beside it (source, task, scores, ...) do not count. The order of the answers does (a preference and its reverse
    differ). Of every record a 16-byte digest is held, no text: about 150 bytes a record.

    Dropped: ``duplicate``, with the id of the record it repeats. A record that lacks the chosen part fails
    (``E-FILTER-002``).

    Source: this package; what duplicates do to a model: arXiv:2107.06499.
    """

    class Config(ComponentConfig):
        on: Part = Field(
            "all", description="What must be the same: prompt and answers, the prompt alone, or the answers alone."
        )
        ignore_case: bool = Field(False, description="Whether upper and lower case are the same (Unicode folding).")
        ignore_whitespace: bool = Field(
            False, description="Whether any run of white space is one space, and none at the ends of a turn."
        )

    @hookimpl
    def itune_filter(self, inputs: Inputs, context: Context) -> Iterator[Keep | Drop | Failed]:
        # The hook itself: a verdict depends on all records before this one.
        rows = inputs["records"]
        ids = rows["id"]
        first: dict[bytes, int] = {}
        for number, record in enumerate(records(rows)):
            try:
                earlier = first.setdefault(self._digest(record), number)
            except RowError as error:
                yield Failed.of(error)
                continue
            yield Keep() if earlier == number else Drop("duplicate", f"same as {ids[earlier]}")

    def _digest(self, record: Record) -> bytes:
        prompt, responses = parts(record)
        chosen = {"all": [prompt, *responses], "prompt": [prompt], "response": responses}[self.config.on]
        if not any(chosen):
            raise RowError(f"a {record.kind.value} record has no {self.config.on}", "E-FILTER-002")
        key = json.dumps([self._turns(turns) for turns in chosen], ensure_ascii=False)
        return hashlib.blake2b(key.encode(), digest_size=16).digest()

    def _turns(self, turns: Sequence[Message]) -> list[tuple[str | None, ...]]:
        return [(turn["role"], self._normal(turn["content"]), turn["name"], turn["tool_calls"]) for turn in turns]

    def _normal(self, text: str) -> str:
        if self.config.ignore_case:
            text = text.casefold()
        return " ".join(text.split()) if self.config.ignore_whitespace else text
