"""Compressed files, told by what they begin with; the suffix only says what a file claims to be.

gzip and bzip2 by the standard library, Zstandard by pyarrow. Files of several members (frames) laid end to end are read
to their end; of a file cut short all that can be decompressed is given before the error.
"""

from __future__ import annotations

import bz2
import gzip
import io
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from itune_core.api.reading.streams import BLOCK, buffered, opened

SUFFIXES = {".gz": "gzip", ".zst": "Zstandard", ".bz2": "bzip2"}

_BZIP2 = b"1AY&SY"
_END = b"\x17rE8P\x90"
_HEAD = 10


def decompressed(file: io.BufferedReader, path: Path) -> io.BufferedReader:
    """What `file`, the file at `path` opened, holds beneath its compression; the file itself where it has none.

    Raises:
        OSError: the suffix tells of a compression that the file does not have.
    """
    head = file.peek(_HEAD)[:_HEAD]
    if head.startswith(b"\x1f\x8b"):
        return buffered(gzip.GzipFile(fileobj=file).read1)
    if head.startswith(b"BZh") and head[4:] in (_BZIP2, _END):
        return buffered(bz2.BZ2File(file).read1)
    if _is_zstandard(head):
        return buffered(_Zstandard(path).read)
    claimed = SUFFIXES.get(path.suffix)
    if claimed and head:
        raise OSError(f"this is not {claimed}, though the file is named {path.suffix}")
    return file


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """The file, or a temporary one of what it holds beneath its compression: for formats that are not read in order."""
    with opened(path) as file:
        stream = decompressed(file, path)
        if stream is file:
            yield path
            return
        with tempfile.NamedTemporaryFile(prefix="itune-unpacked-") as whole:
            shutil.copyfileobj(stream, whole, BLOCK)
            whole.flush()
            yield Path(whole.name)


def _is_zstandard(head: bytes) -> bool:
    skippable = len(head) > 3 and 0x50 <= head[0] <= 0x5F and head[1:4] == b"\x2a\x4d\x18"
    return skippable or head.startswith(b"\x28\xb5\x2f\xfd")


class _Zstandard:
    """Reads a Zstandard file, to the last byte before damage.

    pyarrow gives nothing of a block in which it meets damage. The file is then opened anew, and what is left before the
    damage is taken byte by byte.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream = self._open()
        self._given = 0
        self._damage: OSError | None = None

    def _open(self) -> Any:
        import pyarrow

        return pyarrow.CompressedInputStream(pyarrow.OSFile(str(self._path)), "zstd")

    def read(self, size: int) -> bytes:
        if self._damage is None:
            try:
                return self._gave(self._stream.read(min(size, BLOCK)))
            except OSError as error:
                self._damage, self._stream = error, self._open()
                _pass_over(self._stream.read, self._given)
        try:
            return self._gave(self._stream.read(1))
        except OSError:
            raise self._damage from None

    def _gave(self, part: bytes) -> bytes:
        self._given += len(part)
        return part


def _pass_over(read: Callable[[int], bytes], size: int) -> None:
    while size:
        size -= len(read(min(size, BLOCK)))
