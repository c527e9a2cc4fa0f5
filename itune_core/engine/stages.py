"""What each stage's result becomes in the store. One function a stage: checks the contract, keeps the books, writes.

A function is handed a :class:`Job` and fills the draft folder. It returns the manifest entries that are particular to
the stage: ``outputs`` (with digests), and what else describes the artifact.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from itune_core.api.components import Component, Mixer, Scorer
from itune_core.api.outcomes import Created, Drop, Evaluation, Failed, Keep, Mix, Rejected, TrainedModel, Used
from itune_core.api.records import Kind, Record
from itune_core.engine import digest, mixing
from itune_core.engine.errors import RunError
from itune_core.engine.flow import COLUMNS, DRAWS, MASK
from itune_core.engine.ledger import Ledger
from itune_core.engine.views import View, column_digest
from itune_core.engine.writing import RecordWriter, Unfit, record_id

DROPPED, FAILED = 254, 255
"""Marks in a filter's mask; smaller numbers are outputs."""


@dataclass(frozen=True)
class Job:
    """A step being executed.

    Attributes:
        step: the step's name in the recipe, after which score columns are called.
        label: the component, ``filters/length``.
        source: source name of records that have none.
        component: with its settled config.
        kind: of the records it makes; None: it makes none, or does not say.
        views: the rows of each input.
        call: calls the stage's hook on the loaded inputs and refuses None.
        draft: the folder to fill.
        ledger: the books.
        identity: identity of a model by its name in the recipe.
        base: for an adapter on the model of that name: what to write in the manifest to find the base again.
        digest_model: digest of a saved model's folder.
    """

    step: str
    label: str
    source: str
    component: Component
    kind: Kind | None
    views: Mapping[str, list[View]]
    call: Callable[[], Any]
    draft: Path
    ledger: Ledger
    identity: Callable[[str], str]
    base: Callable[[str], Mapping[str, Any]]
    digest_model: Callable[[Path], str]

    @property
    def rows(self) -> View:
        """The rows of the first input."""
        return next(iter(self.views.values()))[0]

    def broken(self, what: str) -> RunError:
        """The component broke its stage's contract."""
        return RunError(
            "E-RUN-012", f"{self.label} {what}", where=f"step {self.step}", fix="report it to the plugin's author"
        )


def _ids(view: View) -> list[str]:
    batches = view.dataset.select_columns("id").with_format("arrow").iter(batch_size=10_000)
    return [item for batch in batches for item in batch["id"].to_pylist()]


@contextmanager
def _writer(job: Job) -> Iterator[RecordWriter]:
    if job.kind is None:
        raise job.broken("makes records but declares no kind")
    try:
        with RecordWriter(job.draft, job.kind, job.source) as writer:
            yield writer
    except Unfit as error:
        raise job.broken(f"gave a record that was not made by the builder of its kind: {error}") from error


def _check_kind(job: Job, record: Record) -> Record:
    if not isinstance(record, Record) or record.kind != job.kind:
        raise job.broken(f"gave {record!r}, which is not a {job.kind} record")
    return record


def formatters(job: Job) -> dict[str, Any]:
    """Records and failures by file and line. The inputs in the books are raw rows."""
    inputs = 0
    last: str | None = None
    verdict: str | None = None
    with _writer(job) as writer:
        for where, outcome in job.call():
            if where != last:
                job.ledger.used += verdict == "used"
                inputs, last, verdict = inputs + 1, where, None
            if isinstance(outcome, (Record, Used)):
                if verdict == "refused":
                    raise job.broken(f"gave both records and a refusal for {where}")
                verdict = "used"
                if isinstance(outcome, Record):
                    writer.add(_check_kind(job, outcome))
                else:
                    job.ledger.remark(where, outcome.reason, outcome.detail)
            elif isinstance(outcome, (Drop, Failed)):
                if verdict is not None:
                    raise job.broken(f"gave both records and a refusal for {where}")
                verdict = "refused"
                job.ledger.note(where, outcome)
            else:
                raise job.broken(f"gave a {type(outcome).__name__} for {where}")
        job.ledger.used += verdict == "used"
        found = writer.finish()
    return {"inputs": inputs, "outputs": {"records": {"digest": found, "rows": writer.count}}}


