"""The base of every formatter of instructions: it takes a row apart, this puts the record together."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pydantic import Field

from itune_core.api import (
    Context,
    Drop,
    Failed,
    Formatter,
    Kind,
    Record,
    Row,
    Used,
    conversation,
    hookimpl,
)
from itune_formatters.building.demonstrations import Pool, draw, solved
from itune_formatters.building.frame import Frame
from itune_formatters.building.instance import Instance


class InstructionFormatter(Formatter):
    """One conversation an instance: a question made of its parts, and its answer.

    A subclass defines :meth:`instance`; the layout of the parts, demonstrations, rationale and language are settings
    that all of them have. Its docstring names what it drops besides ``empty-instruction`` and ``empty-output``.
    """

    produces = Kind.CONVERSATION

    class Config(Formatter.Config):
        """Settings that every formatter of instructions has."""

        frame: Frame = Field(Frame(), description="How the parts of a row are laid out as turns.")
        demonstrations: Pool | None = Field(
            None, description="Solved rows shown before each question, drawn anew for each; unset: none."
        )

    _pool: tuple[Instance, ...] = ()

    def instance(self, row: Row) -> Instance | Drop | Sequence[Instance | Drop]:
        """The parts of a raw row, or why it is left out.

        A list of them where a row holds several instances: of those that are left out the ledger says so, beside the
        records of the others; an empty list is dropped as ``no-instance``. Empty instructions and outputs need no
        check.

        Raises:
            RowError: the row is bad; it goes to the ledger with its file and line.
        """
        raise TypeError(f"{type(self).__name__} must define instance()")

    def format(self, row: Row) -> Record | Drop | list[Record | Used]:
        found = self.instance(row)
        if isinstance(found, (Instance, Drop)):
            return self._record(row, found, 0)
        made = [self._record(row, item, number) for number, item in enumerate(found)]
        records = [item for item in made if isinstance(item, Record)]
        dropped = [item for item in made if isinstance(item, Drop)]
        if not records:
            return dropped[0] if dropped else Drop("no-instance")
        return [*records, *(Used(item.reason, item.detail) for item in dropped)]

    def _record(self, row: Row, found: Instance | Drop, number: int) -> Record | Drop:
        if isinstance(found, Drop):
            return found
        if not found.instruction.strip():
            return Drop("empty-instruction")
        if not found.output.strip():
            return Drop("empty-output")
        found = _with_rationale(found)
        pool = self.config.demonstrations
        if pool is not None:
            drawn = draw(pool, self._pool, found, self.rng(row, "demonstrations", number))
            found = replace(found, demonstrations=drawn)
        return conversation(self.config.frame.turns(found), **found.common)

    @hookimpl
    def itune_format(self, context: Context) -> Iterator[tuple[str, Record | Used | Drop | Failed]]:
        if self.config.demonstrations is not None:
            shown = solved(self.config.demonstrations, self.config.reading, self._shown)
            self._pool = tuple(sorted(shown, key=_content))  # so that the order of files decides nothing
        return super().itune_format(context)

    def _shown(self, row: Row) -> Iterator[Instance]:
        """The instances of a row of the pool that can be shown.

        Raises:
            RowError: the row is bad.
        """
        apart = self.config.frame.rationale == "apart"
        found = self.instance(row)
        for item in [found] if isinstance(found, (Instance, Drop)) else found:
            if isinstance(item, Instance) and item.instruction.strip() and item.output.strip():
                conversation(self.config.frame.turns(item))  # a part that no record may hold is found here
                yield replace(item, rationale="") if apart else _with_rationale(item)


def _content(item: Instance) -> tuple[str, ...]:
    return item.instruction, item.input, item.output, item.rationale, json.dumps(item.common, sort_keys=True)


def _with_rationale(found: Instance) -> Instance:
    """The rationale in both its places: that of the part, and the record's column."""
    rationale = found.rationale or found.common.get("rationale")
    if not rationale:
        return found
    return replace(found, rationale=rationale, common={**found.common, "rationale": rationale})
