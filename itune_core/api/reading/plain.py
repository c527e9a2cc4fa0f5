"""Plain text: a line a row."""

from __future__ import annotations

import io
from collections.abc import Iterator

from itune_core.api.reading.faults import MAX_LINE, broken, empty, nul, too_long, undecodable
from itune_core.api.reading.rows import BadRow, Row
from itune_core.api.reading.streams import DAMAGE


def text_lines(stream: io.BufferedReader, name: str, encoding: str) -> Iterator[Row | BadRow]:
    r"""Every line of a file as ``{"text": line}``, without its end (``\n`` or ``\r\n``); blank lines too.

    Args:
        stream: UTF-8.
        name: the file, as it stands in `where`.
        encoding: what the file was read in, for messages.
    """
    number = 0
    try:
        while line := stream.readline(MAX_LINE + 1):
            number += 1
            where = f"{name}:{number}"
            if len(line) > MAX_LINE and not line.endswith(b"\n"):
                while line and not line.endswith(b"\n"):
                    line = stream.readline(MAX_LINE)
                yield BadRow(too_long(), where)
            elif b"\x00" in line:
                yield BadRow(nul(), where)
            else:
                yield _line(line.removesuffix(b"\n").removesuffix(b"\r"), where, encoding)
    except DAMAGE as error:
        yield BadRow(broken(error), f"{name}:{number + 1}")
    else:
        if number == 0:
            yield BadRow(empty(), f"{name}:0")


def _line(line: bytes, where: str, encoding: str) -> Row | BadRow:
    try:
        return Row({"text": line.decode("utf-8")}, where)
    except UnicodeDecodeError as error:
        return BadRow(undecodable(line, error.start, encoding), where)
