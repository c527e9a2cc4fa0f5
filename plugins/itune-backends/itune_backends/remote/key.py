"""Secrets: read when they are used, kept out of everything that is shown or written."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path

from itune_core.api import ModelError

MARK = "[key]"
"""Stands where a server repeats the key."""

ESCAPED = "\"'/\\"
"""Characters that may have a backslash before them in JSON, or in the ``repr`` of bytes."""


class Key:
    """A secret that shows itself to nobody: not in ``repr``, so not in the locals of a traceback either.

    Args:
        written: ``env:NAME`` or ``file:PATH``; `~` is the home folder. Those of a recipe are absolute here.

    Raises:
        ModelError: ``E-BACKEND-020`` there is no such variable or file, or what it holds cannot be sent in a header.
    """

    __slots__ = ("_escapes", "_spelt", "_text")

    def __init__(self, written: str) -> None:
        self._text = text = _read(written)
        self._spelt = re.compile("".join(map(_spelt, text)).encode())
        self._escapes = [b"%", rb"\u00", *(b"\\" + each.encode() for each in ESCAPED if each in text)]

    def __repr__(self) -> str:
        return "<key>"

    @property
    def is_word(self) -> bool:
        """Whether it may well be none, but stand in an answer by right: ``EMPTY``, ``none``, ``placeholder``."""
        return len(self._text) < 8 or (len(self._text) < 16 and self._text.isalpha())

    def header(self) -> str:
        """The value of ``Authorization``."""
        return f"Bearer {self._text}"

    def hidden(self, text: str) -> str:
        """`text` with the key left out, in whatever way it is spelt there."""
        return self.out_of(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")

    def out_of(self, body: bytes) -> bytes:
        """`body`, a text or JSON, with the key left out, in whatever way the escapes of JSON, of addresses or of a
        ``repr`` spell it."""
        if any(escape in body for escape in self._escapes):
            return self._spelt.sub(MARK.encode(), body)
        return body.replace(self._text.encode(), MARK.encode())


class Unlogged(logging.Filter):
    """Takes the key out of what the HTTP library tells of a server's headers, to who listens at level DEBUG.

    Args:
        key: to be left out.
    """

    LOGGERS = ("httpcore.connection", "httpcore.http11", "httpcore.proxy")

    def __init__(self, key: Key) -> None:
        super().__init__()
        self._key = key
        for name in self.LOGGERS:
            logging.getLogger(name).addFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = self._key.hidden(record.getMessage()), None
        return True

    def remove(self) -> None:
        """Listen no more."""
        for name in self.LOGGERS:
            logging.getLogger(name).removeFilter(self)


def _spelt(character: str) -> str:
    """An expression for a character in all its spellings; the longest first, for of two backslashes one is none."""
    plain, number = re.escape(character), f"{ord(character):02x}"
    short = rf"\\{plain}|" if character in ESCAPED else ""
    return rf"(?:{short}\\u00(?i:{number})|%(?i:{number})|{plain})"


def _read(written: str) -> str:
    form, _, name = written.partition(":")
    if form == "env":
        text, fix = os.environ.get(name), f"export {name}=..."
    elif form == "file":
        text, fix = _content(Path(name).expanduser()), f"put the key, and nothing else, into {name}"
    else:  # the value itself may be the secret: it is not shown
        raise ModelError("E-BACKEND-020", "`api_key` is neither env:NAME nor file:PATH", fix="api_key: env:MY_KEY")
    text = text.strip() if text is not None else ""
    if not text:
        raise ModelError("E-BACKEND-020", f"there is no key in {written}", fix=fix)
    if not (text.isascii() and text.isprintable() and " " not in text):
        raise ModelError(
            "E-BACKEND-020",
            f"what is in {written} cannot be a key",
            why="it holds spaces, several lines, or other than ASCII characters",
            fix=fix,
        )
    return text


def _content(path: Path) -> str | None:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return None
