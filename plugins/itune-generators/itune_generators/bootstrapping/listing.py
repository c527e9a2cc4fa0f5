"""Reading the numbered list of tasks that a model wrote, and its word on whether a task is one of classification."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"^[ \t*#>]*\d{1,4}[ \t]*[.):\uff0e\u3001](?!\d)[ \t*]*(?:\d{1,4}[.)][ \t*]+)?", re.MULTILINE)
"""At the beginning of a line, perhaps as a heading or in bold type; small models write it twice. 3.5 and 10:30 are no
numbers of an item."""

_SPACES = re.compile(r"[ \t\r\n\u3000]+")
_YES, _NO = r"(?:yes|예|네|はい)", r"(?:no|아니요|아니오|아뇨|いいえ)"
_SAID = r"(?:입니다|이다|です)?(?!\w)"
"""After a word that is meant as one: 예를 ("for instance") begins with yes, and does not say it."""

_OR = r"[\s\"'*,、」』)]*(?:/|\||or\b|또는|혹은|아니면|または|もしくは|か)[\s\"'*「『(]*"
_VERDICT = re.compile(rf"\W*(?:({_YES}){_SAID}(?!{_OR}{_NO}{_SAID})|{_NO}{_SAID}(?!{_OR}{_YES}{_SAID}))", re.IGNORECASE)


def tasks_in(text: str) -> list[str]:
    """The items of the numbered list in `text`, in order; none if it has no line that begins with a number.

    An item ends where the next number or a blank line comes: what a model says after its list is no part of the last
    task. What it says before the list is no task either. Runs of white space become one space, bold type goes, and the
    first letter becomes a capital, as in the published code.
    """
    items = []
    for part in _NUMBER.split(text)[1:]:
        item = one_line(re.split(r"\n[ \t]*\n", part.lstrip("\n"), maxsplit=1)[0].replace("**", ""))
        if item:
            items.append(item[0].upper() + item[1:])
    return items


def one_line(text: str) -> str:
    """`text` with one space in the place of each run of white space and none around it."""
    return _SPACES.sub(" ", text).strip()


def is_classification(text: str) -> bool | None:
    """Whether `text` begins with yes, or with no, in English, Korean or Japanese; None if with neither, or with the
    question: "yes or no"."""
    found = _VERDICT.match(text)
    return None if found is None else found[1] is not None
