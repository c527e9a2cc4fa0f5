"""Whether what a model wrote holds what it was shown."""

from __future__ import annotations

LONG = 16
"""Shorter texts recur by chance."""


def quotes(written: str, text: str) -> bool:
    """Whether `written` holds the whole of `text`, if that has more than :data:`LONG` characters.

    White space and capitals make no difference.
    """
    wanted = _plain(text)
    return len(wanted) > LONG and wanted in _plain(written)


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()
