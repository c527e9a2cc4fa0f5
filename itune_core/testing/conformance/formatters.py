"""Conformance of formatters."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import pytest

from itune_core.api.records import Kind
from itune_core.testing.comparing import difference
from itune_core.testing.conformance.rows import RowsConformance
from itune_core.testing.lending import LendingContext
from itune_core.testing.trial import Trial
from itune_core.testing.tried import RowSubject
from itune_core.testing.verdict import does_not_apply, fail

UNREADABLE = {
    "a line that breaks off": b'{"a": "b',
    "a list": b"[1, 2]",
    "a NUL byte": b'{"a": "\x00"}',
    "not UTF-8": b'{"a": "\xff"}',
}


class FormatterSubject(RowSubject):
    """A formatter: its rows are written to a file, whose path becomes its setting `path`."""

    @cached_property
    def reads_files(self) -> bool:
        return bool(self.case.rows) and "path" in self.loaded.Config.model_fields

    def needs_rows(self) -> None:
        """End a test that needs to know the rows of its files where the kit does not."""
        if not self.reads_files:
            does_not_apply("the kit has no rows of it to rearrange: give `rows`, and `write` if it reads no JSON lines")

    def needs_all_rows(self) -> None:
        """End a test that tells rows by their number where some are lost."""
        self.needs_rows()
        if self.loses_rows:
            pytest.skip("see test_no_row_vanishes: which row is which cannot be told")

    @property
    def loses_rows(self) -> bool:
        return self.trial.answers.keys() != set(self.ids)

    @property
    def kind(self) -> Kind:
        kind: Kind = self.loaded.produces
        return kind

    @property
    def size(self) -> int:
        return len(self.case.rows)

    @property
    def ids(self) -> list[str]:
        return [f"row {number}" for number in range(self.size)]

    def configure(self, changes: Mapping[str, Any] = {}) -> Any:
        path = {"path": str(self._all)} if self.reads_files else {}
        return super().configure({**path, **changes})

    @cached_property
    def _all(self) -> Path:
        return self.write(self.case.rows)

    @cached_property
    def bad(self) -> dict[str, Any]:
        """Rows of which no record can be made, by what is wrong with them: the author's and, of JSON lines, the kit's.

        The kit's are text, because some are not JSON.
        """
        own = {f"bad_rows[{number}]": row for number, row in enumerate(self.case.bad_rows)}
        return own if self._written else {**_bad_lines(self.case.rows[0]), **own}

    @property
    def _written(self) -> bool:
        """Whether the author writes the files."""
        return type(self.case).write is not FormatterConformance.write

    def write(self, rows: Sequence[Any]) -> Path:
        """A new file of these rows."""
        folder = self.place("rows-raw")
        folder.mkdir(parents=True)
        path: Path = folder / self.case.file
        self.case.write(rows, path)
        return path

    def attempt(
        self,
        positions: Sequence[int] | None = None,
        *,
        kind: Kind | None = None,
        changes: Mapping[str, Any] = {},
        context: LendingContext | None = None,
    ) -> Trial:
        ids = self.ids if positions is None else [self.ids[position] for position in positions]
        if positions is not None and self.reads_files:
            rows = [self.case.rows[position] for position in positions]
            changes = {**changes, "path": str(self.write(rows))}
        return self.attempt_on(ids, changes, context)

    def attempt_on(
        self, names: Sequence[str], changes: Mapping[str, Any], context: LendingContext | None = None
    ) -> Trial:
        """Try it with rows of these names, in order."""
        return self.execute({}, changes, context, names)


class FormatterConformance(RowsConformance):
    """Tests of a formatter: each raw row becomes records, or stands in the ledger with its file and line.

    Attributes:
        rows: raw rows that become records; they are written to a file, and `path` is set to it. Mappings, if the file
            is of JSON lines; else whatever :meth:`write` writes. A formatter that reads no file leaves them empty and
            says in `config` what to read; the tests that rearrange rows then do not apply.
        bad_rows: more of them, of each of which no record can be made. Of JSON lines the kit has its own as well.
        file: name of the file.
    """

    stage = "formatters"
    subject_type = FormatterSubject
    bad_rows: Sequence[Any] = ()
    file: ClassVar[str] = "rows.jsonl"

    def write(self, rows: Sequence[Any], path: Path) -> None:
        """Write rows to a new file, in order. Override it for what is not JSON lines, and give `bad_rows`.

        Args:
            rows: any of `rows` and `bad_rows`, in any order; none at all, too.
            path: the file, in an empty folder.
        """
        lines = [row if isinstance(row, bytes) else json.dumps(row, ensure_ascii=False).encode() for row in rows]
        path.write_bytes(b"".join(line + b"\n" for line in lines))

    def test_rows_are_given(self, subject: FormatterSubject) -> None:
        """The kit cannot know what a formatter reads."""
        if not self.rows and "path" in subject.loaded.Config.model_fields and "path" not in subject.settings:
            fail("it is told no rows", fix="rows = [{...}, {...}, {...}], raw rows as its files hold them")

    def test_it_makes_something(self, subject: FormatterSubject) -> None:
        """Of the author's rows at least one becomes a record."""
        if not any("kind" in outcome for outcomes in subject.trial.answers.values() for outcome in outcomes):
            fail("it made no record of any row", fix="give `rows` as its files hold them")

    def test_no_row_vanishes(self, subject: FormatterSubject) -> None:
        """Each raw row becomes records, is dropped or fails; an empty list of records loses it without a word."""
        subject.needs_rows()
        if subject.loses_rows:
            fail(
                f"of {subject.size} rows {len(subject.trial.answers)} are accounted for",
                fix='give Drop("reason") for a row that is left out, never an empty list',
            )

    def test_it_takes_every_kind_it_declares(self, subject: RowSubject) -> None:
        """A formatter has no inputs; it declares the kind it makes."""
        if subject.loaded.produces is None:
            fail("it does not say what kind of record it makes", fix="produces = Kind.CONVERSATION, say")

    def test_no_rows_are_no_mishap(self, subject: RowSubject) -> None:
        """An empty file gives no records, or an error that says what to do."""
        assert isinstance(subject, FormatterSubject)
        subject.needs_rows()
        super().test_no_rows_are_no_mishap(subject)

    def test_the_order_of_rows_matters_only_if_declared(self, subject: RowSubject) -> None:
        """With ``order = "free"`` a row becomes the same records wherever it stands in its file."""
        assert isinstance(subject, FormatterSubject)
        subject.needs_all_rows()
        super().test_the_order_of_rows_matters_only_if_declared(subject)

    def test_other_rows_matter_only_if_declared(self, subject: RowSubject) -> None:
        """With ``scope = "row"`` a row becomes the same records whichever other rows are in the file."""
        assert isinstance(subject, FormatterSubject)
        subject.needs_all_rows()
        super().test_other_rows_matter_only_if_declared(subject)

    def test_a_bad_row_fails_alone(self, subject: RowSubject) -> None:
        """Unreadable lines, missing, null and mistyped fields fail or are dropped, and no good row changes.

        Of files that the author writes, the author's `bad_rows`.
        """
        first = subject.trial
        assert isinstance(subject, FormatterSubject)
        subject.needs_all_rows()
        good, bad = list(self.rows), subject.bad
        if not bad:
            fail("no row is told of which no record can be made", fix="bad_rows = [...], as write() takes them")
        rows, names = [], []
        for number in range(max(len(good), len(bad))):
            for source, known in ((good, subject.ids), (list(bad.values()), list(bad))):
                if number < len(source):
                    rows.append(source[number])
                    names.append(known[number])
        changes = {"path": str(subject.write(rows))}
        try:
            hurt = subject.attempt_on(names, changes)
        # A component's code runs here and may raise anything.
        except Exception as error:
            fail(
                f"one bad row stopped the whole step: {type(error).__name__}: {error}",
                why=f"the file has {', '.join(bad)} among good rows",
                fix="read fields with row.text(...), or raise RowError: the row then fails alone",
                cause=error,
            )
        for name in bad:
            said = hurt.answers.get(name)
            if not said:
                fail(
                    f"it swallows a bad row: {name} vanished without a trace",
                    why="a row that is neither used, dropped nor failed is lost without a word",
                    fix="raise RowError, or give Drop with a reason",
                )
            if any("kind" in outcome for outcome in said):
                fail(
                    f"it made a record of a bad row: {name}",
                    why="no default stands in for what is missing",
                    fix="read fields with row.text(...), which refuses what is not there or not text",
                )
        for name in subject.ids:
            changed = difference(first.answers[name], hurt.answers.get(name), self.numeric, name)
            if changed is not None:
                fail(f"a bad row changes what becomes of another: {changed}", fix="handle each row alone")


def _bad_lines(row: Mapping[str, Any]) -> dict[str, bytes]:
    """Lines of which no record can be made, by what is wrong with them."""
    return {
        **UNREADABLE,
        "a row without fields": b"{}",
        "a row of nulls": json.dumps(dict.fromkeys(row)).encode(),
        "a row of wrong types": json.dumps({field: [{"itune": None}] for field in row}).encode(),
    }
