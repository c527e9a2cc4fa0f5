"""A task and what came of it as files, JSON and safetensors: how processes tell each other what to do."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from itune_core.api import ModelError, ModelSource
from itune_trainers.algorithm import Algorithm
from itune_trainers.rows.example import Example
from itune_trainers.rows.examples import Examples
from itune_trainers.training.task import Task

if TYPE_CHECKING:
    from torch import Tensor

    from itune_torch import Encoded

TASK = "task.json"


def write(folder: Path, task: Task, reference: Mapping[bytes, Tensor], **beside: Any) -> None:
    """Leave a task in `folder` for other processes.

    Args:
        folder: is there.
        task: what is to be done.
        reference: values of its rows by `Example.key`; empty if the objective needs none.
        beside: JSON values to be handed on.

    Raises:
        ModelError: ``E-TRAIN-092`` the objective is of a class that other processes cannot import.
    """
    from safetensors.torch import save_file

    sets = {"train": task.train_on, "eval": task.held_out}
    values = {
        "objective": _name(type(task.objective)),
        # What was set, not all that there is: which of both it was is itself a fact that validators look at.
        "given": task.objective.config.model_dump(mode="json", exclude_unset=True),
        "settled": task.config.model_dump(mode="json", exclude_unset=True),
        "source": {key: str(item) if isinstance(item, Path) else item for key, item in asdict(task.source).items()},
        "ids": {name: [example.id for example in made.run] for name, made in sets.items() if made is not None},
        "order": task.order,
        "adapter_seed": task.adapter_seed,
        "dropout_seed": task.dropout_seed,
        "fingerprint": task.fingerprint,
        "beside": beside,
    }
    for name, made in sets.items():
        if made is not None:
            save_file(_tensors(made, reference), folder / f"{name}.safetensors")
    (folder / TASK).write_text(json.dumps(values), "utf-8")


def read(folder: Path) -> tuple[Task, dict[bytes, Tensor], dict[str, Any]]:
    """The task that :func:`write` left, the reference values and what was beside."""
    from safetensors.torch import load_file

    values = json.loads((folder / TASK).read_text("utf-8"))
    kind = _class(values["objective"])
    config = kind.Config  # type: ignore[attr-defined]
    sets: dict[str, Examples] = {}
    reference: dict[bytes, Tensor] = {}
    for name, ids in values["ids"].items():
        tensors = load_file(folder / f"{name}.safetensors")
        run = _run(ids, tensors)
        sets[name] = Examples(
            kept=[example for example, kept in zip(run, tensors["kept"].tolist(), strict=True) if kept]
        )
        if "reference" in tensors:
            parts = tensors["reference"].split([len(example.rows) for example in run])
            reference |= zip((example.key for example in run), parts, strict=True)
    source = values["source"]
    task = Task(
        objective=kind(config.model_validate(values["given"])),  # type: ignore[call-arg]
        config=config.model_validate(values["settled"]),
        source=ModelSource(**{**source, **_paths(source, "files", "adapter", "cache")}),
        train_on=sets["train"],
        held_out=sets.get("eval"),
        order=values["order"],
        adapter_seed=values["adapter_seed"],
        dropout_seed=values["dropout_seed"],
        fingerprint=values["fingerprint"],
    )
    return task, reference, values["beside"]


def _tensors(made: Examples, reference: Mapping[bytes, Tensor]) -> dict[str, Tensor]:
    """Everything of the examples that are run but their ids; those beside others come after these, in their order."""
    import torch

    run = made.run
    rows = [row for example in run for row in example.rows]
    kept = len(made.kept)
    beside = [example.beside is not None for example in made.kept]
    tensors = {
        "kept": torch.arange(len(run)) < kept,
        "beside": torch.tensor(beside + [False] * (len(run) - kept)),
        "labels": torch.tensor([example.label for example in run], dtype=torch.float64),
        "rows": torch.tensor([len(example.rows) for example in run]),
        "scores": torch.tensor([score for example in run for score in example.scores], dtype=torch.float64),
        "scored": torch.tensor([len(example.scores) for example in run]),
        "ids": torch.tensor([number for row in rows for number in row.ids], dtype=torch.int32),
        "trained": torch.tensor([flag for row in rows for flag in row.trained]),
        "lengths": torch.tensor([len(row.ids) for row in rows]),
        "cut": torch.tensor([row.cut for row in rows]),
        "lost_end": torch.tensor([row.lost_end for row in rows]),
        "merged": torch.tensor([row.merged for row in rows]),
    }
    if reference:
        tensors["reference"] = torch.cat([reference[example.key] for example in run])
    return tensors


def _run(ids: Sequence[str], tensors: Mapping[str, Tensor]) -> list[Example]:
    """The examples, each with the one beside it."""
    rows = iter(_rows(tensors))
    scores = iter(tensors["scores"].tolist())
    counts = (tensors[name].tolist() for name in ("rows", "scored", "labels"))
    run = [
        Example(name, tuple(_take(rows, held)), label, tuple(_take(scores, scored)))
        for name, held, scored, label in zip(ids, *counts, strict=True)
    ]
    others = iter(run[int(tensors["kept"].sum()) :])
    beside = tensors["beside"].tolist()
    return [replace(one, beside=next(others)) if has else one for one, has in zip(run, beside, strict=True)]


def _rows(tensors: Mapping[str, Tensor]) -> list[Encoded]:
    from itune_torch import Encoded

    lengths = tensors["lengths"].tolist()
    split = (tensors[name].split(lengths) for name in ("ids", "trained"))
    facts = (tensors[name].tolist() for name in ("cut", "lost_end", "merged"))
    return [Encoded(ids.tolist(), trained.tolist(), *rest) for ids, trained, *rest in zip(*split, *facts, strict=True)]


def _take(items: Iterable[Any], count: int) -> list[Any]:
    return [item for _, item in zip(range(count), items, strict=False)]


def _paths(values: Mapping[str, Any], *names: str) -> dict[str, Path | None]:
    return {name: None if values[name] is None else Path(values[name]).absolute() for name in names}


def _name(kind: type) -> str:
    """Where other processes find a class."""
    name = f"{kind.__module__}:{kind.__qualname__}"
    try:
        found = None if kind.__module__ == "__main__" else _class(name)
    except (ImportError, AttributeError):
        found = None
    if found is not kind:
        raise ModelError(
            "E-TRAIN-092",
            f"other processes cannot import {kind.__qualname__} from {kind.__module__}",
            why="each of them builds the objective anew, from its class and its settings",
            fix="put it at the top level of a module that is installed; or remove launch",
        )
    return name


def _class(name: str) -> type[Algorithm]:
    module, _, path = name.partition(":")
    found: Any = import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    return found  # type: ignore[no-any-return]
