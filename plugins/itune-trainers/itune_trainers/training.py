"""The whole of a training step: encode, open, resume, train, measure, save."""

from __future__ import annotations

import shutil
from collections import ChainMap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from itune_core.api import Context, DataError, Inputs, ModelError, ModelSource, TrainedModel, records
from itune_trainers.account import gradient_norms, untrained_ends
from itune_trainers.algorithm import Algorithm, Logps
from itune_trainers.checkpoints import Checkpoints
from itune_trainers.early_stopping import standing
from itune_trainers.examples import Encoder, Examples, encode
from itune_trainers.forward import forward_of
from itune_trainers.forward.base import Forward
from itune_trainers.loop import Desk, Loop, mean_loss
from itune_trainers.model import open_model, save_model, set_mode
from itune_trainers.order import batches, changes
from itune_trainers.ranks import ALONE, Ranks
from itune_trainers.reference import reference_logps
from itune_trainers.settings import Settings, settle
from itune_trainers.stops import stop_ids
from itune_trainers.token_cache import token_cache

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import Tensor, nn


class _Measured:
    """Facts for a component that runs without an engine: measured whenever asked."""

    def get(self, name: str, measure: Callable[[], Any]) -> Any:
        return measure()


def train(objective: Algorithm, inputs: Inputs, context: Context) -> TrainedModel:
    """Train `objective` on ``inputs["train"]``; with ``inputs["eval"]``, measure its loss there before and after.

    Everything random is derived from ``context.rng``; torch's global generators are left as they were.

    Raises:
        DataError: rows that cannot be trained on, see :func:`~itune_trainers.examples.encode`.
        ModelError: the model cannot be opened as asked; the loss is not finite any more; ``E-TRAIN-021`` the
            checkpoints in ``context.scratch`` are of another training.
    """
    from itune_torch import load_tokenizer

    config = settle(objective.config, _Measured())
    _refuse_what_cannot_be(config, forward_of(objective.architecture), inputs)
    source = context.model(config.model)
    tokenizer = load_tokenizer(source)
    objective.prepare(tokenizer, inputs["train"])
    with token_cache(tokenizer, context) as cache:
        encoder = Encoder(tokenizer, config.max_length, config.overlength, cache)
        train_on = _examples(objective, inputs["train"], encoder, "train")
        held_out = None if inputs.get("eval") is None else _examples(objective, inputs["eval"], encoder, "eval")

    phases = _phases(inputs["train"])
    order = batches(
        len(train_on.kept),
        config.batch_size,
        config.epochs,
        None if phases or not config.shuffle else lambda epoch: context.rng("epoch", epoch),
        changes([phases[number] for number in train_on.numbers]) if phases else (),
    )
    task = Task(
        objective,
        config,
        source,
        train_on,
        held_out,
        order,
        adapter_seed=context.rng("adapter").getrandbits(63),
        dropout_seed=context.rng("dropout").getrandbits(63),
        fingerprint=_fingerprint(config, train_on, held_out, source.identity, order),
    )

    def reference(forward: Forward) -> dict[str, Tensor]:
        sets = filter(None, (train_on, held_out))
        return dict(ChainMap(*(reference_logps(forward, examples, source, config, context) for examples in sets)))

    if config.launch.alone:
        done = carry_out(task, context, reference)
    else:
        from itune_trainers.launch.parent import carry_out_together

        done = carry_out_together(task, config.launch, context, reference)

    ends_matter = objective.architecture in ("causal", "seq2seq")  # a reward model writes nothing
    metrics: dict[str, Any] = {
        "loss": sum(entry["loss"] for entry in done.history) / len(done.history),
        "steps": len(done.history),
        **train_on.metrics(),
        **objective.counts(train_on.kept),
        **({"untrained_ends": untrained_ends(train_on.kept, stop_ids(source, tokenizer))} if ends_matter else {}),
        **gradient_norms(done.history, config.max_grad_norm),
        "trained_parameters": done.trained_parameters,
        "dtype": config.dtype,
        "device": config.device,
        **({} if config.quantize is None else {"quantize": config.quantize}),
        **done.facts,
    }
    if config.early_stopping is not None:
        metrics["best_step"] = standing(done.history, config.early_stopping.min_delta).best
        if len(done.history) < len(order):
            metrics["stopped_at"] = len(done.history)
    if held_out is not None:
        metrics |= {f"eval/{name}/before": value for name, value in done.before.items()}
        metrics |= {f"eval/{name}": value for name, value in done.after.items()}
        metrics |= {f"eval/{name}": value for name, value in held_out.metrics().items()}
        metrics["eval/dropped"] = len(held_out.dropped)
    folder = context.scratch / "model"
    shutil.rmtree(folder, ignore_errors=True)  # of a run killed while it saved
    save_model(done.model, tokenizer, folder)
    return TrainedModel(
        folder,
        architecture=objective.architecture,
        adapter_of=None if config.adapter == "none" else config.model,
        metrics=metrics,
        history=done.history,
        dropped=train_on.dropped,
        cut=train_on.cut,
    )


