"""Principles to judge by: one a line of a file of the recipe."""

from __future__ import annotations

from pathlib import Path

from itune_core.api import DataError


def read_principles(path: str, least: int) -> list[str]:
    """The principles in the file `path`: its lines, but for blank ones and those that begin with ``#``.

    Args:
        path: of a text file in UTF-8.
        least: how many are needed.

    Raises:
        DataError: ``E-GEN-041`` it cannot be read, or has fewer, or one twice.
    """
    try:
        lines = [line.strip() for line in Path(path).read_text("utf-8").splitlines()]
        found = [line for line in lines if line and not line.startswith("#")]
        if len(found) < least:
            raise ValueError(f"it has {len(found)} where {least} are drawn for a pair")
        twice = sorted({line for line in found if found.count(line) > 1})
        if twice:
            raise ValueError(f"it has this one twice: {twice[0]}")
    except (OSError, ValueError) as error:
        raise DataError(
            "E-GEN-041",
            "a file of principles cannot be used",
            where=path,
            why=str(error),
            fix="write one principle a line, in UTF-8",
        ) from error
    return found
