"""The loop: one optimiser step per batch, whatever number of passes it takes; stoppable after any of them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from itune_core.api import Context, ModelError, derive_seed
from itune_trainers.algorithm import Algorithm, Logps
from itune_trainers.checkpoints import Checkpoints
from itune_trainers.examples import Example
from itune_trainers.forward.base import Forward
from itune_trainers.model import seeded, trained_tensors
from itune_trainers.schedule import learning_rate
from itune_trainers.settings import Settings

if TYPE_CHECKING:
    from torch import Tensor, nn


class Loop:
    """One training run. What it depends on at step n is n, the trained weights and the optimiser's moments: nothing
    else has state, so a checkpoint of these three continues with the same bits.

    Args:
        objective: its loss.
        config: settled.
        model: with the weights to be trained requiring gradients, in the mode to be trained in.
        forward: runs it.
        steps: the examples of every step.
        seed: of dropout.
    """

    def __init__(
        self,
        objective: Algorithm,
        config: Settings,
        model: nn.Module,
        forward: Forward,
        steps: Sequence[Sequence[Example]],
        seed: int,
    ) -> None:
        from torch.optim import AdamW

        self.objective, self.config, self.forward, self.steps, self.seed = objective, config, forward, steps, seed
        self.weights = trained_tensors(model)
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
        self.history: list[dict[str, Any]] = []

    def run(self, checkpoints: Checkpoints, context: Context, state: Mapping[str, Any]) -> None:
        """Do the steps that :attr:`history` lacks, leaving a checkpoint every ``save_steps``.

        Args:
            checkpoints: where they go.
            context: told of the progress.
            state: kept in each checkpoint beside the loop's own.
        """
        for step in range(len(self.history), len(self.steps)):
            with seeded(derive_seed(self.seed, step)):
                figures = self.step(step)
            self.history.append(figures)
            context.progress(step + 1, len(self.steps), loss=figures["loss"], learning_rate=figures["learning_rate"])
            if (step + 1) % self.config.save_steps == 0 and step + 1 < len(self.steps):
                checkpoints.save(step + 1, self.tensors(), {**state, "history": self.history})

    def step(self, step: int) -> dict[str, Any]:
        """One step of the optimiser; gives what is logged of it."""
        import torch

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
        figures = mean_loss(self.objective, self.forward, batch, _backward)
        limit = math.inf if self.config.max_grad_norm is None else self.config.max_grad_norm
        norm = torch.nn.utils.clip_grad_norm_(self.weights.values(), limit).item()
        if not math.isfinite(figures["loss"]) or not math.isfinite(norm):
            raise ModelError(
                "E-TRAIN-020",
                f"the training went astray at step {step + 1}: loss {figures['loss']}, gradient norm {norm}",
                where=", ".join(example.id for example in batch[:5]),
                fix="lower learning_rate, set max_grad_norm, or use dtype: float32",
            )
        self.optimizer.step()
        supervised = sum(example.supervised for example in batch)
        return {"step": step + 1, **figures, "learning_rate": rate, "grad_norm": norm, "supervised_tokens": supervised}

    def tensors(self) -> dict[str, Tensor]:
        """The trained weights and the optimiser's state, by names that :meth:`restore` reads."""
        tensors = {f"weight/{name}": weight.detach() for name, weight in self.weights.items()}
        for name, weight in self.weights.items():
            for key, value in self.optimizer.state[weight].items():
                tensors[f"{key}/{name}"] = value
        return tensors

    def restore(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint."""
        import torch

        moments: dict[str, dict[str, Tensor]] = defaultdict(dict)
        for label, tensor in tensors.items():
            key, name = label.split("/", 1)
            weight = self.weights[name]
            if key == "weight":
                with torch.no_grad():
                    weight.copy_(tensor)
            else:
                moments[name][key] = tensor.to(weight.device, copy=True)
        for name, values in moments.items():
            self.optimizer.state[self.weights[name]] = values
        self.history = list(state["history"])


def _backward(loss: Tensor) -> None:
    loss.backward()  # type: ignore[no-untyped-call]


def mean_loss(
    objective: Algorithm, forward: Forward, examples: Sequence[Example], use: Callable[[Tensor], Any] | None = None
) -> dict[str, float]:
    """The weighted mean loss of some examples, and the objective's figures, group by group.

    Every group's loss is divided by the weight of all examples before it is used, so its gradients add up to those of
    the one mean: how the examples are grouped changes nothing but rounding.

    Args:
        objective: the loss, the weights and the figures.
        forward: gives the log-probabilities.
        examples: one batch, or a whole data set.
        use: called with each group's share of the loss.

    Returns:
        ``loss`` and each figure's mean over the examples.
    """
    import torch

    weights = [objective.weight(example) for example in examples]
    total = math.fsum(weights)
    loss, sums, done = 0.0, defaultdict[str, float](float), 0
    baseline = _baseline(objective, forward, examples)
    for group in forward.groups(examples):
        logps = forward(group, baseline=baseline)
        share = torch.tensor(weights[done : done + len(group)], device=logps.policy.device) / total
        part = (objective.loss(logps) * share).sum()
        if use is not None:
            use(part)
        loss += part.item()
        with torch.no_grad():
            for name, values in objective.figures(logps).items():
                sums[name] += values.sum().item() / len(examples)
        done += len(group)
    return {"loss": loss, **sums}


def _baseline(objective: Algorithm, forward: Forward, examples: Sequence[Example]) -> Tensor | None:
    """The objective's number for the whole batch; None if its examples have no rows beside."""
    import torch

    beside = [example.beside for example in examples if example.beside is not None]
    if not beside:
        return None
    with torch.no_grad():
        return objective.baseline(Logps.joined([forward(group) for group in forward.groups(beside)]))
