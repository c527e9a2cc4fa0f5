"""What may reach a terminal: text from rows, recipes, plugins and models is shown, never obeyed."""

from __future__ import annotations

import sys
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from itune_core.api.errors import ItuneError

_CONTROL = [
    *(code for code in range(0x20) if chr(code) not in "\t\n"),
    *range(0x7F, 0xA0),
    *range(0x202A, 0x202F),  # bidirectional embeddings and overrides reorder what a person reads
    *range(0x2066, 0x206A),
]
_ESCAPES = {code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" for code in _CONTROL}


def safe(text: str) -> str:
    """`text` with every control character but tab and newline spelled out, so that no escape sequence takes effect."""
    return text.translate(_ESCAPES)


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
