"""How a test of the kit ends otherwise than well: it fails, or it does not apply to the component."""

from __future__ import annotations

from typing import NoReturn

import pytest


class DoesNotApply(pytest.skip.Exception):  # type: ignore[name-defined,misc]  # pytest tells mypy too little of it
    """A test has nothing to ask of this component.

    A skip to whoever does not know it. The kit's pytest plugin counts it apart, as "not applicable": a skipped test
    should have run, this one should not.
    """


def does_not_apply(reason: str) -> NoReturn:
    """End the test: it neither passed nor should it have run.

    Args:
        reason: what of the component makes it so; shown at the end of the session.
    """
    raise DoesNotApply(reason)


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
