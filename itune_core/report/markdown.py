"""Text for Markdown pages: what comes from rows, recipes and models is shown as it is, whatever it is made of."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

from itune_core.report.escapes import safe

LONGEST = 200
"""Characters of one text that are shown."""

_MARKUP = re.compile(r"([\\`*_{}\[\]#|~$!@:^]|^[-+>]|(?<=\d)\.(?=\s)|(?<=www)\.)")


def inline(text: str) -> str:
    """`text` on one line, so that no renderer takes any of it for markup, a tag, a link or the end of a cell."""
    line = " ".join(safe(text).split())
    line = line if len(line) <= LONGEST else f"{line[:LONGEST]} ..."
    return html.escape(_MARKUP.sub(r"\\\1", line), quote=False)


def table(headers: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[str] = ()) -> list[str]:
    """Lines of a table whose cells are Markdown already; the columns named in `right` are aligned to the right."""
    rule = ["---:" if header in right else "---" for header in headers]
    return [_row(headers), _row(rule), *map(_row, rows)]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