def generators(job: Job) -> dict[str, Any]:
    """Created records, each naming its parents: an input that one of them names is used. A failure makes the whole
    input failed; what it made before stays."""
    known = set(_ids(job.rows))  # a record that a mixer drew twice is one record
    verdicts: dict[str, Created | Drop | Failed] = {}
    rejected: set[str] = set()  # inputs of which something was
    with _writer(job) as writer:
        lineage = _Lineage(job)
        for item, outcome in job.call():
            if isinstance(outcome, Created):
                parents = lineage.parents(item, outcome)
                record = _check_kind(job, outcome.record).replace(parents=parents)
                lineage.add(outcome, writer.add(record))
                for used in (item, *known.intersection(parents)):
                    if not isinstance(verdicts.get(used), Failed):
                        verdicts[used] = outcome
            elif isinstance(outcome, Rejected):
                rejected.add(item)
                job.ledger.reject(item, outcome)
            elif isinstance(outcome, (Drop, Failed)):
                if isinstance(outcome, Failed) or item not in verdicts:
                    verdicts[item] = outcome
            else:
                raise job.broken(f"gave a {type(outcome).__name__} for {item}")
        found = writer.finish()
    unknown = (verdicts.keys() | rejected) - known
    if unknown:
        raise job.broken(f"answered for records it was not given: {sorted(unknown)[:3]}")
    for item, verdict in verdicts.items():
        if isinstance(verdict, Created):
            job.ledger.used += 1
        else:
            job.ledger.note(item, verdict)
    job.ledger.created = writer.count
    return {"inputs": len(known), "outputs": {"records": {"digest": found, "rows": writer.count}}}


