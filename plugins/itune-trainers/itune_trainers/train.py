"""The whole of a training step: encode, open, resume, train, measure, save."""

from __future__ import annotations

import shutil
from collections import ChainMap
from typing import TYPE_CHECKING, Any

from itune_core.api import Context, DataError, Inputs, ModelError, TrainedModel, records
from itune_trainers.algorithm import Algorithm
from itune_trainers.forward import forward_of
from itune_trainers.forward.base import Forward
from itune_trainers.model.saving import save_model
from itune_trainers.rows.encoder import Encoder
from itune_trainers.rows.examples import Examples, encode
from itune_trainers.rows.order import batches, changes
from itune_trainers.rows.stops import stop_ids
from itune_trainers.rows.token_cache import token_cache
from itune_trainers.settings import MEASURED, Settings, require_device, settle
from itune_trainers.training.account import gradient_norms, untrained_ends
from itune_trainers.training.early_stopping import standing
from itune_trainers.training.reference import reference_logps
from itune_trainers.training.task import Task, carry_out

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase


def train(objective: Algorithm, inputs: Inputs, context: Context) -> TrainedModel:
    """Train `objective` on ``inputs["train"]``; with ``inputs["eval"]``, measure its loss there before and after.

    Everything random is derived from ``context.rng``; torch's global generators are left as they were.

    Raises:
        DataError: rows that cannot be trained on, see :func:`~itune_trainers.rows.examples.encode`.
        ModelError: the model cannot be opened as asked; the loss is not finite any more; ``E-TRAIN-021`` the
            checkpoints in ``context.scratch`` are of another training.
    """
    task, tokenizer = decide(objective, inputs, context)
    config, train_on, held_out = task.config, task.train_on, task.held_out

    def reference(forward: Forward) -> dict[bytes, Tensor]:
        return references(task, forward, context)

    if config.launch.alone:
        done = carry_out(task, context, reference)
    else:
        from itune_trainers.launch.parent import carry_out_together

        done = carry_out_together(task, context, reference)

    ends_matter = objective.architecture in ("causal", "seq2seq")  # a reward model writes nothing
    metrics: dict[str, Any] = {
        "loss": sum(entry["loss"] for entry in done.history) / len(done.history),
        "steps": len(done.history),
        **train_on.metrics(),
        **objective.counts(train_on.kept),
        **({"untrained_ends": untrained_ends(train_on.kept, stop_ids(task.source, tokenizer))} if ends_matter else {}),
        **gradient_norms(done.history, config.max_grad_norm),
        "trained_parameters": done.trained_parameters,
        "dtype": config.dtype,
        "device": config.device,
        **({} if config.quantize is None else {"quantize": config.quantize}),
        **done.facts,
    }
    if config.early_stopping is not None:
        metrics["best_step"] = standing(done.history, config.early_stopping.min_delta).best
        if len(done.history) < len(task.order):
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


def decide(objective: Algorithm, inputs: Inputs, context: Context) -> tuple[Task, PreTrainedTokenizerBase]:
    """All of a training that is decided before a model is opened, and the tokenizer to be saved beside what comes out.

    Arguments and errors as of :func:`train`.
    """
    from itune_torch import load_tokenizer

    config = settle(objective.config, MEASURED)
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
    adapter_seed, dropout_seed = (context.rng(name).getrandbits(63) for name in ("adapter", "dropout"))
    task = Task(
        objective,
        config,
        source,
        train_on,
        held_out,
        order,
        adapter_seed,
        dropout_seed,
        fingerprint=_fingerprint(
            objective, config, train_on, held_out, source.identity, order, [adapter_seed, dropout_seed]
        ),
    )
    return task, tokenizer


def references(task: Task, forward: Forward, context: Context) -> dict[bytes, Tensor]:
    """(rows of the example,) values of all rows of a task by `Example.key`, under the model as opened."""
    sets = [examples for examples in (task.train_on, task.held_out) if examples is not None]
    return dict(ChainMap(*(reference_logps(forward, examples, task.source, task.config, context) for examples in sets)))


def _refuse_what_cannot_be(config: Settings, way: type[Forward], inputs: Inputs) -> None:
    """What the settings alone do not show, before any row is read."""
    if not config.launch.alone:
        from itune_trainers.launch.parent import asked

        asked(config)
    require_device(config.device)
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


def _fingerprint(
    objective: Algorithm,
    config: Settings,
    examples: Examples,
    held_out: Examples | None,
    model: str,
    order: list[list[int]],
    seeds: list[int],
) -> dict[str, Any]:
    """What the course of a training depends on. How it is carried out may differ when it goes on."""
    how = {"device", "gradient_checkpointing", "save_steps", "model", "launch"}
    return {
        "objective": type(objective).__qualname__,
        **config.model_dump(mode="json", exclude=how),
        "rows": examples.digest,
        "held_out": None if held_out is None else held_out.digest,
        "model": model,
        "first_steps": order[:2],
        "seeds": seeds,
    }
