"""The journal: every model request and its answer, stored before anything is parsed.

A re-run asks only what is missing; failures are not kept; a better parser re-reads old answers. One entry is one
*question*: a draw of an :class:`Ask`, a :class:`LogProbs`, a :class:`Choices`, one completion of a :class:`Rewards`,
one text of an :class:`Embed`. Its key covers the model's identity, what was asked, the sampling and, where the answer
is drawn at random, the draw's seed.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock

from itune_core.api.asking import Spent
from itune_core.engine import digest

_SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY,
    model TEXT NOT NULL,
    question TEXT NOT NULL,
    answer TEXT NOT NULL,
    asked TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
) WITHOUT ROWID
"""

_SPENDING = """
CREATE TABLE IF NOT EXISTS spending (
    model TEXT PRIMARY KEY,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL
) WITHOUT ROWID
"""


class Journal:
    """Questions and answers of one project, in SQLite; several runs may use it at once.

    Args:
        path: the database file; made if absent.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._database = sqlite3.connect(path, timeout=60, isolation_level="IMMEDIATE", check_same_thread=False)
        # One at a time: of two that turn a new database to WAL, SQLite tells one at once that it is locked; that it
        # may wait is not asked there.
        with FileLock(path.with_suffix(".lock")):
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=NORMAL")
            self._database.execute(_SCHEMA)
            self._database.execute(_SPENDING)

    def close(self) -> None:
        self._database.close()

    @staticmethod
    def key(model: str, question: Mapping[str, Any]) -> str:
        """Key of a question to the model of that identity."""
        return digest.of_value([model, question])

    def get(self, keys: Sequence[str]) -> dict[str, Any]:
        """The known answers among `keys`."""
        found: dict[str, Any] = {}
        with self._lock:
            for start in range(0, len(keys), 500):
                chunk = keys[start : start + 500]
                marks = ",".join("?" * len(chunk))
                rows = self._database.execute(f"SELECT key, answer FROM answers WHERE key IN ({marks})", chunk)
                found.update((key, json.loads(answer)) for key, answer in rows)
        return found

    def put(
        self, entries: Iterable[tuple[str, str, Mapping[str, Any], Any]], spent: Mapping[str, Spent] | None = None
    ) -> None:
        """Store entries and what they cost, all or none; the first answer to a question stays.

        Args:
            entries: ``(key, model, question, answer)``.
            spent: what is to be added to the account of a model.
        """
        rows = [
            (key, model, digest.canonical(question).decode(), digest.canonical(answer).decode())
            for key, model, question, answer in entries
        ]
        with self._lock, self._database:  # one transaction: commits, or rolls back on an error
            self._database.executemany(
                "INSERT OR IGNORE INTO answers (key, model, question, answer) VALUES (?, ?, ?, ?)", rows
            )
            self._database.executemany(
                "INSERT INTO spending VALUES (?, ?, ?) ON CONFLICT (model) DO UPDATE SET "
                "prompt_tokens = prompt_tokens + excluded.prompt_tokens, "
                "completion_tokens = completion_tokens + excluded.completion_tokens",
                [
                    (model, more.prompt_tokens, more.completion_tokens)
                    for model, more in (spent or {}).items()
                    if more != Spent()
                ],
            )

    def spent(self, model: str) -> Spent:
        """What answers of the model of that identity have cost, in all runs."""
        with self._lock:
            found = self._database.execute(
                "SELECT prompt_tokens, completion_tokens FROM spending WHERE model = ?", (model,)
            ).fetchone()
        return Spent(*found) if found else Spent()
