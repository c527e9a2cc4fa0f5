"""What the docstring of a component says of it, for Markdown: the first sentences, and the source with its links."""

from __future__ import annotations

import re
from inspect import getdoc

from itune_core.report.markdown import inline

_ARXIV = re.compile(r"arXiv[: ]\s*(\d{4}\.\d{4,5})(?:v\d+)?", re.IGNORECASE)
_SOURCE = re.compile(r"Source:\s+(.+?)(?:\n\s*\n|\Z)", re.DOTALL)


def summary_and_source(component: type) -> tuple[str, str | None] | None:
    """The first paragraph, and what stands after ``Source:`` if anything does; None if there is no docstring."""
    doc = getdoc(component)
    if not doc:
        return None
    source = _SOURCE.search(doc)
    return inline(_plain(doc.partition("\n\n")[0])), _cited(_plain(source[1])) if source else None


def _plain(docstring: str) -> str:
    """Words of a docstring without its roles and backticks."""
    return " ".join(re.sub(r":\w+:`~?([^`]*)`", r"\1", docstring).replace("`", "").split())


def _cited(source: str) -> str:
    """A citation, its arXiv ids as links."""
    parts = _ARXIV.split(source)  # text, id, text, id, ...
    return "".join(
        f"[arXiv:{part}](https://arxiv.org/abs/{part})" if place % 2 else _between(part)
        for place, part in enumerate(parts)
    )


def _between(text: str) -> str:
    """Text between links: escaped, with the spaces at its ends kept."""
    before, after = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
    return before + inline(text) + (after if text.strip() else "")
