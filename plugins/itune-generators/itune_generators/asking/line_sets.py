"""Sets of texts to draw from, a line each: of this package, or a file of a recipe in their place."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from itune_core.api import DataError


def line_set(name: str | None, path: str | None = None, *, least: int = 1) -> list[str]:
    """The texts of a set, in the order of the file.

    Blank lines and lines that begin with ``#`` are left out, and so is white space at either end of a line.

    Args:
        name: of the built-in set, ``prompts/NAME.txt`` of this package; None: there is none, and a path must be given.
        path: a file in its place, in UTF-8.
        least: how many texts there must be.

    Raises:
        DataError: ``E-GEN-030`` it cannot be read, holds fewer than `least` texts, or one twice.
    """
    try:
        place = files("itune_generators") / "prompts" / f"{name}.txt" if path is None else Path(path)
        lines = [line.strip() for line in place.read_text("utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise _unusable(path, str(error)) from error
    texts = [line for line in lines if line and not line.startswith("#")]
    twice = next((text for number, text in enumerate(texts) if text in texts[:number]), None)
    if twice is not None:
        raise _unusable(path, f"it holds {twice!r} twice")
    if len(texts) < least:
        raise _unusable(path, f"it holds {len(texts)}, and {least} are drawn")
    return texts


def _unusable(path: str | None, why: str) -> DataError:
    return DataError(
        "E-GEN-030",
        "a set of texts to draw from cannot be used",
        where=path,
        why=why,
        fix="name one text file in UTF-8, each text on a line of its own",
    )
