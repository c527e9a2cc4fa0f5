"""What a bootstrap says of its seeds: what was made and rejected under each, and which requests failed."""

from __future__ import annotations

from collections.abc import Sequence

from itune_core.api import Created, Failed, Rejected


class Books:
    """Kept by seed: what comes of a prompt, and of a task that it brought, stands under the first seed it showed.

    Attributes:
        said: what was made and what was rejected, in order, each with its seed.
        used: seeds that are parents of what was made.
        counts: how much was rejected so far, and how much of that for a request that failed.
    """

    def __init__(self) -> None:
        self.said: list[tuple[str, Created | Rejected]] = []
        self.used: set[str] = set()
        self.counts = {"rejected": 0, "failed": 0}
        self._failures: dict[str, Failed] = {}

    def say(self, seeds: Sequence[str], outcome: Created | Rejected) -> None:
        """Something was made or rejected after a prompt that showed these seeds."""
        self.said.append((seeds[0], outcome))
        if isinstance(outcome, Created):
            self.used.update(parent for parent in outcome.parents if isinstance(parent, str))
        else:
            self.counts["rejected"] += 1

    def fail(self, seeds: Sequence[str], failure: Failed) -> None:
        """Nothing came of a request: one that showed these seeds, or that was about a task they brought."""
        self.say(seeds, Rejected("request-failed", f"{failure.code}: {failure.message}"))
        self.counts["failed"] += 1
        self._failures.setdefault(seeds[0], failure)

    def failure(self, seed: str) -> Failed | None:
        """The first under this seed, whatever else was made of it."""
        return self._failures.get(seed)
