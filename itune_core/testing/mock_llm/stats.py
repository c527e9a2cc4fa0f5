"""What a server counts."""

from __future__ import annotations

from collections import Counter
from typing import Any


class Stats:
    """Counts of what was asked and answered.

    A *question* is a request for a chat completion or for embeddings, or a line of a batch; two are the same if path
    and body are, byte for byte.
    """

    def __init__(self) -> None:
        self.requests = 0
        self.connections = 0
        self.by_status: Counter[str] = Counter()
        self.by_path: Counter[str] = Counter()
        self.by_fault: Counter[str] = Counter()
        self.given_up = 0
        self.at_once = 0
        self.most_at_once = 0
        self.prompt_tokens = 0
        self.completion_tokens = 0
        self._asked: Counter[bytes] = Counter()
        self._answered: Counter[bytes] = Counter()

    def ask(self, question: bytes) -> int:
        """Count a question; gives how often it was asked before."""
        before = self._asked[question]
        self._asked[question] = before + 1
        return before

    def answer(self, question: bytes, prompt_tokens: int, completion_tokens: int) -> None:
        """Count a question that was answered, rightly and to the end."""
        self._answered[question] += 1
        self.prompt_tokens += prompt_tokens
        self.completion_tokens += completion_tokens

    def enter(self) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)

    def leave(self) -> None:
        self.at_once -= 1

    def plain(self) -> dict[str, Any]:
        """As ``GET /stats`` tells it; `docs/testing-a-plugin.md` explains each."""
        return {
            "requests": self.requests,
            "connections": self.connections,
            "by_status": dict(sorted(self.by_status.items())),
            "by_path": dict(sorted(self.by_path.items())),
            "by_fault": dict(sorted(self.by_fault.items())),
            "given_up": self.given_up,
            "at_once": self.at_once,
            "most_at_once": self.most_at_once,
            "questions": len(self._asked),
            "asked_again": self._asked.total() - len(self._asked),
            "answered": self._answered.total(),
            "answered_again": self._answered.total() - len(self._answered),
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
        }
