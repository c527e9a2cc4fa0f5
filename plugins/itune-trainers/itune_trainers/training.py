"""The whole of a training step: encode, open, resume, train, measure, save."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from itune_core.api import Context, Inputs, ModelError, TrainedModel, records
from itune_trainers.algorithm import Algorithm
from itune_trainers.checkpoints import Checkpoints
from itune_trainers.examples import Encoder, Examples, encode
from itune_trainers.forward import forward_of
from itune_trainers.forward.base import Forward
from itune_trainers.loop import Loop, mean_loss
from itune_trainers.model import open_model, save_model, set_mode
from itune_trainers.order import batches, changes
from itune_trainers.reference import reference_logps
from itune_trainers.settings import Settings, settle
from itune_trainers.token_cache import token_cache

if TYPE_CHECKING:
    from datasets import Dataset


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
    source = context.model(config.model)
    tokenizer = load_tokenizer(source)
    with token_cache(tokenizer, context) as cache:
        encoder = Encoder(tokenizer, config.max_length, config.overlength, cache)
        train_on = _examples(objective, inputs["train"], encoder, "train")
        held_out = None if inputs.get("eval") is None else _examples(objective, inputs["eval"], encoder, "eval")

    way = forward_of(objective.architecture)
    model = open_model(way, config, source, context.rng("adapter").getrandbits(63))
    set_mode(model, dropout=not objective.needs_reference)
    forward = way(model, config.device, config.tokens_per_forward)
    if objective.needs_reference:
        for examples in filter(None, (train_on, held_out)):
            forward.reference |= reference_logps(forward, examples, source, config, context)

    phases = _phases(inputs["train"])
    order = batches(
        len(train_on.kept),
        config.batch_size,
        config.epochs,
        None if phases or not config.shuffle else lambda epoch: context.rng("epoch", epoch),
        changes([phases[number] for number in train_on.numbers]) if phases else (),
    )
    steps = [[train_on.kept[number] for number in step] for step in order]
    loop = Loop(objective, config, model, forward, steps, context.rng("dropout").getrandbits(63))
    checkpoints = Checkpoints(context.scratch / "checkpoints")
    state = _resume(loop, checkpoints, _fingerprint(config, train_on, source.identity, order))
    if held_out is not None and "before" not in state:
        state["before"] = _evaluate(objective, forward, held_out)
    loop.run(checkpoints, context, state)

    metrics: dict[str, Any] = {
        "loss": sum(entry["loss"] for entry in loop.history) / len(loop.history),
        "steps": len(steps),
        **train_on.metrics(),
        "trained_parameters": sum(weight.numel() for weight in loop.weights.values()),
        "dtype": config.dtype,
        "device": config.device,
        **forward.facts(),
    }
    if held_out is not None:
        after = _evaluate(objective, forward, held_out)
        metrics |= {f"eval/{name}/before": value for name, value in state["before"].items()}
        metrics |= {f"eval/{name}": value for name, value in after.items()}
        metrics |= {f"eval/{name}": value for name, value in held_out.metrics().items()}
        metrics["eval/dropped"] = len(held_out.dropped)
    folder = context.scratch / "model"
    shutil.rmtree(folder, ignore_errors=True)  # of a run killed while it saved
    save_model(model, tokenizer, folder)
    return TrainedModel(
        folder,
        architecture=objective.architecture,
        adapter_of=None if config.adapter == "none" else config.model,
        metrics=metrics,
        history=loop.history,
        dropped=train_on.dropped,
        cut=train_on.cut,
    )


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
    with torch.no_grad():
        figures = mean_loss(objective, forward, held_out.kept)
    set_mode(forward.model, dropout=training)
    return figures


def _fingerprint(config: Settings, examples: Examples, model: str, order: list[list[int]]) -> dict[str, Any]:
    """What the course of a training depends on. How it is carried out may differ when it goes on."""
    settings = config.model_dump(mode="json", exclude={"device", "gradient_checkpointing", "save_steps", "model"})
    return {**settings, "model": model, "rows": examples.digest, "first_steps": order[:2]}


def _resume(loop: Loop, checkpoints: Checkpoints, fingerprint: dict[str, Any]) -> dict[str, Any]:
    """Bring `loop` to the last checkpoint, if there is one; gives the state to keep in the next ones."""
    last = checkpoints.last()
    if last is None:
        return {"of": fingerprint}
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
