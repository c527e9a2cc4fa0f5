"""Conformance of formatters."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from itune_core.api.records import Kind
from itune_core.testing.comparing import difference
from itune_core.testing.conformance.rows import RowsConformance
from itune_core.testing.lending import LendingContext
from itune_core.testing.trial import Trial
from itune_core.testing.tried import RowSubject
from itune_core.testing.verdict import fail

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
        return self.write(self.lines())

    def lines(self, positions: Sequence[int] | None = None) -> list[bytes]:
        """The rows at these positions as lines of a file."""
        rows = self.case.rows
        chosen = rows if positions is None else [rows[position] for position in positions]
        return [json.dumps(row, ensure_ascii=False).encode() for row in chosen]

    def write(self, lines: Sequence[bytes]) -> Path:
        folder = self.place("rows-raw")
        folder.mkdir(parents=True)
        path = folder / "rows.jsonl"
        path.write_bytes(b"".join(line + b"\n" for line in lines))
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
            changes = {**changes, "path": str(self.write(self.lines(positions)))}
        return self.attempt_on(ids, changes, context)

    def attempt_on(
        self, names: Sequence[str], changes: Mapping[str, Any], context: LendingContext | None = None
    ) -> Trial:
        """Try it with rows of these names, in order."""
        from itune_core.testing import trial

        bench = context or self.bench()
        return trial.run(self.make(changes), self.label, {}, bench, self.place("trial"), names)


class FormatterConformance(RowsConformance):
    """Tests of a formatter: each raw row becomes records, or stands in the ledger with its file and line.

    Attributes:
        rows: raw rows that become records, as mappings; they are written to a file of JSON lines, and `path` is set to
            it. A formatter that reads something else leaves them empty and says in `config` what to read; the tests
            that rearrange rows then have nothing to do.
    """

    stage = "formatters"
    subject_type = FormatterSubject

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
        if not subject.reads_files:
            return
        lost = [name for name in subject.ids if name not in subject.trial.answers]
        if lost or len(subject.trial.answers) != subject.size:
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
        if isinstance(subject, FormatterSubject) and subject.reads_files:
            super().test_no_rows_are_no_mishap(subject)

    def test_the_order_of_rows_matters_only_if_declared(self, subject: RowSubject) -> None:
        """With ``order = "free"`` a row becomes the same records wherever it stands in its file."""
        if isinstance(subject, FormatterSubject) and subject.reads_files:
            super().test_the_order_of_rows_matters_only_if_declared(subject)

    def test_other_rows_matter_only_if_declared(self, subject: RowSubject) -> None:
        """With ``scope = "row"`` a row becomes the same records whichever other rows are in the file."""
        if isinstance(subject, FormatterSubject) and subject.reads_files:
            super().test_other_rows_matter_only_if_declared(subject)

    def test_a_bad_row_fails_alone(self, subject: RowSubject) -> None:
        """Unreadable lines, missing, null and mistyped fields fail or are dropped, and no good row changes."""
        first = subject.trial
        if not isinstance(subject, FormatterSubject) or not subject.reads_files:
            return
        good, bad = subject.lines(), _bad_lines(self.rows[0])
        lines, names = [], []
        for number in range(max(len(good), len(bad))):
            for source, known in ((good, subject.ids), (list(bad.values()), list(bad))):
                if number < len(source):
                    lines.append(source[number])
                    names.append(known[number])
        changes = {"path": str(subject.write(lines))}
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
