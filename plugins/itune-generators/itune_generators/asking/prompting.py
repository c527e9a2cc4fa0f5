"""What generators ask in words: Jinja files of this package, by language, or files of a recipe in their place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar, Literal

from pydantic import Field

from itune_core.api import ComponentConfig, DataError, Message, Prompt, Template, message

Language = Literal["en", "ko", "ja"]

_MARK = re.compile(r"^\{# (user|assistant) #\}\n", re.MULTILINE)


class PromptedConfig(ComponentConfig):
    """Settings of a generator that asks in words. A subclass adds ``prompts``, with the names that it has::

    prompts: dict[Literal["critique", "revise"], InputFile] = Field({}, description="Jinja files ...")
    """

    language: Language = Field("en", description="The language of the built-in prompts.")


class Prompted:
    """A component that asks in words.

    Attributes:
        method: the folder of its prompts: ``prompts/METHOD/LANGUAGE/NAME.jinja``.
        gives: the prompts by name, and the names that each, and a file in its place, may ask for.
    """

    method: ClassVar[str]
    gives: ClassVar[Mapping[str, frozenset[str]]]
    config: Any

    @cached_property
    def _prompts(self) -> dict[str, list[tuple[str, Prompt]]]:
        folder = f"{self.method}/{self.config.language}"
        return {
            name: _turns(
                Prompt.read("itune_generators", f"{folder}/{name}", self.config.prompts.get(name), gives),
                self.config.prompts.get(name),
                gives,
            )
            for name, gives in self.gives.items()
        }

    def asked(self, name: str, **values: Any) -> list[Message]:
        """The prompt `name` over these values: one turn of the user, or the turns that its file marks.

        In a file, a line ``{# assistant #}`` or ``{# user #}`` begins a turn of that role, so that worked examples are
        shown as what was asked and answered before. No text of a row can begin one.

        Raises:
            DataError: ``E-DATA-035`` a file cannot be used; ``E-GEN-045`` nor can its turns be told apart.
            RowError: ``E-DATA-033``, ``E-DATA-034``, ``E-DATA-036`` it cannot be rendered for this record.
        """
        return [
            message(role, turn["content"]) for role, prompt in self._prompts[name] for turn in prompt.turns(**values)
        ]

    def worded(self, name: str, **values: Any) -> str:
        """The text of the prompt `name`, which is a part of another and so marks no turns. Raises as :meth:`asked`,
        ``E-GEN-045`` also where it does."""
        turns = self.asked(name, **values)
        if len(turns) > 1:
            raise DataError(
                "E-GEN-045",
                "the turns of a prompt cannot be told apart",
                where=self.config.prompts.get(name),
                why=f"{name} is a part of a turn, and cannot mark {len(turns)}",
                fix="see to the turns it marks",
            )
        text: str = turns[0]["content"]
        return text


def _turns(prompt: Prompt, path: str | None, gives: frozenset[str]) -> list[tuple[str, Prompt]]:
    """The turns of a prompt, with their roles."""
    first, *marked = _MARK.split(prompt.template.source)
    turns = [("user", first), *zip(marked[::2], marked[1::2], strict=True)]
    found = [(role, Template(text)) for role, text in turns if text.strip()]
    try:
        for _, template in found:
            template.check(gives)
        if found and found[-1][0] != "user":
            raise ValueError("it ends with a turn of the assistant")
    except ValueError as error:
        raise DataError(
            "E-GEN-045",
            "the turns of a prompt cannot be told apart",
            where=path,
            why=str(error),
            fix="see to the turns it marks",
        ) from error
    return [(role, Prompt(template)) for role, template in found] or [("user", prompt)]
