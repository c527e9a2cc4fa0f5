"""Token rows kept by content: a row is tokenised once, whatever mixes it is drawn into and however often."""

from __future__ import annotations

import hashlib
import inspect
import json
import sqlite3
from array import array
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from itune_core.api import Context

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from itune_torch import Encoded

FILE = "rows.sqlite"
TABLE = """CREATE TABLE IF NOT EXISTS rows
(key BLOB PRIMARY KEY, ids BLOB, trained BLOB, cut INTEGER, lost_end INTEGER, merged INTEGER) WITHOUT ROWID"""


class TokenCache:
    """Token rows by what they are made of.

    What is new is written by :meth:`flush`, in one transaction; two trainings may use one file at the same time.

    Args:
        connection: to a database that has the table.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._new: dict[bytes, Encoded] = {}

    def row(self, content: Any, make: Callable[[], Encoded | None]) -> Encoded | None:
        """The row of `content` (a JSON value); `make` is called where it is not known. What raises, or gives None, is
        not kept."""
        from itune_torch import Encoded

        key = hashlib.blake2b(json.dumps(content).encode(), digest_size=16).digest()
        known = self._new.get(key)
        if known is not None:
            return known
        found = self._connection.execute(
            "SELECT ids, trained, cut, lost_end, merged FROM rows WHERE key = ?", (key,)
        ).fetchone()
        if found is not None:
            ids, trained, cut, lost_end, merged = found
            return Encoded(array("i", ids).tolist(), [bool(flag) for flag in trained], cut, bool(lost_end), merged)
        made = make()
        if made is not None:
            self._new[key] = made
        return made

    def flush(self) -> None:
        """Write what is new."""
        rows = (
            (key, array("i", row.ids).tobytes(), bytes(row.trained), row.cut, row.lost_end, row.merged)
            for key, row in self._new.items()
        )
        with self._connection:
            self._connection.executemany("INSERT OR IGNORE INTO rows VALUES (?, ?, ?, ?, ?, ?)", rows)
        self._new.clear()


@contextmanager
def token_cache(tokenizer: PreTrainedTokenizerBase, context: Context) -> Iterator[TokenCache]:
    """The cache of a tokenizer with its chat template, shared by all runs of a project; flushed at the end."""
    folder = context.artifact({"content": "token rows", "tokenizer": _identity(tokenizer)}, _make)
    with closing(sqlite3.connect(folder / FILE, timeout=60)) as connection:
        cache = TokenCache(connection)
        yield cache
        cache.flush()


def _make(folder: Path) -> None:
    with closing(sqlite3.connect(folder / FILE)) as connection:
        connection.execute(TABLE)


def _identity(tokenizer: PreTrainedTokenizerBase) -> str:
    """Digest of all that token rows depend on beside the rows: vocabulary, template, special tokens, our own code."""
    from itune_torch import encode_conversation, encode_source_target

    digest = hashlib.blake2b(digest_size=16)
    digest.update(tokenizer.backend_tokenizer.to_str().encode())  # type: ignore[attr-defined]
    digest.update(json.dumps([tokenizer.chat_template, tokenizer.special_tokens_map], default=str).encode())
    for encode in (encode_conversation, encode_source_target):
        digest.update(Path(inspect.getfile(inspect.unwrap(encode))).read_bytes())
    return digest.hexdigest()
