"""Executes a plan: finds each step's artifact or makes it, in order, and keeps the record of the run."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from itune_core.api.errors import ItuneError
from itune_core.api.outcomes import Mix
from itune_core.api.randomness import derive_seed
from itune_core.api.records import spelt
from itune_core.engine import handing
from itune_core.engine.context import StepContext
from itune_core.engine.environment import environment
from itune_core.engine.errors import RunError
from itune_core.engine.events import Events, Listener
from itune_core.engine.journal import Journal
from itune_core.engine.ledger import NAME as LEDGER
from itune_core.engine.ledger import Ledger
from itune_core.engine.memory import release, spare_imports
from itune_core.engine.presence import at_work, present
from itune_core.engine.project import Project
from itune_core.engine.runs import RunRecord, now, saved_node
from itune_core.engine.serving import Serving
from itune_core.engine.stages import EXECUTE, Job
from itune_core.engine.store import Artifact, write_manifest
from itune_core.engine.views import View
from itune_core.plugins.session import Observers, Session
from itune_core.recipe.plan import Plan, StepNode


@dataclass(frozen=True)
class Options:
    """How to run; none of it changes what comes out.

    Attributes:
        only: steps to execute (with what they need); empty: all.
        workers: processes for per-row work.
        own_process: nothing else goes on in this process, so its garbage collector may be told what to leave alone.
    """

    only: Sequence[str] = ()
    workers: int = 1
    own_process: bool = False


@dataclass
class Outcome:
    """What a run did.

    Attributes:
        record: the run's record, as written.
        artifacts: by node name.
    """

    record: RunRecord
    artifacts: Mapping[str, Artifact] = field(default_factory=dict)


def run(project: Project, options: Options = Options(), listener: Listener | None = None) -> Outcome:
    """Execute a project's plan.

    Args:
        project: the plan on this machine.
        options: how.
        listener: shown every event.

    Raises:
        ItuneError: a step failed; the run's record says which, and what was made before stays in the store.
    """
    with at_work(project.home):
        record = RunRecord.begin(project.home, project.plan, [one.entry for one in project.extensions])
        with present(record.folder):
            return _run(record, project, options, listener)


def _run(record: RunRecord, project: Project, options: Options, listener: Listener | None) -> Outcome:
    events = Events(record.folder / "events.jsonl", listener)
    observers = Observers(
        [extension.instance for extension in project.extensions], lambda sentence: events.say("warning", text=sentence)
    )
    journal = Journal(project.home.journal)
    execution = _Execution(project, options, record, events, observers, journal)
    error: str | None = "interrupted"
    try:
        events.say("run started", run=record.name, recipe=str(project.plan.file))
        observers.run_started(run=record.name, recipe=str(project.plan.file), folder=record.folder)
        for node in _wanted(project.plan, options.only):
            execution.step(node)
        error = None
    except ItuneError as failure:
        error = str(failure)
        raise
    finally:
        journal.close()
        project.digests.save()
        record.end(error)
        observers.run_finished(run=record.name, error=error)
        events.say("run finished", run=record.name, error=error)
        events.close()
    return Outcome(record, dict(project.artifacts))


@dataclass(frozen=True)
class _Execution:
    """A run while it runs: what every step needs."""

    project: Project
    options: Options
    record: RunRecord
    events: Events
    observers: Observers
    journal: Journal

    def step(self, node: StepNode) -> None:
        """Take the node's artifact from the store, or make it; note it either way."""
        found = self.project.find(node)
        if found is None:
            raise RunError("E-RUN-002", f"step {node.name} depends on one that was not made")
        key, parts = found
        artifact = self.project.artifacts.get(node.name)
        began, reused = time.monotonic(), True
        if artifact is None:
            with self.project.store.making(key) as scratch:
                artifact = self.project.store.get(key)  # another run may have made it while we waited
                if artifact is None:
                    reused = False
                    self.events.say("step started", step=node.name, component=node.entry.label, key=key)
                    self.observers.step_started(step=node.name, component=node.entry.label, key=key)
                    artifact = self._make(node, key, parts, scratch)
            self.project.artifacts[node.name] = artifact
        seconds = time.monotonic() - began
        identities = {name: self.project.identity(name) for name in node.models}
        self.record.step(saved_node(node, artifact, identities, reused=reused, seconds=seconds))
        manifest = {**artifact.manifest, "reused": reused}
        self.observers.step_finished(step=node.name, component=node.entry.label, key=key, manifest=manifest)
        self.events.say("step finished", step=node.name, key=key, reused=reused, seconds=round(seconds, 3))

    def _make(self, node: StepNode, key: str, parts: Mapping[str, Any], scratch: Path) -> Artifact:
        """Execute a step and publish what it leaves."""
        if self.options.own_process:
            spare_imports()
        project = self.project
        views = {name: project.flow.input(node.name, name) for name in node.inputs}
        serving = Serving(
            project.served,
            self.journal,
            lambda *place: derive_seed(node.seed, node.entry.label, *place),
            lambda sentence: self.events.say("warning", text=sentence),
        )
        context = handing.context(
            project,
            node,
            scratch,
            serving,
            workers=self.options.workers,
            report=lambda done, total, figures: self._progressed(node.name, done, total, figures),
        )
        began, processor = time.time(), time.process_time()
        with project.store.draft(key) as draft, Ledger(draft, node.name) as ledger:
            job = Job(
                step=node.step,
                label=node.entry.label,
                source=node.entry.name,
                component=project.component(node),
                kind=node.kind,
                views=views,
                call=self._caller(node, views, context),
                draft=draft,
                ledger=ledger,
                identity=project.identity,
                base=project.base_pointer,
                digest_model=project.digests.of_model,
            )
            try:
                made = EXECUTE[node.stage](job)
                counts = ledger.settle(made.pop("inputs"), node.max_failed)
            except ItuneError:
                ledger.flush()
                self._keep_ledger(node, draft)
                raise
            finally:
                serving.close()
                if serving.asked or node.stage == "trainers":
                    release()
            manifest = {
                "key": key,
                "parts": parts,
                "stage": node.stage,
                "component": node.entry.label,
                "kind": spelt(node.kinds) or None,
                **made,
                "counts": counts,
                "requests": {"asked": serving.asked, "recalled": serving.recalled},
                "created": now(),
                "seconds": round(time.time() - began, 3),
                "cpu_seconds": round(time.process_time() - processor, 3),
                "environment": environment(),
            }
            write_manifest(draft, manifest)
        published = project.store.get(key)
        if published is None:
            raise RunError("E-RUN-003", "the artifact vanished after it was published", where=str(project.store.root))
        return published

    def _progressed(self, step: str, done: int, total: int | None, figures: Mapping[str, float]) -> None:
        self.events.progress(step, done, total, figures)
        self.observers.step_progressed(step=step, done=done, total=total, figures=figures)

    def _caller(self, node: StepNode, views: Mapping[str, list[View]], context: StepContext) -> Callable[[], Any]:
        """The call of a step's hook; what it raises, then or while its result is read, becomes an error of the run."""
        wrappers = [extension.instance for extension in self.project.extensions if extension.wraps(node.stage)]
        session = Session(node.stage, self.project.component(node), wrappers)

        def call() -> Any:
            arguments: dict[str, Any] = {"context": context}
            if node.stage != "formatters":
                arguments["inputs"] = handing.inputs(node, views)
            with _foreign(node):
                result = session.call(**arguments)
            if isinstance(result, Mix):
                return replace(result, draws=_watched(result.draws, node))
            return _watched(result, node) if isinstance(result, Iterator) else result

        return call

    def _keep_ledger(self, node: StepNode, draft: Path) -> None:
        """A failed step leaves no artifact; why its rows failed stays with the run."""
        kept = self.record.folder / "failed" / node.name
        kept.mkdir(parents=True, exist_ok=True)
        shutil.copy(draft / LEDGER, kept / LEDGER)