@dataclass(frozen=True)
class Task:
    """A training with everything decided, in whatever number of processes it is carried out.

    Attributes:
        objective: its loss.
        config: settled.
        source: the model to start from.
        train_on: the examples.
        held_out: examples to measure the loss on, before and after.
        order: the examples of every step, by number.
        adapter_seed: of a new adapter's weights.
        dropout_seed: of dropout.
        fingerprint: what the course of the training depends on.
    """

    objective: Algorithm
    config: Settings
    source: ModelSource
    train_on: Examples
    held_out: Examples | None
    order: list[list[int]]
    adapter_seed: int
    dropout_seed: int
    fingerprint: Mapping[str, Any]

    def open(self) -> Forward:
        """The model as it is before the first step."""
        way = forward_of(self.objective.architecture)
        model = open_model(way, self.config, self.source, self.adapter_seed)
        set_mode(model, dropout=not self.objective.needs_reference)
        return way(model, self.config.device, self.config.tokens_per_forward)


@dataclass(frozen=True)
class Done:
    """What came of a task.

    Attributes:
        model: trained.
        history: what was logged of each step.
        before, after: figures of the held-out examples; empty if there are none.
        trained_parameters: how many numbers were trained.
        facts: how it was carried out, for the step's metrics.
    """

    model: nn.Module
    history: list[dict[str, Any]]
    before: Mapping[str, float]
    after: Mapping[str, float]
    trained_parameters: int
    facts: Mapping[str, Any]


def carry_out(
    task: Task, desk: Desk, reference: Callable[[Forward], Mapping[str, Tensor]], ranks: Ranks = ALONE
) -> Done:
    """Train: in this process alone, or as one of several that all do this.

    Args:
        task: what is to be done.
        desk: where checkpoints are and progress is told.
        reference: gives the values of all rows under the model as opened; asked only if the objective needs them.
        ranks: the processes.
    """
    objective, held_out = task.objective, task.held_out
    forward = task.open()
    facts = forward.facts(task.train_on.kept)  # asked of the model before other processes have a part of it
    if objective.needs_reference:
        forward.reference |= reference(forward)
    forward.share(ranks)
    steps = [[task.train_on.kept[number] for number in step] for step in task.order]
    measure = None if held_out is None else lambda: _evaluate(objective, forward, held_out)
    loop = Loop(objective, task.config, forward.model, forward, steps, task.dropout_seed, measure)
    checkpoints = Checkpoints(desk.scratch / "checkpoints", writes=ranks.first)
    state = _resume(loop, checkpoints, task.fingerprint)
    if held_out is not None and "before" not in state:
        state["before"] = _evaluate(objective, forward, held_out)
    loop.run(checkpoints, desk, state)
    return Done(
        forward.model,
        loop.history,
        before=state.get("before", {}),
        after={} if held_out is None else _evaluate(objective, forward, held_out),
        trained_parameters=loop.trained_parameters,
        facts={**facts, **ranks.facts()},
    )


def _refuse_what_cannot_be(config: Settings, way: type[Forward], inputs: Inputs) -> None:
    """What the settings alone do not show, before any row is read."""
    if config.early_stopping is not None and inputs.get("eval") is None:
        raise DataError(
            "E-TRAIN-012",
            "early_stopping needs held-out rows",
            why="it stops where the loss on the input `eval` has stopped falling, and this step has none",
            fix="give the step `from: {train: ..., eval: ...}`; filters/split makes both of one data set",
        )
    if config.quantize is not None:
        from itune_torch import require_quantization

        if not way.quantizes:
            raise ModelError(
                "E-TRAIN-013",
                "this trainer cannot quantise its model",
                why="only language models are loaded so",
                fix="remove quantize",
            )
        require_quantization(config.device)


def _examples(objective: Algorithm, rows: Dataset, encoder: Encoder, name: str) -> Examples:
    made = encode(records(rows), lambda record: objective.example(record, encoder), name)
    made.kept = objective.complete(made.kept)
    return made


def _phases(rows: Dataset) -> list[tuple[int, ...]]:
    """Phase and epoch of each record; none if they are not of a mixer that assigns them and so decides the order."""
    named = [name for name in ("phase", "epoch") if name in rows.column_names]
    return list(zip(*(rows[name][:] for name in named), strict=True)) if named else []


def _evaluate(objective: Algorithm, forward: Forward, held_out: Examples) -> dict[str, float]:
    import torch

    training = forward.model.training
    set_mode(forward.model, dropout=False)
    seen: list[Logps] = []
    with torch.no_grad():
        figures = mean_loss(objective, forward, held_out.kept, note=seen.append)
        figures |= objective.summary(forward.ranks.joined(seen))
    set_mode(forward.model, dropout=training)
    return figures


def _fingerprint(
    config: Settings, examples: Examples, held_out: Examples | None, model: str, order: list[list[int]]
) -> dict[str, Any]:
    """What the course of a training depends on. How it is carried out may differ when it goes on."""
    how = {"device", "gradient_checkpointing", "save_steps", "model", "launch"}
    settings = config.model_dump(mode="json", exclude=how)
    rows = {"rows": examples.digest, "held_out": None if held_out is None else held_out.digest}
    return {**settings, **rows, "model": model, "first_steps": order[:2]}


def _resume(loop: Loop, checkpoints: Checkpoints, fingerprint: Mapping[str, Any]) -> dict[str, Any]:
    """Bring `loop` to the last checkpoint, if there is one; gives the state to keep in the next ones."""
    last = checkpoints.last()
    if last is None:
        return {"of": dict(fingerprint)}
    tensors, state = last
    differs = [key for key, value in fingerprint.items() if state["of"].get(key) != value]
    if differs:
        raise ModelError(
            "E-TRAIN-021",
            "the checkpoints here are of another training",
            where=str(checkpoints.folder),
            why=f"{', '.join(differs)} changed since",
            fix="remove the folder to train anew",
        )
    loop.restore(tensors, state)
    return {key: value for key, value in state.items() if key not in ("step", "history")}
