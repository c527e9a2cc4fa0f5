"""A budget for what stands before the answer: as many demonstrations as fit, and the question never cut."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from itune_core.api import Context, Drop, ModelRef, ModelSource, PluginError
from itune_formatters.building.instance import Demonstration

Turns = list[dict[str, Any]]


class TokenBudget(BaseModel):
    """A budget in tokens of a model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tokens: int = Field(ge=1, description="Most tokens of all turns before the answer.", examples=[1024])
    tokenizer: ModelRef = Field(
        description="The model whose tokenizer counts: its text alone, without special tokens and chat template.",
        examples=["student"],
    )


class CharacterBudget(BaseModel):
    """A budget in characters."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    characters: int = Field(ge=1, description="Most characters of all turns before the answer.", examples=[4000])


Budget = TokenBudget | CharacterBudget


class Ruler:
    """Measures turns by a budget. Pickles without the tokenizer, which each process loads when it first measures.

    Args:
        budget: None: nothing is measured and everything fits.
        source: the model that the budget names.
    """

    def __init__(self, budget: Budget | None = None, source: ModelSource | None = None) -> None:
        self.budget, self._source = budget, source
        self._tokenizer: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_tokenizer": None}

    @property
    def limit(self) -> int | None:
        """The most that fits; None: everything does."""
        if isinstance(self.budget, TokenBudget):
            return self.budget.tokens
        return self.budget.characters if self.budget is not None else None

    @property
    def unit(self) -> str:
        """What it counts."""
        return "tokens" if isinstance(self.budget, TokenBudget) else "characters"

    def __call__(self, turns: Sequence[Mapping[str, Any]]) -> int:
        """The length of a conversation without its last turn, the answer.

        Raises:
            PluginError: ``E-FORMAT-063`` tokens are to be counted and itune-torch is not installed.
        """
        text = "\n\n".join(turn["content"] for turn in turns[:-1])
        if self._source is None:
            return len(text)
        if self._tokenizer is None:
            self._tokenizer = _load(self._source)
        return len(self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])


def ruler(budget: Budget | None, context: Context) -> Ruler:
    """The ruler of a budget in a recipe."""
    return Ruler(budget, context.model(budget.tokenizer) if isinstance(budget, TokenBudget) else None)


def fit(
    groups: Sequence[Sequence[Demonstration]], turns: Callable[[Sequence[Demonstration]], Turns], measure: Ruler
) -> list[Demonstration] | Drop:
    """The demonstrations that fit before a question, taken greedily: the first that does not fit ends its group.

    Source: Tk-Instruct, arXiv:2204.07705, which fills the context in this way; where even the question alone is too
    long it cuts the question, and this drops the row.

    Args:
        groups: demonstrations in the order in which they are tried; right ones and wrong ones, say.
        turns: the conversation with these demonstrations.
        measure: by which they fit.

    Returns:
        The demonstrations, or ``Drop("over-budget")`` where the question does not fit without any.
    """
    chosen: list[Demonstration] = []
    limit = measure.limit
    if limit is None:
        return [item for group in groups for item in group]
    alone = measure(turns(chosen))
    if alone > limit:
        return Drop("over-budget", f"{alone} {measure.unit} without any example; the budget is {limit}")
    for group in groups:
        for item in group:
            if measure(turns([*chosen, item])) > limit:
                break
            chosen.append(item)
    return chosen


def _load(source: ModelSource) -> Any:
    try:
        from itune_torch import load_tokenizer
    except ModuleNotFoundError as error:
        raise PluginError(
            "E-FORMAT-063",
            "tokens cannot be counted: itune-torch is not installed",
            why=str(error),
            fix="pip install 'itune-formatters[tokens]', or give the budget in characters",
        ) from error
    return load_tokenizer(source)
