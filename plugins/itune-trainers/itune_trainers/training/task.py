"""A training with everything decided, and how it is carried out: in one process, or in each of several."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from itune_core.api import ModelError, ModelSource
from itune_trainers.algorithm import Algorithm, Logps
from itune_trainers.forward import forward_of
from itune_trainers.forward.base import Forward
from itune_trainers.model.opening import open_model
from itune_trainers.ranks import ALONE, Ranks
from itune_trainers.rows.examples import Examples
from itune_trainers.settings import Settings
from itune_trainers.training.checkpoints import Checkpoints
from itune_trainers.training.loop import Desk, Loop, mean_loss

if TYPE_CHECKING:
    from torch import Tensor, nn


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
        model.train(not self.objective.needs_reference)
        forward = way(model, self.config.device, self.config.tokens_per_forward)
        forward.share_all = self.objective.shares_prefix
        return forward


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
    task: Task, desk: Desk, reference: Callable[[Forward], Mapping[bytes, Tensor]], ranks: Ranks = ALONE
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
    # Asked of the model before other processes have a part of it, so of all rows that will be run.
    facts = forward.facts([*task.train_on.run, *(held_out.run if held_out else ())])
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


def _evaluate(objective: Algorithm, forward: Forward, held_out: Examples) -> dict[str, float]:
    import torch

    training = forward.model.training
    forward.model.eval()
    seen: list[Logps] = []
    with torch.no_grad():
        figures = mean_loss(objective, forward, held_out.kept, note=seen.append)
        figures |= objective.summary(forward.ranks.joined(seen))
    forward.model.train(training)
    return figures


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
