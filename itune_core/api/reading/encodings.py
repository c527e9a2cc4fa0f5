"""Text in any encoding, as UTF-8, such that a byte that cannot be decoded spoils its own row and no other.

What reads rows after this knows one encoding, and one kind of line: bytes up to a line feed.
"""

from __future__ import annotations

import codecs
import io

from itune_core.api.errors import DataError
from itune_core.api.reading.streams import BLOCK, buffered

MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
"""Byte order mark to encoding. That of UTF-32 begins as that of UTF-16 does, and so stands before it."""

_UNMARKED = ("utf-16", "utf-32")
"""Encodings whose byte order the file itself must tell."""


def byte_order_mark(head: bytes) -> bytes:
    """The byte order mark that `head`, at least four bytes of a file, begins with; empty if there is none."""
    return next((mark for mark in MARKS if head.startswith(mark)), b"")


def as_utf8(stream: io.BufferedReader, encoding: str, name: str) -> io.BufferedReader:
    """What `stream` holds, as UTF-8 without a byte order mark.

    Args:
        stream: text in `encoding`, at its beginning.
        encoding: Python's name of it.
        name: the file, for messages.

    Raises:
        DataError: ``E-DATA-024`` the file begins with the byte order mark of another encoding, or lacks the one that
            tells its byte order.
    """
    mark = byte_order_mark(stream.peek(4)[:4])
    if mark and not MARKS[mark].startswith(encoding):
        raise DataError(
            "E-DATA-024",
            f"the file begins with the byte order mark of {MARKS[mark]}, and is read as {encoding}",
            where=name,
            fix=f"set `reading: {{encoding: {MARKS[mark].removesuffix('-le').removesuffix('-be')}}}`",
        )
    if encoding in _UNMARKED and not mark:
        raise DataError(
            "E-DATA-024",
            f"the file has no byte order mark, so that {encoding} does not say how it is to be read",
            where=name,
            fix=f"set `reading: {{encoding: {encoding}-le}}`, or {encoding}-be",
        )
    stream.read(len(mark))
    if encoding == "utf-8":
        return stream
    decoder = codecs.getincrementaldecoder(MARKS[mark] if mark else encoding)("itune-mark")
    left, ended = bytearray(), False

    def read(size: int) -> bytes:
        nonlocal ended
        while not left and not ended:
            part = stream.read1(BLOCK)
            ended = not part
            left.extend(decoder.decode(part, ended).encode("utf-8", "surrogatepass"))
        given = bytes(left[:size])
        del left[:size]
        return given

    return buffered(read)


def mark(error: UnicodeError) -> tuple[str, int]:
    """Put half of a surrogate pair, U+DC00 plus its value, in the place of each byte that cannot be decoded.

    No file that can be decoded has one, and strict UTF-8 refuses it, so that what holds one is refused later, alone.
    """
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


codecs.register_error("itune-mark", mark)
