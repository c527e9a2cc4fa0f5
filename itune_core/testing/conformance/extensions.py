"""Conformance of extensions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from itune_core import __version__
from itune_core.api.components import Component, Inputs
from itune_core.api.context import Context
from itune_core.api.errors import DataError
from itune_core.api.hookspecs import STAGES, hookimpl
from itune_core.api.outcomes import Mix
from itune_core.plugins import session
from itune_core.plugins.catalog import CORE, Entry
from itune_core.plugins.contract import STAGE_BASES
from itune_core.plugins.policy import Policy
from itune_core.testing.comparing import difference
from itune_core.testing.conformance.component import Conformance, after_all_trials
from itune_core.testing.examples import EXAMPLES
from itune_core.testing.lending import LendingContext
from itune_core.testing.sample_records import QUESTIONS, samples
from itune_core.testing.subject import Subject
from itune_core.testing.verdict import does_not_apply, fail
from itune_core.testing.watch import Sandbox

if TYPE_CHECKING:
    from itune_core.engine.views import View
    from itune_core.testing.trial import Trial

RECIPE = """
itune: 1
name: kit
seed: 3
steps:
  lines: {uses: formatters/lines, with: {path: rows.jsonl}}
  echo:  {uses: generators/echo, from: lines}
  long:  {uses: filters/long, from: lines}
  size:  {uses: scorers/size, from: long}
  all:   {uses: mixers/all, from: [size, echo]}
  count: {uses: evaluators/count, from: all}
