"""Self-Instruct tasks: an instruction with one or more instances of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from itune_core.api import Drop, Row, RowError
from itune_formatters.building.instance import Instance
from itune_formatters.building.instruction import InstructionFormatter
from itune_formatters.rest import rest


class SelfInstruct(InstructionFormatter):
    """Self-Instruct's seed tasks and its user-oriented tasks, one conversation an instance.

    Fields: `instruction`, `instances` (a list of ``{input, output}``) and `name` (may be missing), which becomes the
    record's `task`; `id`, `is_classification`, `motivation_app` and every other field, of the row or of the instance,
    is kept (see :mod:`itune_formatters.rest`). Where both have a field of one name, that of the instance stands under
    `instance` in ``meta``. An instance that is left out beside others stands in the ledger.

    The rows that its authors trained on, ``{prompt, completion}``, and the answers of its models are tables for
    ``formatters/columns``.

    Dropped: ``empty-instruction``, ``empty-output``, ``no-instance``.

    Source: https://github.com/yizhongw/self-instruct, arXiv:2212.10560.
    """

    class Config(InstructionFormatter.Config):
        instances: Literal["all", "first"] = Field(
            "all", description="all: a conversation for each instance; first: only for the first."
        )

    def instance(self, row: Row) -> list[Instance | Drop]:
        instruction = row.text("instruction")
        name = row.text("name", "")
        items = row.get("instances")
        if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
            raise RowError("field 'instances' must be a list of {input, output}", "E-FORMAT-037")
        made: list[Instance | Drop] = []
        for number, item in enumerate(items):
            if number and self.config.instances == "first":
                made.append(Drop("not-first", f"instance {number}"))
                continue
            one = Row(item, f"{row.where} instance {number}")
            own = {field: value for field, value in item.items() if field not in ("input", "output")}
            clash = {field: own.pop(field) for field in list(own) if field in row or field == "name"}
            fields: dict[str, Any] = {**row, **own, **({"instance": clash} if clash else {})}
            common = rest(fields, "instruction", "instances", "name", filled=["task"] if name else [])
            if name:
                common["task"] = name
            given = one.text("input", "")
            made.append(Instance(instruction, one.text("output"), given if given.strip() else "", common=common))
        return made