def _wanted(plan: Plan, only: Sequence[str]) -> list[StepNode]:
    """The nodes to execute, in order: those asked for and what they depend on."""
    if not only:
        return list(plan.nodes.values())
    wanted: set[str] = set()
    queue = [node.name for node in plan.nodes.values() if node.name in only or node.step in only]
    missing = [name for name in only if name not in plan.nodes and all(n.step != name for n in plan.nodes.values())]
    if missing:
        raise RunError("E-RUN-001", f"no step {missing[0]!r}", fix=f"steps: {', '.join(plan.nodes)}")
    while queue:
        node = plan.nodes[queue.pop()]
        if node.name not in wanted:
            wanted.add(node.name)
            queue += [feed.node for feeds in node.inputs.values() for feed in feeds]
            queue += [name for name in (*node.models, *node.steps) if name in plan.nodes]
    return [node for node in plan.nodes.values() if node.name in wanted]


def _watched(results: Iterable[Any], node: StepNode) -> Iterator[Any]:
    with _foreign(node):
        yield from results


@contextmanager
def _foreign(node: StepNode) -> Iterator[None]:
    """A component's code runs here: it may raise anything, and this is the one boundary where that is caught."""
    try:
        yield
    except (ItuneError, GeneratorExit):
        raise
    except Exception as error:
        raise RunError(
            "E-RUN-004",
            f"{node.entry.label} raised {type(error).__name__}: {error}",
            where=f"step {node.name}",
            why="this is not an error of the data, which a component reports as RowError",
            fix="run with --traceback and report it to the plugin's author",
        ) from error
