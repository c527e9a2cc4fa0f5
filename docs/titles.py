"""Show the title of a code block: ```` ```python title="pyproject.toml" ```` is a block with that caption.

Forges and editors read the same line as a block of that language, so the pages stay plain Markdown. Other words, as in
```` ```bash run ````, are for the tests that execute a page and are not shown.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_FENCE = re.compile(r'^(?P<ticks>`{3,})(?P<language>\w+)[^\n`]* ?title="(?P<title>[^"\n]+)"[^\n`]*$', re.MULTILINE)


def captioned(text: str) -> str:
    """A page's Markdown, its titled fences written as MyST's directive for a block with a caption."""
    return _FENCE.sub(r"\g<ticks>{code-block} \g<language>\n:caption: \g<title>\n", text)


def _on_source_read(app: Sphinx, page: str, source: list[str]) -> None:
    source[0] = captioned(source[0])


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx's entry point."""
    app.connect("source-read", _on_source_read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
