"""What a server serves in a minute: buckets that fill evenly."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from itune_core.testing.mock_llm.settings import Settings


class Bucket:
    """So many of something a minute: full at first, filled evenly, never over its size."""

    def __init__(self, size: int, clock: Callable[[], float]) -> None:
        self.size, self._clock = size, clock
        self._level, self._seen = float(size), clock()

    def level(self) -> float:
        """How much is in it."""
        now = self._clock()
        self._level = min(float(self.size), self._level + (now - self._seen) * self.size / 60)
        self._seen = now
        return self._level

    def wait(self, amount: float) -> float:
        """Seconds until `amount` is in it; of more than it holds: until it is full."""
        return max(0.0, min(amount, self.size) - self.level()) * 60 / self.size

    def take(self, amount: float) -> None:
        """Take it out; where more is taken than it holds, it has to be filled up again from below nothing."""
        self._level = self.level() - amount


class Limits:
    """Requests and tokens per minute.

    Args:
        settings: with ``rpm`` and ``tpm``.
        clock: gives seconds.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        sizes = {"requests": settings.rpm, "tokens": settings.tpm}
        self._buckets = {name: Bucket(size, clock) for name, size in sizes.items() if size is not None}

    def __bool__(self) -> bool:
        return bool(self._buckets)

    def admit(self, tokens: int) -> tuple[float, str]:
        """Let in one request of so many tokens.

        Returns:
            0 and nothing; or, if it is refused, after how many seconds it would not be, and what there were too many
            of.
        """
        amounts = {"requests": 1, "tokens": tokens}
        waits = {name: bucket.wait(amounts[name]) for name, bucket in self._buckets.items()}
        longest = max(waits, key=lambda name: waits[name], default="")
        if waits and waits[longest] > 0:
            return waits[longest], longest
        for name, bucket in self._buckets.items():
            bucket.take(amounts[name])
        return 0.0, ""

    def headers(self) -> dict[str, str]:
        """``x-ratelimit-*``: what there is in a minute, what is left, and when all of it is there again."""
        told = {}
        for name, bucket in self._buckets.items():
            told[f"x-ratelimit-limit-{name}"] = str(bucket.size)
            told[f"x-ratelimit-remaining-{name}"] = str(max(0, math.floor(bucket.level())))
            told[f"x-ratelimit-reset-{name}"] = f"{bucket.wait(bucket.size):.3f}s"
        return told


def retry_headers(seconds: float) -> Mapping[str, str]:
    """How long to wait, in whole seconds, as HTTP has it, and in milliseconds, as OpenAI's server adds."""
    return {"retry-after": str(math.ceil(seconds)), "retry-after-ms": str(math.ceil(seconds * 1000))}
