"""Docstrings as Markdown: cross-references such as ``:class:`~a.b.C``` become plain code, ``::`` before a block goes.

A griffe extension for the API reference; the page of components uses :func:`markdown` too.
"""

from __future__ import annotations

import re
from typing import Any

ROLE = re.compile(r":(?:class|meth|func|attr|data|mod|exc):`(~?)([\w.]+)`")


def markdown(text: str) -> str:
    """`text` without the marks that only Sphinx would read."""
    text = ROLE.sub(lambda found: f"`{found[2].rpartition('.')[2] if found[1] else found[2]}`", text)
    return re.sub(r"::$", ":", text, flags=re.MULTILINE)


try:
    import griffe
except ModuleNotFoundError:  # where only markdown() is wanted
    pass
else:

    class Docstrings(griffe.Extension):
        """Rewrites every docstring that the API reference shows."""

        def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
            if obj.docstring:
                obj.docstring.value = markdown(obj.docstring.value)
