"""Docstrings as Markdown for the generated pages: Sphinx's marks and Google's sections as a forge reads them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

_ROLE = re.compile(r":(?:class|meth|func|attr|data|mod|exc):`(~?)([\w.]+)`")
_SECTION = re.compile(r"^(Args|Attributes|Returns|Yields|Raises):\n((?:(?: .*)?\n)+)", re.MULTILINE)
_ENTRY = re.compile(r"^(?P<names>\w+(?:, \w+)*): (?P<text>.*)$")
_TITLES = {"Args": "Takes", "Attributes": "Attributes", "Returns": "Gives", "Yields": "Yields", "Raises": "Raises"}
_NAMED = ("Args", "Attributes", "Raises")


def markdown(text: str) -> str:
    """`text` without the marks that only Sphinx would read.

    Roles become code, formulas stand between dollars, and a block that ``::`` announces is fenced.
    """
    text = re.sub(r":math:`([^`]+)`", r"$\1$", text)
    text = re.sub(r"^\.\. math:: (.+)$", r"$$\1$$", text, flags=re.MULTILINE)
    text = _ROLE.sub(lambda found: f"`{found[2].rpartition('.')[2] if found[1] else found[2]}`", text)
    text = re.sub(r"``([^`]+)``", r"`\1`", text)
    return "\n".join(_fenced(text.splitlines()))


def _fenced(lines: list[str]) -> Iterator[str]:
    announced = inside = False
    waiting = 0  # blank lines that belong to the block only if more of it follows
    for line in lines:
        if inside or announced:
            if not line.strip():
                waiting += 1
                continue
            if line.startswith("    "):
                yield from ([""] * waiting if inside else ["", "```python"])
                yield line[4:]
                inside, announced, waiting = True, False, 0
                continue
            yield from ([*(["```"] if inside else []), *[""] * waiting])
            inside = announced = False
            waiting = 0
        announced = line.endswith("::")
        yield re.sub(r"::$", ":", line)
    if inside:
        yield "```"


def summary(obj: object) -> str:
    """The first paragraph of an object's own docstring, on one line."""
    return " ".join(markdown(_text(obj)).split("\n\n")[0].split())


def body(obj: object) -> str:
    """An object's own docstring as Markdown; Google's sections become lists under a word in italics."""
    return markdown(_SECTION.sub(lambda found: _section(found[1], found[2]), _text(obj) + "\n")).strip()


def _section(name: str, text: str) -> str:
    lines = inspect.cleandoc(f"\n{text}").splitlines()
    if name not in _NAMED:
        return f"*{_TITLES[name]}:* {' '.join(' '.join(lines).split())}\n\n"
    entries: list[str] = []
    for line in lines:
        found = _ENTRY.match(line)
        if found:
            names = ", ".join(f"`{part}`" for part in found["names"].split(", "))
            entries.append(f"- {names}: {found['text']}")
        elif line.strip():
            entries[-1] += f"\n  {line.strip()}"
    return "\n".join([f"*{_TITLES[name]}:*", "", *entries, "", ""])


def _text(obj: object) -> str:
    """The docstring that was written for `obj`, not one that it inherits."""
    return inspect.cleandoc(obj.__doc__ or "")
