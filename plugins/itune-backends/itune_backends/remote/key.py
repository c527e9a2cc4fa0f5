"""Secrets: read when they are used, kept out of everything that is shown or written."""

from __future__ import annotations

import os
from pathlib import Path

from itune_core.api import ModelError


class Key:
    """A secret that shows itself to nobody: not in ``repr``, so not in the locals of a traceback either.

    Args:
        written: ``env:NAME`` or ``file:PATH``; `~` is the home folder, and a relative path begins where itune was
            started.

    Raises:
        ModelError: ``E-BACKEND-020`` there is no such variable or file, or what it holds cannot be sent in a header.
    """

    __slots__ = ("_text",)

    def __init__(self, written: str) -> None:
        self._text = _read(written)

    def __repr__(self) -> str:
        return "<key>"

    def header(self) -> str:
        """The value of ``Authorization``."""
        return f"Bearer {self._text}"

    def hidden(self, text: str) -> str:
        """`text` with the key left out, wherever a server repeats it."""
        return text.replace(self._text, "[key]")


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