class _Lineage:
    """The ids of created records, for those that are made from them."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._item: str | None = None
        self._made: dict[int, tuple[Created, str]] = {}  # of this item; the object is held so that its id() stays its
        self._seen: Counter[bytes] = Counter()

    def parents(self, item: str, created: Created) -> list[str]:
        """The ids of the parents of a record made of `item`; of `item` itself if it names none."""
        if item != self._item:
            self._item, self._made = item, {}
        found = []
        for parent in created.parents or [item]:
            if isinstance(parent, Created):
                if id(parent) not in self._made:
                    raise self._job.broken(f"names as a parent what it did not give before of {item}")
                parent = self._made[id(parent)][1]
            found.append(parent)
        return found

    def add(self, created: Created, content: bytes) -> None:
        """`created` was written, with a content of this digest."""
        self._made[id(created)] = created, record_id(content, self._seen[content])
        self._seen[content] += 1


def filters(job: Job) -> dict[str, Any]:
    """A mask: for each row the number of its output, dropped or failed."""
    import numpy as np

    outputs = list(job.component.outputs)
    ids = _ids(job.rows)
    mask = np.full(len(ids), FAILED, dtype=np.uint8)
    for position, (item, verdict) in enumerate(_aligned(job, ids)):
        if isinstance(verdict, Keep):
            name = verdict.output or outputs[0]
            if name not in outputs:
                raise job.broken(f"keeps {item} in {name!r}, which is not one of its outputs {outputs}")
            mask[position] = outputs.index(name)
            job.ledger.used += 1
        elif isinstance(verdict, (Drop, Failed)):
            mask[position] = DROPPED if isinstance(verdict, Drop) else FAILED
            job.ledger.note(item, verdict)
        else:
            raise job.broken(f"gave a {type(verdict).__name__} for {item}")
    np.save(job.draft / MASK, mask, allow_pickle=False)
    published = {
        name: {"number": number, **_published(job.rows.select(np.flatnonzero(mask == number)))}
        for number, name in enumerate(outputs)
    }
    return {"inputs": len(ids), "outputs": published}


def scorers(job: Job) -> dict[str, Any]:
    """Columns aligned to the rows; a failed row's values are null."""
    import pyarrow as pa

    component = job.component
    if not isinstance(component, Scorer):
        raise job.broken("is not a Scorer")
    ids = _ids(job.rows)
    types = component.columns_for(component.config)
    values: dict[str, list[Any]] = {part: [] for part in types}
    for item, scored in _aligned(job, ids):
        row = scored if isinstance(scored, Failed) else _score(job, item, scored, types)
        if isinstance(row, Failed):
            job.ledger.fail(item, row)
        else:
            job.ledger.used += 1
        for part, column in values.items():
            column.append(None if isinstance(row, Failed) else row[part])
    columns = {}
    for part, column in values.items():
        name = f"score.{job.step}.{part}" if part else f"score.{job.step}"
        try:
            columns[name] = pa.array(column, type=getattr(pa, types[part])())
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise job.broken(f"gave a value that is no {types[part]} for {part!r}: {error}") from error
    table = pa.table(columns)
    with pa.OSFile(str(job.draft / COLUMNS), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return {"inputs": len(ids), "outputs": {"records": _published(job.rows.join(columns))}}


def _score(job: Job, item: str, scored: Any, types: Mapping[str, str]) -> Mapping[str, Any] | Failed:
    if not isinstance(scored, Mapping) or scored.keys() != types.keys():
        raise job.broken(f"scored {item} with {scored!r}; it declares the columns {sorted(types)}")
    for part, value in scored.items():
        if isinstance(value, float) and not math.isfinite(value):
            return Failed("E-RUN-013", f"the score {part!r} is {value}")
    return scored


def mixers(job: Job) -> dict[str, Any]:
    """Draws: (data set, row, phase, epoch) in training order. Rows that were never drawn are counted."""
    import numpy as np

    component = job.component
    if not isinstance(component, Mixer):
        raise job.broken("is not a Mixer")
    inputs = [name for name in component.drawn_from() if name in job.views]
    views = [view for name in inputs for view in job.views[name]]
    sizes = [len(view) for view in views]
    mix = job.call()
    if not isinstance(mix, Mix):
        raise job.broken(f"gave a {type(mix).__name__} in place of a Mix")
    table = mixing.read_draws(mix.draws, sizes, job.broken)
    np.save(job.draft / DRAWS, table, allow_pickle=False)
    seen = np.zeros(sum(sizes), bool)
    seen[mixing.places(table, sizes)] = True
    job.ledger.used = int(seen.sum())
    job.ledger.not_drawn = len(seen) - job.ledger.used
    return {
        "inputs": sum(sizes),
        "outputs": {"records": _published(mixing.mixed(views, table))},
        "drawn_from": inputs,
        "mix": mixing.tally(table, sizes, mix, job.broken),
    }


def trainers(job: Job) -> dict[str, Any]:
    """A model's folder, its history and final figures."""
    ids = set(_ids(job.rows))
    trained = job.call()
    if not isinstance(trained, TrainedModel):
        raise job.broken(f"gave a {type(trained).__name__} in place of a TrainedModel")
    for item, verdict in trained.dropped.items():
        job.ledger.note(item, verdict)
    for item, tokens in trained.cut.items():
        job.ledger.remark(item, "truncated", f"{tokens} tokens were cut off")
    unknown = (trained.dropped.keys() | trained.cut.keys()) - ids
    if unknown:
        raise job.broken(f"speaks of records it was not given: {sorted(unknown)[:3]}")
    job.ledger.used = len(ids) - len(trained.dropped)
    target = job.draft / "model"
    trained.folder.rename(target)
    if not list(target.rglob("*.safetensors")):
        raise job.broken("left no safetensors file")
    with (job.draft / "history.jsonl").open("w", encoding="utf-8") as stream:
        stream.writelines(json.dumps(line) + "\n" for line in trained.history)
    base = job.base(trained.adapter_of) if trained.adapter_of is not None else None
    identity = digest.of_value([job.digest_model(target), base["identity"] if base else None])
    return {
        "inputs": len(ids),
        "outputs": {"model": {"digest": identity}},
        "architecture": trained.architecture,
        "base": base,
        "metrics": dict(trained.metrics),
    }


def evaluators(job: Job) -> dict[str, Any]:
    """Figures by model identity, and the table they come from."""
    ids = set(_ids(job.rows))  # a record that a mixer drew twice is one record
    measured = job.call()
    if not isinstance(measured, Evaluation):
        raise job.broken(f"gave a {type(measured).__name__} in place of an Evaluation")
    unknown = measured.failed.keys() - ids
    if unknown:
        raise job.broken(f"speaks of records it was not given: {sorted(unknown)[:3]}")
    for item, failure in measured.failed.items():
        job.ledger.fail(item, failure)
    job.ledger.used = len(ids) - len(measured.failed)
    metrics = {job.identity(name) if name else "": dict(figures) for name, figures in measured.metrics.items()}
    for figures in metrics.values():
        for name, value in figures.items():
            if not math.isfinite(value):
                raise job.broken(f"gave {value} for {name}")
    with (job.draft / "table.jsonl").open("w", encoding="utf-8") as stream:
        for row in measured.table:
            named = {**row, "model": job.identity(row["model"]) if row.get("model") else ""}
            stream.write(json.dumps(named, ensure_ascii=False) + "\n")
    outputs = {"metrics": {"digest": digest.of_value(metrics)}}
    if measured.rule is None:
        return {"inputs": len(ids), "outputs": outputs, "metrics": metrics}
    rule = asdict(measured.rule)
    outputs["rule"] = {"digest": digest.of_value(rule)}
    return {"inputs": len(ids), "outputs": outputs, "metrics": metrics, "rule": rule}


def _aligned(job: Job, ids: list[str]) -> Iterator[tuple[str, Any]]:
    """Each id with the component's answer for it."""
    answers: Iterable[Any] = iter(job.call())
    count = 0
    for answer in answers:
        if count == len(ids):
            raise job.broken(f"answered for more than the {len(ids)} records it was given")
        yield ids[count], answer
        count += 1
    if count != len(ids):
        raise job.broken(f"answered for {count} of {len(ids)} records")


def _published(view: View) -> dict[str, Any]:
    columns = {name: column_digest(column) for name, column in view.columns.items() if name not in mixing.ORDER}
    return {"digest": mixing.order_digest(view), "rows": len(view), "columns": columns}


EXECUTE: Mapping[str, Callable[[Job], dict[str, Any]]] = {
    "formatters": formatters,
    "generators": generators,
    "filters": filters,
    "scorers": scorers,
    "mixers": mixers,
    "trainers": trainers,
    "evaluators": evaluators,
}
