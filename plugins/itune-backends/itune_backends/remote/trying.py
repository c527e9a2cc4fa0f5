"""How often, and for how long, one request is tried."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from tenacity import RetryCallState, wait_random_exponential

from itune_backends.remote.faults import Fault


@dataclass(frozen=True)
class Patience:
    """How long to wait, and how often to try.

    Attributes:
        timeout: seconds for one try.
        retries: tries after the first.
        retry_for: seconds after the first within which the last must begin.
    """

    timeout: float
    retries: int
    retry_for: float


class Tries:
    """The tries of one request; tenacity asks it what to do.

    Args:
        patience: with it.
        clock: gives seconds. What a request waits for its first turn counts for nothing.
        counts: of faults, by kind; they are added there.
    """

    def __init__(self, patience: Patience, clock: Callable[[], float], counts: Counter[str]) -> None:
        self.patience, self._clock, self._counts = patience, clock, counts
        self.faults: Counter[str] = Counter()
        self._first: float | None = None
        self._asked_to_wait: float | None = None

    @property
    def again(self) -> bool:
        """Whether there was one before."""
        return bool(self.faults)

    def begin(self) -> None:
        """It is about to be sent."""
        if self._first is None:
            self._first = self._clock()

    def note(self, state: RetryCallState) -> None:
        """A try came to nothing."""
        fault = _fault(state)
        self.faults[fault.kind] += 1
        self._counts[_figure(fault.kind)] += 1
        self._asked_to_wait = fault.after

    def pause(self, state: RetryCallState) -> float:
        """Seconds until the next: what the server asks for, at least, or up to twice as long each time, by chance, so
        that those which failed together do not all come back together."""
        return max(_BACKOFF(state), _fault(state).after or 0.0)

    def enough(self, state: RetryCallState) -> bool:
        """Whether to give up."""
        late = self._first is not None and self._clock() + state.upcoming_sleep > self._first + self.patience.retry_for
        return _fault(state).final or state.attempt_number > self.patience.retries or late

    def __str__(self) -> str:
        kinds = ", ".join(f"{number} × {kind}" for kind, number in self.faults.most_common())
        tried = f"{self.faults.total()} {'try' if self.faults.total() == 1 else 'tries'}: {kinds}"
        return tried if not self._asked_to_wait else f"{tried}; the server asks to wait {self._asked_to_wait:g} s"


_BACKOFF = wait_random_exponential(multiplier=0.5, max=60)


def _figure(kind: str) -> str:
    """The name of a figure: ``refused_429``, ``fault_time_out``."""
    return f"refused_{kind}" if kind.isdigit() else f"fault_{kind.lower().replace(' ', '_').replace('-', '_')}"


def _fault(state: RetryCallState) -> Fault:
    fault = state.outcome.exception() if state.outcome is not None else None
    assert isinstance(fault, Fault)  # nothing else is tried again
    return fault
