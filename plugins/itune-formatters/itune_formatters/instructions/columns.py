"""Any table: the recipe says which field, constant, template or choice each part comes from."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from itune_core.api import ComponentConfig, Row
from itune_formatters.building.instance import Instance
from itune_formatters.building.instruction import InstructionFormatter
from itune_formatters.instructions.values import Value, as_text, read, taken
from itune_formatters.rest import rest

COMMON = ("source", "task", "category", "language", "license")


class Parts(ComponentConfig):
    """Where each part of an instance, and each column of its record, comes from."""

    instruction: Value = Field(description="What is to be done.")
    output: Value = Field(description="The answer.")
    input: Value | None = Field(None, description="What it is to be done to.")
    system: Value | None = Field(None, description="What is said before the conversation begins.")
    rationale: Value | None = Field(None, description="The reasoning, or an explanation of the answer.")
    references: list[Value] = Field([], description="Answers to compare with; a list in the row gives several.")
    source: Value | None = Field(None, description="The record's `source`.")
    task: Value | None = Field(None, description="The record's `task`.")
    category: Value | None = Field(None, description="The record's `category`.")
    language: Value | None = Field(None, description="The record's `language`.")
    license: Value | None = Field(None, description="The record's `license`.")


class Columns(InstructionFormatter):
    """Rows of any shape, mapped in the recipe, one conversation a row: most data sets need no formatter of their own.

    Each part under `columns` is one of:

    - a field's name, or a path into it: ``question``, ``answers.text[0]``, ``answers[*].text`` (a list, for
      `references`). A field whose name is the whole path goes before what the path leads to.
    - ``{constant: TEXT}``.
    - ``{template: JINJA}``, a template over the row's fields, in a sandbox: a field that is missing is an error, no
      function, file or private attribute can be reached, nothing is escaped. ``row["two words"]`` reads a field whose
      name is no name to Jinja.
    - ``{field: NAME, choices: ...}``: the text that a label stands for. The choices are a list (labels count from 0), a
      mapping from label to text (a label that is no text is spelt as in JSON: ``true``, ``3``), or the name of a field
      that holds a list; each is again a field, a constant or a template.

    Numbers become text, null becomes nothing. Mistakes in paths and templates that no row could make right are found
    before any row is read. A field that becomes a part as it is (named alone, or printed by a template on its own) is
    not kept twice; every other field of the row is kept, those that paths, conditions and choices read included (see
    :mod:`itune_formatters.rest`).

    Dropped: ``empty-instruction``, ``empty-output``.

    Source: https://jinja.palletsprojects.com/en/stable/sandbox/ for the templates.
    """

    class Config(InstructionFormatter.Config):
        columns: Parts = Field(
            description="Part of an instance, or column of its record, to where it comes from.",
            examples=[{"instruction": "question", "output": "answer"}],
        )

    def instance(self, row: Row) -> Instance:
        parts: Parts = self.config.columns
        mapped = {name: value for name in Parts.model_fields if (value := getattr(parts, name))}
        references = mapped.pop("references", [])
        found = {name: as_text(name, read(value, row)) for name, value in mapped.items()}
        columns: dict[str, Any] = {name: found[name] for name in COMMON if found.get(name)}
        if references:
            columns["references"] = [text for value in references for text in _texts(read(value, row))]
        whole = set().union(*(taken(value, row) for value in (*mapped.values(), *references)))
        common = rest(row, *whole, filled={*mapped, *(["references"] if references else [])})
        given = found.get("input", "")
        return Instance(
            found["instruction"],
            found["output"],
            given if given.strip() else "",
            system=found.get("system", ""),
            rationale=found.get("rationale", ""),
            common={**common, **columns},
        )


def _texts(value: Any) -> list[str]:
    items = value if isinstance(value, list) else [value]
    return [as_text("references", item) for item in items if item is not None]
