"""One family of errors. Each has a stable code and says what happened, where, why, and what to type next.

A code is ``E-<AREA>-<NNN>``: the area names the layer that owns it (RECIPE, PLUGIN, DATA, MODEL, STORE, RUN, ...), the
number never changes meaning once published. Each layer subclasses :class:`ItuneError` for what its callers treat
differently; ``docs/errors.md`` lists every code.
"""

from __future__ import annotations

from typing import ClassVar


class ItuneError(Exception):
    """The base of every error itune raises on purpose.

    Args:
        code: stable identifier, e.g. ``"E-RECIPE-017"``.
        what: what happened, one sentence.
        where: file and line, step, row or distribution it happened at.
        why: the cause, when it is not plain from `what`.
        fix: what to type or change next.
    """

    exit_code: ClassVar[int] = 4
    """What the command line ends with: 1 a check said no, 2 recipe wrong, 3 plugin problem, 4 a step failed."""

    def __init__(
        self, code: str, what: str, *, where: str | None = None, why: str | None = None, fix: str | None = None
    ) -> None:
        super().__init__(code, what)
        self.code, self.what, self.where, self.why, self.fix = code, what, where, why, fix

    def __str__(self) -> str:
        lines = [f"{self.code}: {self.what}"]
        for label, text in (("where", self.where), ("why", self.why), ("fix", self.fix)):
            if text:
                lines.append(f"  {label}: {text}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[object, ...]:
        """Errors cross process boundaries whole (workers raise them)."""
        return _rebuild, (type(self), self.code, self.what, self.where, self.why, self.fix)


def _rebuild(
    cls: type[ItuneError], code: str, what: str, where: str | None, why: str | None, fix: str | None
) -> ItuneError:
    return cls(code, what, where=where, why=why, fix=fix)


class RecipeError(ItuneError):
    """The recipe, or a value given on the command line, is wrong."""

    exit_code = 2


class PluginError(ItuneError):
    """A plugin cannot be found, is not allowed, cannot be imported, or breaks its contract."""

    exit_code = 3


class DataError(ItuneError):
    """Input data cannot be used at all (a file is missing, every row is bad); one bad row is a :class:`RowError`."""


class ModelError(ItuneError):
    """A model cannot be found, fetched, loaded or used as asked."""


class RowError(ItuneError):
    """One row or record is bad. Raised while handling a row, it is caught by the engine: the row goes to the ledger
    as failed, with this code and message, and the others go on.

    The short form ``RowError("no text in 'output'")`` takes the general code ``E-DATA-001``.

    Attributes:
        transient: whether the same may succeed at another time: a server was busy, say.
    """

    def __init__(
        self,
        what: str,
        code: str = "E-DATA-001",
        *,
        where: str | None = None,
        why: str | None = None,
        fix: str | None = None,
        transient: bool = False,
    ) -> None:
        super().__init__(code, what, where=where, why=why, fix=fix)
        self.transient = transient

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild_row, (self.what, self.code, self.where, self.why, self.fix, self.transient)


def _rebuild_row(
    what: str, code: str, where: str | None, why: str | None, fix: str | None, transient: bool
) -> RowError:
    return RowError(what, code, where=where, why=why, fix=fix, transient=transient)
