"""The ledger: why each record was dropped or failed, and the balance that proves none was lost."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from itune_core.api.outcomes import Drop, Failed, Rejected
from itune_core.engine.errors import RunError

NAME = "ledger.jsonl"
NOT_DRAWN = "not-drawn"


class Ledger:
    """Writes one line for every input that did not pass, and counts all.

    Every input ends in exactly one of: used, dropped (by reason), failed (by code), not drawn (mixers). What a step
    creates is counted apart, and so is what it made and rejected (by reason).

    Args:
        folder: where ``ledger.jsonl`` is written.
        step: the step's name, for messages.
    """

    def __init__(self, folder: Path, step: str) -> None:
        self.step = step
        self.used = self.created = self.not_drawn = 0
        self.dropped: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.rejected: Counter[str] = Counter()
        self._path = folder / NAME
        self._stream = self._path.open("w", encoding="utf-8")

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()

    def drop(self, item: str, verdict: Drop) -> None:
        """The input `item` (a record id, or a file and line) was left out on purpose."""
        self.dropped[verdict.reason] += 1
        self._write(item, "dropped", verdict.reason, verdict.detail)

    def fail(self, item: str, failure: Failed) -> None:
        """The input `item` could not be handled."""
        self.failed[failure.code] += 1
        self._write(item, "failed", failure.code, failure.message)

    def remark(self, item: str, reason: str, detail: str) -> None:
        """The input `item` was used, but not as it was: a line in the ledger that leaves the balance alone."""
        self._write(item, "used", reason, detail)

    def reject(self, item: str, verdict: Rejected) -> None:
        """Something made of the input `item` is not in the output: counted, but no part of the balance."""
        self.rejected[verdict.reason] += 1
        self._write(item, "rejected", verdict.reason, verdict.detail)

    def note(self, item: str, verdict: Drop | Failed) -> None:
        """Either of the above."""
        if isinstance(verdict, Drop):
            self.drop(item, verdict)
        else:
            self.fail(item, verdict)

    def flush(self) -> None:
        """Bring all lines to the file, for whoever reads it before the books are closed."""
        self._stream.flush()

    def _write(self, item: str, outcome: str, reason: str, detail: str) -> None:
        line = {"item": item, "outcome": outcome, "reason": reason, "detail": detail}
        self._stream.write(json.dumps(line, ensure_ascii=True) + "\n")

    @property
    def counts(self) -> dict[str, Any]:
        """The balance, as it stands in the manifest."""
        failed, dropped = self.failed.total(), self.dropped.total()
        return {
            "inputs": self.used + dropped + failed + self.not_drawn,
            "used": self.used,
            "dropped": dict(sorted(self.dropped.items())),
            "failed": dict(sorted(self.failed.items())),
            "not_drawn": self.not_drawn,
            "created": self.created,
            **({"rejected": dict(sorted(self.rejected.items()))} if self.rejected else {}),
        }

    def settle(self, inputs: int, max_failed: float) -> dict[str, Any]:
        """Close the books.

        Args:
            inputs: how many inputs the step was given.
            max_failed: largest tolerated share of failures.

        Raises:
            RunError: ``E-RUN-010`` too many failed; ``E-RUN-011`` an input is missing from the books or stands twice.
        """
        self.flush()
        counts = self.counts
        failed = self.failed.total()
        if failed > max_failed * inputs:
            common, times = self.failed.most_common(1)[0]
            raise RunError(
                "E-RUN-010",
                f"{failed} of {inputs} rows failed, more than max_failed {max_failed:.1%} allows",
                where=f"step {self.step}",
                why=f"most often {common}, {times} times; the first: {self._first_failure()}",
                fix=f"itune ledger {self.step} shows every one; mend the data, or raise max_failed",
            )
        if counts["inputs"] != inputs:
            raise RunError(
                "E-RUN-011",
                f"the books do not balance: {inputs} inputs, {counts['inputs']} accounted for",
                where=f"step {self.step}",
                why="the component did not answer for every input exactly once",
                fix="report it to the plugin's author",
            )
        return counts

    def _first_failure(self) -> str:
        for line in read(self._path.parent):
            if line["outcome"] == "failed":
                return f"{line['item']}: {line['detail']}"
        return "none"


def read(folder: Path) -> Iterator[Mapping[str, Any]]:
    """The lines of the ledger in `folder`; none if it has none."""
    path = folder / NAME
    if path.exists():
        with path.open(encoding="utf-8") as stream:
            for line in stream:
                yield json.loads(line)
