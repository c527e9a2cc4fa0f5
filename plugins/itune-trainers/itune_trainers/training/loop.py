"""The loop: one optimiser step per batch, whatever number of passes it takes; stoppable after any of them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from itune_core.api import ModelError, derive_seed
from itune_trainers.algorithm import Algorithm, Logps
from itune_trainers.forward.base import Forward
from itune_trainers.model.opening import trained_tensors
from itune_trainers.model.seeds import seeded
from itune_trainers.ranks import wholes
from itune_trainers.rows.example import Example
from itune_trainers.settings import Settings
from itune_trainers.training.checkpoints import Checkpoints
from itune_trainers.training.early_stopping import LOSS, is_due, standing
from itune_trainers.training.schedule import learning_rate

if TYPE_CHECKING:
    from torch import Tensor, nn


class Desk(Protocol):
    """What a training needs of the step's context while it is carried out; a `Context` is one."""

    @property
    def scratch(self) -> Path: ...

    def progress(self, done: int, total: int | None = None, **figures: float) -> None: ...


class Loop:
    """One training run. What it depends on at step n is the history up to n, the trained weights (with early stopping
    the best ones, too) and the optimiser's moments: nothing else has state, so a checkpoint of these continues with the
    same bits.

    Args:
        objective: its loss.
        config: settled.
        model: with the weights to be trained requiring gradients, in the mode to be trained in.
        forward: runs it.
        steps: the examples of every step.
        seed: of dropout, and of what else is random in a step.
        measure: gives the loss and figures on held-out rows; needed only with ``early_stopping``.
    """

    def __init__(
        self,
        objective: Algorithm,
        config: Settings,
        model: nn.Module,
        forward: Forward,
        steps: Sequence[Sequence[Example]],
        seed: int,
        measure: Callable[[], Mapping[str, float]] | None = None,
    ) -> None:
        from torch.optim import AdamW

        self.objective, self.config, self.forward, self.steps, self.seed = objective, config, forward, steps, seed
        self.weights = trained_tensors(model)
        self.trained_parameters = sum(weight.numel() for weight in self.weights.values())
        matrices = [weight for weight in self.weights.values() if weight.ndim > 1]
        others = [weight for weight in self.weights.values() if weight.ndim <= 1]
        self.optimizer = AdamW(
            [
                {"params": matrices, "weight_decay": config.weight_decay},
                {"params": others, "weight_decay": 0.0},
            ],
            lr=config.learning_rate,
            fused=True,
        )
        forward.ranks.optimise(self.optimizer, config.max_grad_norm)
        self.history: list[dict[str, Any]] = []
        self.measure = measure
        self.best: dict[str, Tensor] = {}

    def run(self, checkpoints: Checkpoints, context: Desk, state: Mapping[str, Any]) -> None:
        """Do the steps that :attr:`history` lacks, leaving a checkpoint every ``save_steps``. The model has the result.

        Args:
            checkpoints: where they go.
            context: told of the progress.
            state: kept in each checkpoint beside the loop's own.
        """
        context.progress(len(self.history), len(self.steps))
        for step in range(len(self.history), len(self.steps)):
            with seeded(derive_seed(self.seed, step, *self.forward.ranks.draw)):
                figures = self.step(step)
            self.history.append(figures)
            stops = self._measured(step + 1)
            context.progress(step + 1, len(self.steps), loss=figures["loss"], learning_rate=figures["learning_rate"])
            if stops:
                break
            if (step + 1) % self.config.save_steps == 0 and step + 1 < len(self.steps):
                checkpoints.save(step + 1, self.tensors(), {**state, "history": self.history})

        if self.best:
            self._assign(self.best)

    def _measured(self, step: int) -> bool:
        """Where an evaluation is due, add it to the entry of `step`, and keep the weights if they are the best; says
        whether to stop."""
        stopping = self.config.early_stopping
        if stopping is None or not is_due(step, len(self.steps), stopping):
            return False
        assert self.measure is not None
        figures = {f"eval/{name}": value for name, value in self.measure().items()}
        if not math.isfinite(figures[LOSS]):
            raise ModelError(
                "E-TRAIN-014",
                f"the held-out loss after step {step} is {figures[LOSS]}",
                why="no later one can be compared with it",
                fix="lower learning_rate, set max_grad_norm, or use dtype: float32",
            )
        self.history[-1] |= figures
        stands = standing(self.history, stopping.min_delta)
        if stands.best == step and stopping.keep == "best":
            # On the CPU: they are looked at twice at most.
            whole = self.forward.ranks.weight
            self.best = {name: whole(weight).to("cpu", copy=True) for name, weight in self.weights.items()}
        return stands.stale >= stopping.patience

    def step(self, step: int) -> dict[str, Any]:
        """One step of the optimiser; gives what is logged of it."""
        rate = learning_rate(
            step,
            len(self.steps),
            peak=self.config.learning_rate,
            warmup=self.config.warmup,
            shape=self.config.schedule,
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        batch = self.steps[step]
        self.optimizer.zero_grad(set_to_none=True)
        with self.objective.in_step(self.forward.model):
            figures = mean_loss(self.objective, self.forward, batch, self.forward.ranks.backward)
        norm = self.forward.ranks.step(self.optimizer, self.weights.values(), self.config.max_grad_norm)
        if not math.isfinite(figures["loss"]) or not math.isfinite(norm):
            raise ModelError(
                "E-TRAIN-020",
                f"the training went astray at step {step + 1}: loss {figures['loss']}, gradient norm {norm}",
                where=", ".join(example.id for example in batch[:5]),
                fix="lower learning_rate, set max_grad_norm, or use dtype: float32",
            )
        supervised = sum(example.supervised for example in batch)
        return {"step": step + 1, **figures, "learning_rate": rate, "grad_norm": norm, "supervised_tokens": supervised}

    def tensors(self) -> dict[str, Tensor]:
        """The trained weights and the optimiser's state, by names that :meth:`restore` reads; on the CPU, and in the
        first process only."""
        ranks = self.forward.ranks

        def named() -> Iterator[tuple[str, Tensor]]:
            for name, weight in self.weights.items():
                yield f"weight/{name}", ranks.weight(weight)
                yield from ((f"{key}/{name}", value) for key, value in ranks.moments(self.optimizer, weight).items())

        return wholes(ranks, named()) | {f"best/{name}": weight for name, weight in self.best.items()}

    def restore(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint."""
        moments: dict[str, dict[str, Tensor]] = defaultdict(dict)
        for label, tensor in tensors.items():
            key, name = label.split("/", 1)
            if key == "best":
                self.best[name] = tensor
            elif key == "weight":
                self._assign({name: tensor})
            else:
                moments[name][key] = tensor
        for name, values in moments.items():
            self.forward.ranks.resume(self.optimizer, self.weights[name], values)
        self.history = list(state["history"])

    def _assign(self, tensors: Mapping[str, Tensor]) -> None:
        for name, tensor in tensors.items():
            self.forward.ranks.assign(self.weights[name], tensor)


def mean_loss(
    objective: Algorithm,
    forward: Forward,
    examples: Sequence[Example],
    use: Callable[[Tensor], Any] | None = None,
    note: Callable[[Logps], Any] | None = None,
) -> dict[str, float]:
    """The weighted mean loss of some examples, and the objective's figures, group by group.

    Every group's loss is divided by the weight of all examples before it is used, so its gradients add up to those of
    the one mean: how the examples are grouped changes nothing but rounding.

    Args:
        objective: the loss, the weights and the figures.
        forward: gives the log-probabilities.
        examples: one batch, or a whole data set.
        use: called with each group's share of the loss.
        note: called with what the loss of each group is computed from.

    Returns:
        ``loss`` and each figure's mean over the examples that it has a value for.
    """
    import torch

    total = math.fsum(objective.weight(example) for example in examples)
    loss = 0.0
    sums: dict[str, float] = defaultdict(float)
    counts: dict[str, float] = defaultdict(float)
    baseline = _baseline(objective, forward, examples)
    for group, own in forward.ranks.passes(forward, examples):
        logps = forward(group, baseline=baseline)
        weights = [objective.weight(example) * own for example in group]
        share = torch.tensor(weights, device=logps.policy.device) / total
        part = (objective.loss(logps) * share).sum()
        if use is not None:
            use(part)
        if note is not None and own:
            note(logps)
        loss += part.item()
        with torch.no_grad():
            for name, values in objective.figures(logps).items():
                said = values[~values.isnan()]
                sums[name] += said.sum().item() * own
                counts[name] += len(said) * own
    added = forward.ranks.added
    loss, sums, counts = added({"loss": loss})["loss"], added(sums), added(counts)
    return {"loss": loss, **{name: sums[name] / count for name, count in counts.items() if count}}


def _baseline(objective: Algorithm, forward: Forward, examples: Sequence[Example]) -> Tensor | None:
    """The objective's number for the whole batch; None if its examples have no rows beside."""
    import torch

    beside = [example.beside for example in examples if example.beside is not None]
    if not beside:
        return None
    with torch.no_grad():
        found = [(forward(group), counts) for group, counts in forward.ranks.passes(forward, beside)]
        return objective.baseline(forward.ranks.joined([logps for logps, counts in found if counts]))