"""
"""A run of every stage but training."""


class ExtensionSubject(Subject):
    """An extension, with stages to wrap and runs to watch."""

    @property
    def wrapped(self) -> list[str]:
        """The stages it wraps, of those that the kit has an example of."""
        return [stage for stage in self.wrapped_stages if stage in EXAMPLES]

    @property
    def wrapped_stages(self) -> list[str]:
        """All stages it wraps."""
        return [stage for stage in STAGES if session.wraps(self.loaded, stage)]

    def needs_wrappers(self, stages: Sequence[str]) -> None:
        """End a test about wrappers where there are none."""
        if not stages:
            does_not_apply("it wraps no stage that the kit has an example of")

    def views(self, cls: type[Component]) -> dict[str, list[View]]:
        """Sample records for the first input of a component."""
        from itune_core.testing import trial

        found = {}
        for name, spec in islice(cls.inputs.items(), 1):
            view = trial.store(samples(spec.kinds[0]), spec.kinds[0], self.place("rows"))
            found[name] = [view, view] if spec.many else [view]
        return found

    def attempt(self, stage: str, *, wrapped: bool) -> Trial:
        """The kit's example of a stage, with the extension around it or without; in the sandbox."""
        from itune_core.testing import trial

        cls: Any = EXAMPLES[stage]
        rows: list[str] = []
        settings = {}
        if stage == "formatters":
            settings, rows = {"path": str(self.raw)}, [f"row {number}" for number in range(len(QUESTIONS))]
        views = self.views(cls)
        with self.sandbox.entered():
            return trial.run(
                cls(cls.Config(**settings)),
                f"{stage}/{cls.__name__.lower()}",
                views,
                LendingContext(self.place("bench")),
                self.place("trial"),
                rows,
                [self.make()] if wrapped else [],
            )

    def call_failing(self, stage: str, *, late: bool) -> list[Any]:
        """What it makes of a component that raises DataError, at once or while its results are read."""
        cls = _failing(stage, late)
        arguments: dict[str, Any] = {"context": LendingContext(self.place("bench"))}
        if stage != "formatters":
            arguments["inputs"] = {
                name: [view.dataset for view in views] if cls.inputs[name].many else views[0].dataset
                for name, views in self.views(cls).items()
            }
        with self.sandbox.entered():
            result = session.Session(stage, cls(None), [self.make()]).call(**arguments)
            return list(result) if isinstance(result, Iterable) else [result]

    @cached_property
    def raw(self) -> Path:
        """A file of raw rows; the same for all, because a ledger names it."""
        return self.write_rows(self.place("rows"))

    def write_rows(self, folder: Path) -> Path:
        """Raw rows for the example formatter; the last is bad."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "rows.jsonl"
        rows: list[Mapping[str, str]] = [{"question": row[2], "answer": row[3]} for row in QUESTIONS]
        rows[-1] = {"question": "Is there no answer?"}
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
        return path

    @cached_property
    def sandbox(self) -> Sandbox:
        return Sandbox(self.place("sandbox"))

    @cached_property
    def runs(self) -> tuple[list[str], list[Path]]:
        """Warnings and folders of two runs with one instance of it: the first makes all, the second finds it in the
        store."""
        from itune_core.engine.extensions import Extension
        from itune_core.engine.home import Home
        from itune_core.engine.project import Project
        from itune_core.engine.runner import run
        from itune_core.recipe.plan import compile

        folder = self.place("project")
        self.write_rows(folder)
        recipe = folder / "recipe.yaml"
        recipe.write_text(RECIPE, "utf-8")
        plan = compile(recipe, load=_example, overrides=("max_failed=0.5",), locked=False)
        warnings: list[str] = []
        folders: list[Path] = []

        def listen(event: Mapping[str, Any]) -> None:
            if event["event"] == "warning":
                warnings.append(event["text"])

        extension = Extension(self.entry, self.make())
        for _ in range(2):
            with self.sandbox.entered():
                outcome = run(Project(plan, Home(folder / ".itune"), True, (extension,)), listener=listen)
            folders.append(outcome.record.folder)
        return warnings, folders


class ExtensionConformance(Conformance):
    """Tests of an extension: its wrappers around plain components, its observers through whole runs.

    Attributes:
        changes: whether its wrappers change the results of plain components on purpose. A wrapper that only acts on
            some rows (those with an e-mail address, say) leaves the kit's rows alone and does not declare it.
    """

    stage = "extensions"
    subject_type = ExtensionSubject
    changes = False

    def test_its_wrappers_give_what_they_were_given(self, subject: ExtensionSubject) -> None:
        """Unless it declares that it changes results, they are the same with it and without; books balance anyway."""
        subject.needs_wrappers(subject.wrapped)
        for stage in subject.wrapped:
            bare, wrapped = subject.attempt(stage, wrapped=False), _wrapped(subject, stage)
            if wrapped.unbalanced is not None:
                fail(
                    f"around {stage} the books no longer balance: {wrapped.unbalanced.what}",
                    fix="give one answer for each that the wrapped component gave, in the same order",
                )
            changed = difference(dict(bare.answers), dict(wrapped.answers))
            if changed is not None and not self.changes:
                fail(
                    f"around {stage} it changes the result: {changed}",
                    fix="return what the yield gave; or, if that is its purpose, declare changes = True",
                )

    def test_its_wrappers_give_the_same_again(self, subject: ExtensionSubject) -> None:
        """Another instance with the same settings gives the same result: a wrapper is part of the artifact key."""
        subject.needs_wrappers(subject.wrapped)
        for stage in subject.wrapped:
            changed = difference(dict(_wrapped(subject, stage).files), dict(_wrapped(subject, stage).files))
            if changed is not None:
                fail(f"around {stage} the result is another each time: {changed}", fix="use no clock and no chance")

    def test_its_wrappers_let_errors_pass(self, subject: ExtensionSubject) -> None:
        """Around each stage: what the component raises, at once or while its rows are read, reaches the engine."""
        subject.needs_wrappers(subject.wrapped_stages)
        for stage in subject.wrapped_stages:
            for late in (False, True) if stage in LAZY else (False,):
                try:
                    said = subject.call_failing(stage, late=late)
                except DataError as error:
                    if error.code == "E-KIT-002":
                        continue
                    said = [error]
                # An extension's code runs here and may raise anything.
                except Exception as error:
                    said = [error]
                fail(
                    f"around {stage} it swallows the error of the component it wraps; the result is {said!r}",
                    fix="let exceptions pass through the yield and through the iterator you return",
                )

    def test_runs_go_through_with_it(self, subject: ExtensionSubject) -> None:
        """A run of every stage but training, and the same again from the store: none of its observers raises."""
        try:
            warnings, _ = subject.runs
        # An extension's code runs here and may raise anything.
        except Exception as error:
            fail(f"a run with it stopped: {type(error).__name__}: {error}", cause=error)
        if warnings:
            fail(
                f"an observer of it raised: {warnings[0]}",
                why="the run goes on, and what it watches for is lost",
                fix="expect steps that are reused, progress without a total, and several runs one after the other",
            )

    def test_its_notes_are_tables(self, subject: ExtensionSubject) -> None:
        """What it leaves for the report has a title, columns, and rows with as many cells."""
        for folder in subject.runs[1]:
            for path in sorted((folder / "notes").glob("*")):
                wrong = _wrong_note(path)
                if wrong:
                    fail(
                        f"notes/{path.name}: {wrong}",
                        fix='write {"title": text, "columns": [text], "rows": [[cell]]} to NAME.json',
                    )

    @after_all_trials
    def test_it_writes_to_the_run_folder_only(self, subject: ExtensionSubject) -> None:
        """In no trial anything in the working folder, the home folder or the temporary folder."""
        assert subject.runs
        found = subject.sandbox.found()
        if found:
            fail(f"it wrote {', '.join(found)}", fix="write below the folder that itune_run_started is given")


LAZY = ("formatters", "generators", "filters", "scorers", "mixers")
"""Stages whose results are read one by one, after the hook has returned."""


def _failing(stage: str, late: bool) -> type[Component]:
    """A component of a stage that raises when its hook is called or, `late`, when its results are read."""
    base, hook = STAGE_BASES[stage], STAGES[stage][1]

    def raises() -> Any:
        raise DataError("E-KIT-002", "the file cannot be read")

    def read() -> Iterator[Any]:
        yield from ()
        raises()

    def formats(self: Component, context: Context) -> Any:
        return read() if late else raises()

    def works(self: Component, inputs: Inputs, context: Context) -> Any:
        if not late:
            raises()
        return Mix(read()) if stage == "mixers" else read()

    method = formats if stage == "formatters" else works
    method.__name__ = hook
    return type(base.__name__, (base,), {hook: hookimpl(method), "__doc__": "Fails. Source: this package."})


def _wrapped(subject: ExtensionSubject, stage: str) -> Trial:
    try:
        return subject.attempt(stage, wrapped=True)
    # An extension's code runs here and may raise anything.
    except Exception as error:
        fail(f"around {stage} it raised {type(error).__name__}: {error}", fix="see the traceback", cause=error)


def _example(stage: str, name: str, policy: Policy) -> tuple[Entry, type[Component]]:
    """The kit's example of a stage, for :func:`itune_core.recipe.plan.compile`."""
    cls = EXAMPLES[stage]
    return Entry(stage, name, f"{cls.__module__}:{cls.__name__}", CORE, __version__, ""), cls


def _wrong_note(path: Path) -> str | None:
    if path.suffix != ".json":
        return "it is no .json file"
    try:
        note = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        return f"it is not JSON: {error}"
    if not isinstance(note, dict) or note.keys() != {"title", "columns", "rows"}:
        return "it is not an object of title, columns and rows"
    if any(len(row) != len(note["columns"]) for row in note["rows"]):
        return "a row has another number of cells than there are columns"
    return None
