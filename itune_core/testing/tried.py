"""The subject of a stage's conformance class: a component, and how it is tried on rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any

import pytest

from itune_core.api.components import Input
from itune_core.api.records import Kind, Record
from itune_core.testing import elsewhere
from itune_core.testing.elsewhere import Errand, Mishap
from itune_core.testing.lending import LendingContext
from itune_core.testing.sample_records import samples
from itune_core.testing.subject import SEED, Subject
from itune_core.testing.watch import Sandbox, package_stamps, stamps

if TYPE_CHECKING:
    from itune_core.engine.views import View
    from itune_core.testing.trial import Trial

PARTS = 3
"""Data sets that an input for many is given."""


class RowSubject(Subject):
    """A component of one of the seven stages.

    Attributes:
        files_changed: input files that its first trial changed.
    """

    files_changed: Sequence[str] = ()

    @property
    def stage(self) -> str:
        return self.entry.stage

    @property
    def first_input(self) -> Input:
        spec: Input = next(iter(self.loaded.inputs_for(self.configure()).values()))
        return spec

    @cached_property
    def kind(self) -> Kind:
        """Of the rows it is tried on."""
        rows = self.case.rows
        return rows[0].kind if rows else self.first_input.kinds[0]

    def records(self, kind: Kind) -> list[Record]:
        """The author's rows if they are of that kind, else the kit's."""
        rows = list(self.case.rows) if self.case.rows and kind == self.kind else samples(kind)
        return rows[: self.case.count]

    def view(self, kind: Kind) -> View:
        """Those rows with their ids and the author's columns, stored."""
        if kind not in self._views:
            import pyarrow as pa

            from itune_core.testing.trial import store

            rows = self.records(kind)
            columns = {
                name: pa.array(list(islice(cycle(values), len(rows)))) for name, values in self.case.columns.items()
            }
            self._views[kind] = store(rows, kind, self.place(f"rows-{kind}")).join(columns)
        return self._views[kind]

    @cached_property
    def _views(self) -> dict[Kind, View]:
        return {}

    @property
    def size(self) -> int:
        """How many rows it is tried on."""
        return len(self.view(self.kind))

    @property
    def ids(self) -> list[str]:
        """Names of the rows, in order, as answers name them."""
        return list(self.view(self.kind).dataset["id"])

    def inputs(self, positions: Sequence[int] | None, kind: Kind) -> dict[str, list[View]]:
        """What each needed input is handed: the rows at these positions; in parts where it takes several."""
        import numpy as np

        found = {}
        declared = self.loaded.inputs_for(self.configure())
        for name in self.loaded.needed_inputs():
            spec = declared[name]
            view = self.view(kind if kind in spec.kinds else spec.kinds[0])
            rows = np.arange(len(view)) if positions is None else np.array(positions, dtype=np.int64)
            found[name] = [view.select(part) for part in (np.array_split(rows, PARTS) if spec.many else [rows])]
        return found

    def attempt(
        self,
        positions: Sequence[int] | None = None,
        *,
        kind: Kind | None = None,
        changes: Mapping[str, Any] = {},
        context: LendingContext | None = None,
    ) -> Trial:
        """Try it once.

        Args:
            positions: numbers of the rows to give it, in order; None: all.
            kind: of the rows; None: :attr:`kind`.
            changes: settings that differ from the author's.
            context: the bench; None: a new one.
        """
        return self.execute(self.inputs(positions, kind or self.kind), changes, context)

    def execute(
        self,
        views: Mapping[str, list[View]],
        changes: Mapping[str, Any],
        context: LendingContext | None,
        rows: Sequence[str] = (),
    ) -> Trial:
        """One trial, in the sandbox."""
        from itune_core.testing import trial

        bench = context or self.bench()
        component = self.make(changes)
        _ = self._package  # as it was before the first trial
        with self.sandbox.entered():
            return trial.run(component, self.label, views, bench, self.place("trial"), rows)

    @cached_property
    def second(self) -> Trial:
        """The first trial again, in this process."""
        return self.attempt()

    def attempt_elsewhere(self) -> Trial | Mishap:
        """The first trial again, in another process."""
        views = {} if self.stage == "formatters" else self.inputs(None, self.kind)
        return elsewhere.attempt(
            Errand(
                self.loaded,
                getattr(self.make(), "config", None),
                self.label,
                views,
                self.place("trial"),
                self.ids if self.stage == "formatters" else (),
                self.bench_of_first.replies,
                self.models,
                self.case.rules,
                SEED,
                self.place("bench"),
                self.sandbox.folder,
            )
        )

    def bench(self, *, workers: int = 1, refused: tuple[str, int] | None = None) -> LendingContext:
        """A bench with the models that the component names."""
        return LendingContext(
            self.place("bench"),
            reply=self.reply,
            models=self.models,
            rules=self.case.rules,
            seed=SEED,
            workers=workers,
            refused=refused,
        )

    @cached_property
    def bench_of_first(self) -> LendingContext:
        """What the first trial was lent; knows afterwards what it asked and whether it used ``context.map``."""
        return self.bench()

    @cached_property
    def sandbox(self) -> Sandbox:
        return Sandbox(self.place("sandbox"))

    @cached_property
    def _package(self) -> Mapping[str, tuple[int, int]]:
        return package_stamps(self.loaded.__module__)

    @property
    def traces(self) -> list[str]:
        """Files that the trials until now left or changed where they should not."""
        now = package_stamps(self.loaded.__module__)
        own = [path for path in sorted(now.keys() | self._package.keys()) if now.get(path) != self._package.get(path)]
        return [*self.sandbox.found(), *own]

    @cached_property
    def _first(self) -> Trial | Exception:
        """The trial that the others are compared with."""
        with self._inputs_watched():
            try:
                return self.attempt(context=self.bench_of_first)
            # A component's code runs here and may raise anything; test_it_gives_what_its_stage_gives tells of it.
            except Exception as error:
                return error

    @contextmanager
    def _inputs_watched(self) -> Iterator[None]:
        folders = [path for path in self.folder.glob("*") if path.is_dir() and path != self.sandbox.folder]
        watched = [path for path in folders if "-rows" in path.name or "-config" in path.name]
        before = {path: stamps(path) for path in watched}
        yield
        self.files_changed = [
            f"{path.name}/{name}"
            for path in watched
            for name in sorted(before[path].keys() | stamps(path).keys())
            if before[path].get(name) != stamps(path).get(name)
        ]

    @property
    def mishap(self) -> Exception | None:
        """What the first trial raised."""
        return self._first if isinstance(self._first, Exception) else None

    @property
    def trial(self) -> Trial:
        if isinstance(self._first, Exception):
            pytest.skip("it gives no result: see test_it_gives_what_its_stage_gives")
        return self._first
