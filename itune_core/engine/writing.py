"""Writing records: ids, row digests and the Arrow files, streamed.

Rows go to a raw file first. Their ids depend on how often an equal row came before, which is known once all digests
are; a second pass sets them and leaves what `datasets.load_from_disk` opens. Neither pass maps a file into memory. That
grows by the digests, sixteen bytes a row, by nine more while equal ones are looked for, and by a counter for each row
that comes more than once.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from itune_core.api.records import SCHEMAS, Kind, Record, features
from itune_core.engine import digest
from itune_core.engine.views import RECORDS, ROW_DIGESTS

if TYPE_CHECKING:
    import pyarrow as pa

BATCH = 1000
"""Most rows that are held before they are written."""

BLOCK = 4 * 2**20
"""Bytes in which rows are saved: whoever opens the file reads a page at the head of each. Also the most bytes that are
held before they are written, so that a thousand long rows neither fill the memory nor an Arrow array."""

SHARD = 400 * 2**20
"""Bytes after which another Arrow file is begun; an Arrow array of text holds no more than 2 GiB."""

ID_SIZE = 12


class Unfit(ValueError):
    """A record that its kind's schema has no place for: it was made without the builder of its kind."""


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
        self._columns = tuple(name for name in SCHEMAS[kind] if name != "id")
        self._schema = features(kind).arrow_schema
        self._raw = folder / "records.arrow"
        self._sink = pa.OSFile(str(self._raw), "wb")
        self._writer = pa.ipc.new_stream(self._sink, self._schema)
        self._rows: list[dict[str, Any]] = []
        self._held = 0
        self._digests = bytearray()

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

    def add(self, record: Record) -> bytes:
        """Append a record; its id is set later.

        Returns:
            the digest of its content, see :func:`record_id`.

        Raises:
            Unfit: this record, or one added shortly before, has a column missing or a value of another type.
        """
        try:
            row = record.take(self._columns)
            row["kind"] = self.kind.value
            if row["source"] is None:
                row["source"] = self.source
            text = digest.row_text(row)
        except KeyError as error:
            raise Unfit(f"{record!r} has no column {error}") from error
        except TypeError as error:
            raise Unfit(f"{record!r} holds what cannot be stored: {error}") from error
        content = digest.of_row(text)
        self._digests += content
        row["id"] = None
        self._rows.append(row)
        self._held += len(text)
        self.count += 1
        if len(self._rows) >= BATCH or self._held >= BLOCK:
            self._flush()
        return content

    def _flush(self) -> None:
        import pyarrow as pa

        try:
            batch = pa.RecordBatch.from_pylist(self._rows, schema=self._schema)
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise Unfit(f"a {self.kind} record does not fit the schema of its kind: {error}") from error
        if not all(map(_finite, batch.columns)):  # in its digest it would be null
            raise Unfit(f"a {self.kind} record holds a number that is not finite")
        self._writer.write_batch(batch)
        self._rows.clear()
        self._held = 0

    def finish(self) -> str:
        """Save the data set for `datasets.load_from_disk` and return its digest."""
        import numpy as np

        if self._rows:
            self._flush()
        self._close()
        found = digest.of_rows(self.kind.value, [self._digests])
        _save(self.folder / RECORDS, self._schema, self._identified(), found)
        self._raw.unlink()
        np.save(self.folder / ROW_DIGESTS, _table(self._digests), allow_pickle=False)
        return found

    def _identified(self) -> Iterator[pa.Table]:
        """The rows of the raw file with their ids, in blocks."""
        import pyarrow as pa

        ids = _ids(self._digests)
        place = self._schema.get_field_index("id")
        block: list[pa.RecordBatch] = []
        with pa.OSFile(str(self._raw), "rb") as source, pa.ipc.open_stream(source) as batches:
            for batch in batches:
                named = pa.array([next(ids) for _ in range(batch.num_rows)], pa.string())
                block.append(batch.set_column(place, self._schema.field(place), named))
                if sum(part.nbytes for part in block) >= BLOCK:
                    yield pa.Table.from_batches(block).combine_chunks()
                    block.clear()
        if block:
            yield pa.Table.from_batches(block).combine_chunks()


def record_id(content: bytes, occurrence: int) -> str:
    """The id of a record: of the digest of its content, and how many equal ones came before it."""
    return hashlib.blake2b(content + occurrence.to_bytes(8, "big"), digest_size=ID_SIZE).hexdigest()


def _finite(values: pa.Array) -> bool:
    """Whether no number in a column, however deep inside, is infinite or not a number."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_floating(values.type):
        return pc.all(pc.is_finite(values), min_count=0).as_py() is not False
    if pa.types.is_list(values.type):
        return _finite(values.flatten())
    if pa.types.is_struct(values.type):
        return all(map(_finite, values.flatten()))
    return True


def _table(digests: bytearray) -> Any:
    import numpy as np

    return np.frombuffer(digests, dtype=np.uint8).reshape(-1, digest.SIZE)


def _ids(digests: bytearray) -> Iterator[str]:
    """The id of every row, in order. Rows are counted only where another begins with the same eight bytes."""
    import numpy as np

    starts = np.frombuffer(digests, dtype=np.uint64)[:: digest.SIZE // 8]
    ordered = np.sort(starts)
    repeated = set(ordered[1:][ordered[1:] == ordered[:-1]].tolist())
    del ordered
    seen: Counter[bytes] = Counter()
    for number, start in enumerate(starts):
        content = bytes(digests[number * digest.SIZE : (number + 1) * digest.SIZE])
        occurrence = 0
        if repeated and int(start) in repeated:
            occurrence = seen[content]
            seen[content] += 1
        yield record_id(content, occurrence)


def _save(folder: Path, schema: pa.Schema, blocks: Iterator[pa.Table], fingerprint: str) -> None:
    """Write `blocks` as `datasets.Dataset.save_to_disk` would, at least one file, each of about :data:`SHARD` bytes."""
    import datasets
    import pyarrow as pa

    folder.mkdir()
    parts: list[Path] = []
    block = next(blocks, None)
    while block is not None or not parts:
        parts.append(folder / f"{len(parts)}.arrow")
        with pa.OSFile(str(parts[-1]), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
            while block is not None and sink.tell() < SHARD:
                writer.write_table(block)
                block = next(blocks, None)
    names = [f"data-{number:05d}-of-{len(parts):05d}.arrow" for number in range(len(parts))]
    for part, name in zip(parts, names, strict=True):
        part.rename(folder / name)
    datasets.DatasetInfo(features=datasets.Features.from_arrow_schema(schema)).write_to_directory(str(folder))
    state: dict[str, Any] = {
        "_data_files": [{"filename": name} for name in names],
        "_fingerprint": fingerprint,
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": None,
    }
    (folder / "state.json").write_text(json.dumps(state, indent=2), "utf-8")
