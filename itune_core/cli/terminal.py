"""What may reach a terminal: text from rows, recipes, plugins and models is shown, never obeyed."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import typer

from itune_core.report.escapes import safe, safe_json

if TYPE_CHECKING:
    from rich.console import Console

    from itune_core.api.errors import ItuneError

__all__ = ["print_json", "print_table", "safe", "seconds", "show_error", "show_traceback", "size", "stdout"]

_WIDE = 10_000
"""Columns where nobody looks: a pipe gets whole lines, whatever the terminal of the shell."""


def stdout() -> Console:
    """Standard output with styles and without markup; text given to it must be :func:`safe`."""
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else _WIDE)


def print_table(headers: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[str] = ()) -> None:
    """Print plain columns; cells are made safe here. The columns named in `right` are aligned to the right."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for header in headers:
        table.add_column(Text(safe(header)), justify="right" if header in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(safe(cell)) for cell in row))
    stdout().print(table)


def print_json(value: Any) -> None:
    """Print a value as JSON that is safe to look at; nothing of it is changed."""
    typer.echo(safe_json(value))


def seconds(value: float) -> str:
    """A duration: ``0.3 s``, ``42 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if value < 10:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def size(count: int) -> str:
    """A number of bytes: ``812 B``, ``4.2 kB``, ``271 MB``."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def show_error(error: ItuneError) -> None:
    """One paragraph on standard error: code and what happened, then where, why and what to do."""
    from rich.console import Console
    from rich.text import Text

    first, *rest = safe(str(error)).split("\n")
    code, _, what = first.partition(" ")
    paragraph = Text.assemble((code, "bold red"), " ", what, *(f"\n{line}" for line in rest))
    Console(stderr=True, highlight=False).print(paragraph, soft_wrap=True)


def show_traceback(error: BaseException) -> None:
    """The whole story on standard error, causes included."""
    sys.stderr.write(safe("".join(traceback.format_exception(error))))
