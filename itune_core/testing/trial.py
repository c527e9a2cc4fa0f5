"""A trial: one execution of a component, by the engine's own stage function, on a bench."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from itune_core.api.components import Component
from itune_core.api.outcomes import Evaluation, Mix, TrainedModel
from itune_core.api.records import Kind, Record
from itune_core.engine import digest
from itune_core.engine.errors import RunError
from itune_core.engine.ledger import Ledger
from itune_core.engine.stages import EXECUTE, Job
from itune_core.engine.views import RECORDS, Base, View
from itune_core.engine.writing import RecordWriter
from itune_core.plugins.session import Session
from itune_core.testing.comparing import plain
from itune_core.testing.lending import LendingContext

STEP = "tried"
WHOLE = ""
"""Key of what a component says of all rows together."""


@dataclass(frozen=True)
class Trial:
    """What came of it.

    Attributes:
        folder: what the stage function wrote, as it stands in the store.
        outputs: the manifest's: digests by output.
        unbalanced: what is wrong with the books; None: they balance.
        answers: what the component said, as plain data, by input id (by "row N" for raw rows, from 0), or under
            :data:`WHOLE`.
        files: digest of every file in `folder` that is part of the result.
        inputs_changed: which of its inputs it changed, in words.
    """

    folder: Path
    outputs: Mapping[str, Any]
    unbalanced: RunError | None
    answers: Mapping[str, Any]
    files: Mapping[str, str]
    inputs_changed: Sequence[str]


def store(records: Sequence[Record], kind: Kind, folder: Path) -> View:
    """`records` as a step of a run is handed them: with ids, from a data set on disk."""
    import numpy as np

    folder.mkdir(parents=True)
    with RecordWriter(folder, kind, "samples") as writer:
        for record in records:
            writer.add(record)
        writer.finish()
    return View((Base(folder, kind),), np.arange(len(records)))


def run(
    component: Component,
    label: str,
    views: Mapping[str, list[View]],
    context: LendingContext,
    folder: Path,
    rows: Sequence[str] = (),
    wrappers: Sequence[object] = (),
) -> Trial:
    """Execute `component` once, as a run does.

    Args:
        component: settled.
        label: ``filters/length``.
        views: the rows of each input.
        context: the bench.
        folder: what is written; must not exist.
        rows: names of the raw rows that a formatter reads, in order.
        wrappers: extensions around it.

    Raises:
        Exception: whatever the component raises; RunError if it breaks its stage's contract.
    """
    folder.mkdir(parents=True)
    stage, _, name = label.partition("/")
    session = Session(stage, component, wrappers)
    said: list[Any] = []
    handed = {
        input_: [view.dataset for view in views[input_]] if spec.many else views[input_][0].dataset
        for input_, spec in component.inputs.items()
        if input_ in views
    }
    before = _fingerprints(component, handed)
    lent = dict(handed)

    def call() -> Any:
        arguments = {"context": context} if stage == "formatters" else {"context": context, "inputs": lent}
        result = session.call(**arguments)
        if isinstance(result, Mix):
            return replace(result, draws=_kept(iter(result.draws), said))
        return _kept(result, said) if isinstance(result, Iterator) else _keep(result, said)

    with Ledger(folder, STEP) as ledger:
        job = Job(
            step=STEP,
            label=label,
            source=name,
            component=component,
            kind=component.produces_for(component.config) or _only(next(iter(views.values()))[0].kinds),
            views=views,
            call=call,
            draft=folder,
            ledger=ledger,
            identity=lambda model: model,
            base=lambda model: {"identity": model},
            digest_model=digest.FileDigests(folder.with_suffix(".digests")).of_model,
        )
        made = EXECUTE[stage](job)
        unbalanced = _settle(ledger, made["inputs"])
    changed = [*context.changed]
    if lent.keys() != handed.keys() or any(lent[key] is not handed[key] for key in handed):
        changed.append("the mapping of inputs")
    after = _fingerprints(component, handed)
    changed += [what for what in before if before[what] != after[what]]
    return Trial(
        folder, made["outputs"], unbalanced, answers(stage, said, views, rows, made), contents(folder), changed
    )


def answers(
    stage: str, said: Sequence[Any], views: Mapping[str, list[View]], rows: Sequence[str], made: Mapping[str, Any]
) -> dict[str, Any]:
    """What was said, by what it was said of."""
    ids = list(next(iter(views.values()))[0].dataset["id"]) if views else []
    if stage in ("filters", "scorers"):
        return dict(zip(ids, map(plain, said), strict=True))
    found: dict[str, Any] = defaultdict(list)
    if stage == "formatters":
        names = dict(zip(dict.fromkeys(where for where, _ in said), rows, strict=False))
        for where, outcome in said:
            found[names.get(where, where)].append(plain(outcome))
    elif stage == "generators":
        for item, outcome in said:
            found[item].append(plain(outcome))
    elif stage == "mixers":
        found[WHOLE] = {"draws": plain(list(said)), "shares": made["mix"]}
    elif isinstance(said[0], Evaluation):
        for row in said[0].table:
            found[str(row["id"])].append(plain(row))
        for item, failure in said[0].failed.items():
            found[item].append(plain(failure))
        found[WHOLE] = plain(said[0].metrics)
    elif isinstance(said[0], TrainedModel):
        for item, verdict in said[0].dropped.items():
            found[item].append(plain(verdict))
        found[WHOLE] = {
            "model": made["outputs"]["model"]["digest"],
            "cut": plain(said[0].cut),
            "adapter_of": said[0].adapter_of,
            "architecture": said[0].architecture,
        }
    return dict(found)


def contents(folder: Path) -> dict[str, str]:
    """Digest of each file that is part of a result, by its place.

    Of record data sets the rows' digests stand for the files: `datasets` writes fingerprints of its own beside them. A
    trainer's history may tell times.
    """
    return {
        path.relative_to(folder).as_posix(): digest.of_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and RECORDS not in path.parts and path.name != "history.jsonl"
    }


def _kept(results: Iterator[Any], said: list[Any]) -> Iterator[Any]:
    for result in results:
        said.append(result)
        yield result


def _keep(result: Any, said: list[Any]) -> Any:
    """A result that is no iterator; a list is kept item by item, as an iterator is."""
    if isinstance(result, (list, tuple)):
        said.extend(result)
    else:
        said.append(result)
    return result


def _only(kinds: Sequence[Kind]) -> Kind | None:
    return kinds[0] if len(kinds) == 1 else None


def _settle(ledger: Ledger, inputs: int) -> RunError | None:
    try:
        ledger.settle(inputs, max_failed=1.0)
    except RunError as error:
        return error
    return None


def _fingerprints(component: Component, handed: Mapping[str, Any]) -> dict[str, Any]:
    """What must be the same afterwards: the settings; format, columns and values of the data sets."""
    found: dict[str, Any] = {"its own settings": component.config.model_dump()}
    for name, given in handed.items():
        for number, rows in enumerate(given if isinstance(given, list) else [given]):
            values = rows.with_format("arrow")[:].to_pylist()
            found[f"data set {number} of input {name!r}"] = (dict(rows.format), rows.column_names, values)
    return found
