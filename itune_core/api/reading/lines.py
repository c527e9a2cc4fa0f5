"""JSON Lines: an object a line."""

from __future__ import annotations

import io
from collections.abc import Iterator

from itune_core.api.errors import RowError
from itune_core.api.reading.faults import MAX_LINE, broken, empty, too_long
from itune_core.api.reading.rows import BadRow, Row, object_row
from itune_core.api.reading.streams import DAMAGE
from itune_core.api.reading.strict_json import decode


def json_lines(stream: io.BufferedReader, name: str, encoding: str) -> Iterator[Row | BadRow]:
    """The rows of a file of JSON lines; blank lines are passed over.

    Args:
        stream: UTF-8.
        name: the file, as it stands in `where`.
        encoding: what the file was read in, for messages.
    """
    number = 0
    readline = stream.readline
    try:
        while line := readline(MAX_LINE + 1):
            number += 1
            if len(line) > MAX_LINE and not line.endswith(b"\n"):
                while line and not line.endswith(b"\n"):
                    line = readline(MAX_LINE)
                yield BadRow(too_long(), f"{name}:{number}")
            elif not line.isspace():
                try:
                    value = decode(line, encoding)
                except RowError as error:
                    yield BadRow(error, f"{name}:{number}")
                else:
                    yield (
                        Row(value, f"{name}:{number}") if type(value) is dict else object_row(value, f"{name}:{number}")
                    )
    except DAMAGE as error:
        yield BadRow(broken(error), f"{name}:{number + 1}")
    else:
        if number == 0:
            yield BadRow(empty(), f"{name}:0")
