"""How a test of the kit fails: what is wrong, why that matters, and what to do about it."""

from __future__ import annotations

from typing import NoReturn

import pytest


def fail(what: str, *, why: str = "", fix: str = "", cause: BaseException | None = None) -> NoReturn:
    """Fail the test.

    Args:
        what: what is wrong, one sentence.
        why: what would come of it.
        fix: what to change.
        cause: what the component raised, shown with its traceback.
    """
    __tracebackhide__ = True
    lines = [what, *(f"  {label}: {text}" for label, text in (("why", why), ("fix", fix)) if text)]
    if cause is None:
        pytest.fail("\n".join(lines), pytrace=False)
    raise AssertionError("\n".join(lines)) from cause
