"""Rows of a task, taken apart into the slots of a set of templates."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from itune_core.api import Drop, Row, RowError, message
from itune_formatters.instructions.paths import at
from itune_formatters.instructions.values import Choice, as_text, read, taken
from itune_formatters.rest import rest
from itune_formatters.tasks.flan_sets import ANSWER, RATIONALE, TemplateSet


@dataclass(frozen=True)
class Filled:
    """A row taken apart.

    Attributes:
        values: text by slot; the rationale only where the row has one.
        options: the answers to choose from, if there are any.
        common: columns of the record.
        extra: fields that were not read.
    """

    values: dict[str, str]
    options: tuple[str, ...]
    common: dict[str, Any]
    extra: dict[str, Any]


@dataclass(frozen=True)
class Reader:
    """Takes rows apart.

    Attributes:
        templates: the set whose slots are filled.
        slots: by slot, where its text comes from; a slot that is not named is the field of its name.
        options: where the answers to choose from come from; None: the choices of the slot `answer`, if it has any.
        references: where further right answers come from.
    """

    templates: TemplateSet
    slots: Mapping[str, Any]
    options: Any
    references: Any

    def __call__(self, row: Row) -> Filled | Drop:
        """The parts of a row, or ``Drop("empty-slot")`` where a slot has no text.

        Raises:
            RowError: a slot has no field, or its field no text; ``E-FORMAT-074`` the answer is none of the options.
        """
        sources = {slot: self.slots.get(slot, slot) for slot in self.templates.slots}
        if RATIONALE in self.slots or row.get(RATIONALE) is not None:
            sources[RATIONALE] = self.slots.get(RATIONALE, RATIONALE)
        values = {slot: as_text(slot, read(source, row)) for slot, source in sources.items()}
        if not values.get(RATIONALE, "").strip():
            values.pop(RATIONALE, None)
        blank = sorted(slot for slot, text in values.items() if not text.strip())
        if blank:
            return Drop("empty-slot", ", ".join(blank))
        options = self._options(row)
        if options and values.get(ANSWER) not in options:
            raise RowError("the answer is none of the options", "E-FORMAT-074", why=f"there are {len(options)} options")
        whole = frozenset().union(*(taken(source, row) for source in sources.values()))
        common = rest(row, *whole, filled=(RATIONALE, *(("references",) if self.references is not None else ())))
        extra = json.loads(common.pop("meta", "{}"))
        if RATIONALE in values:
            common[RATIONALE] = values[RATIONALE]
        if self.references is not None:
            common["references"] = _texts("references", read(self.references, row))
        return Filled(values, options, {"task": self.templates.task, **common}, extra)

    def _options(self, row: Row) -> tuple[str, ...]:
        answer = self.slots.get(ANSWER)
        given = self.options or (answer.choices if isinstance(answer, Choice) else None)
        if given is None:
            return ()
        if isinstance(given, str):
            found = at(row, given)
            if not isinstance(found, list):
                raise RowError(f"the field {given!r} must hold a list of options", "E-FORMAT-074")
        else:
            found = [read(item, row) for item in (given.values() if isinstance(given, Mapping) else given)]
        return tuple(_texts("options", found))

    def shown(self, row: Row) -> Iterator[Filled]:
        """What a row of demonstrations shows; nothing if it is left out.

        Raises:
            RowError: the row is bad.
        """
        filled = self(row)
        if isinstance(filled, Filled):
            for text in (*filled.values.values(), *filled.options):
                message("user", text)  # what no record may hold is found here
            yield filled


def _texts(part: str, found: Any) -> Sequence[str]:
    return [as_text(part, item) for item in (found if isinstance(found, list) else [found]) if item is not None]
