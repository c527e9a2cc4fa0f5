"""What a bootstrap says of its seeds: what was made and rejected under each, and which requests failed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from itune_core.api import Created, Failed, Rejected


class Books:
    """Kept by seed: what comes of a prompt, and of a task that it brought, stands under the first seed it showed.

    Attributes:
        said: what was made and what was rejected, in order, each with its seed.
    """

    def __init__(self) -> None:
        self.said: list[tuple[str, Created | Rejected]] = []
        self._failed: defaultdict[str, list[Failed]] = defaultdict(list)

    def say(self, seeds: Sequence[str], outcome: Created | Rejected) -> None:
        """Something was made or rejected after a prompt that showed these seeds."""
        self.said.append((seeds[0], outcome))

    def fail(self, seeds: Sequence[str], failure: Failed) -> None:
        """A request failed: one that showed these seeds, or that was about a task they brought."""
        self._failed[seeds[0]].append(failure)

    def failure(self, seed: str) -> Failed | None:
        """That of a seed under which requests failed, whatever else was made of it."""
        if seed not in self._failed:
            return None
        first, *others = self._failed[seed]
        return Failed(first.code, f"{first.message}, and {len(others)} more" if others else first.message)

    @property
    def used(self) -> set[str]:
        """Seeds that are parents of what was made."""
        made = [outcome for _, outcome in self.said if isinstance(outcome, Created)]
        return {parent for created in made for parent in created.parents if isinstance(parent, str)}

    @property
    def counts(self) -> dict[str, int]:
        """How much was rejected so far, and how many requests failed."""
        return {
            "rejected": sum(isinstance(outcome, Rejected) for _, outcome in self.said),
            "failed": sum(map(len, self._failed.values())),
        }
