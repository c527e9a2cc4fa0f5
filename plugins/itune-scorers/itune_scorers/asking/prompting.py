"""Scorers that ask a model in words, in the package's own or in those of a recipe."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

from pydantic import Field

from itune_core.api import ComponentConfig, InputFile, Message, ModelRef, Prompt


class PromptConfig(ComponentConfig):
    """Settings of a scorer that asks a model in words."""

    model: ModelRef = Field(description="The model that is asked: one of the recipe's, or a training step.")
    prompt: InputFile | None = Field(
        None, description="A Jinja file with the question, in the place of the built-in one."
    )


class Prompted:
    """A component whose question is a template.

    Attributes:
        template: name of the built-in one, among ``prompts``.
        gives: the names that it, and a file in its place, may ask for.
    """

    template: ClassVar[str]
    gives: ClassVar[frozenset[str]]
    config: Any

    @cached_property
    def _prompt(self) -> Prompt:
        return Prompt.read("itune_scorers", self.template, self.config.prompt, self.gives)

    def asked(self, **values: Any) -> list[Message]:
        """The question over these values, as one turn of the user.

        Raises:
            DataError: ``E-DATA-035`` the file cannot be used.
            RowError: ``E-DATA-033``, ``E-DATA-034``, ``E-DATA-036`` it cannot be rendered for this record.
        """
        return self._prompt.turns(**values)
