"""Writing records: ids, row digests and the Arrow file, streamed; memory grows by a few bytes a row."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any

from itune_core.api.records import SCHEMAS, Kind, Record, features
from itune_core.engine import digest
from itune_core.engine.views import RECORDS, ROW_DIGESTS

BATCH = 1000
ID_SIZE = 12


class RecordWriter:
    """Writes the records of one artifact.

    An id is made from what the row holds (its source name included) and its number among equal rows, so that inserting
    a row elsewhere changes no other id.

    Args:
        folder: the artifact's draft.
        kind: of all records.
        source: the source name of records that have none.
    """

    def __init__(self, folder: Path, kind: Kind, source: str) -> None:
        import pyarrow as pa

        self.folder, self.kind, self.source = folder, kind, source
        self.count = 0
        self._schema = features(kind).arrow_schema
        self._raw = folder / "records.arrow"
        self._sink = pa.OSFile(str(self._raw), "wb")
        self._writer = pa.ipc.new_stream(self._sink, self._schema)
        self._rows: list[dict[str, Any]] = []
        self._digests: list[bytes] = []
        self._seen: Counter[bytes] = Counter()

    def __enter__(self) -> RecordWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        if not self._sink.closed:
            self._writer.close()
            self._sink.close()

    def add(self, record: Record) -> None:
        """Append a record; its id is set here."""
        row = {name: record[name] for name in SCHEMAS[self.kind]}
        row["kind"] = self.kind.value
        if row["source"] is None:
            row["source"] = self.source
        content = digest.of_row(row)
        occurrence = self._seen[content]
        self._seen[content] += 1
        row["id"] = hashlib.blake2b(content + occurrence.to_bytes(8, "big"), digest_size=ID_SIZE).hexdigest()
        self._digests.append(content)
        self._rows.append(row)
        self.count += 1
        if len(self._rows) >= BATCH:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        self._writer.write_batch(pa.RecordBatch.from_pylist(self._rows, schema=self._schema))
        self._rows.clear()

    def finish(self) -> str:
        """Save the data set for `datasets.load_from_disk` and return its digest."""
        import datasets
        import numpy as np

        if self._rows:
            self._flush()
        self._close()
        datasets.disable_progress_bars()
        datasets.Dataset.from_file(str(self._raw)).save_to_disk(str(self.folder / RECORDS))
        self._raw.unlink()
        stored = np.frombuffer(b"".join(self._digests), dtype=np.uint8).reshape(-1, digest.SIZE)
        np.save(self.folder / ROW_DIGESTS, stored, allow_pickle=False)
        return digest.of_rows(self.kind.value, self._digests)
