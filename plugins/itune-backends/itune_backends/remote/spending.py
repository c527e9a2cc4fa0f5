"""What answers cost, and when to stop paying."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from itune_core.api import ModelError, Spent


class Price(BaseModel):
    """What a server takes for a million tokens, in any currency."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    prompt: float = Field(ge=0, description="For a million tokens read.")
    completion: float = Field(0.0, ge=0, description="For a million tokens written.")

    def of(self, spent: Spent) -> float:
        """What that many tokens cost."""
        return (spent.prompt_tokens * self.prompt + spent.completion_tokens * self.completion) / 1e6


class Spending:
    """The account of one model: what was spent before and what is spent now.

    Args:
        before: in this project, by this model.
        price: None: not known.
        max_cost: in the price's currency; None: no limit.
        max_tokens: read and written together; None: no limit.
    """

    def __init__(
        self, before: Spent, price: Price | None = None, max_cost: float | None = None, max_tokens: float | None = None
    ) -> None:
        self.before, self.price, self.max_cost, self.max_tokens = before, price, max_cost, max_tokens
        self.now = Spent()
        self._told = Spent()

    @property
    def limited(self) -> bool:
        """Whether there is a budget."""
        return self.max_cost is not None or self.max_tokens is not None

    @property
    def cost(self) -> float | None:
        """Of this run; None where no price is known."""
        return self.price.of(self.now) if self.price else None

    def add(self, spent: Spent) -> None:
        """More was spent."""
        self.now += spent

    def news(self) -> Spent:
        """What was spent since this was last asked."""
        more = Spent(
            self.now.prompt_tokens - self._told.prompt_tokens, self.now.completion_tokens - self._told.completion_tokens
        )
        self._told += more
        return more

    def check(self) -> None:
        """Called before each request.

        Raises:
            ModelError: ``E-BACKEND-023`` the budget is spent.
        """
        spent = self.before + self.now
        tokens = spent.prompt_tokens + spent.completion_tokens
        if self.max_tokens is not None and tokens >= self.max_tokens:
            raise _over("max_tokens", f"{tokens} tokens", f"{self.max_tokens:.12g}")
        if self.max_cost is not None and self.price is not None and self.price.of(spent) >= self.max_cost:
            raise _over("max_cost", f"{self.price.of(spent):.6g} ({tokens} tokens)", f"{self.max_cost:.6g}")


def _over(setting: str, spent: str, limit: str) -> ModelError:
    return ModelError(
        "E-BACKEND-023",
        f"the budget is spent: {spent} of {setting} {limit}, over all runs of this project",
        why="what is not answered yet was not sent",
        fix=f"raise {setting} and run again: what was answered is kept and not asked again",
    )
