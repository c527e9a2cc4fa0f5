"""What TRL's log says, as figures of the run; and the last checkpoint that it left."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from itune_core.api import Context, ModelError

if TYPE_CHECKING:
    from transformers import TrainerCallback

PLACE = {"step", "epoch"}
"""Figures that say where in the training a line of the log stands."""

TIMES = ("runtime", "per_second", "step_time", "total_flos")
"""Ends of the names of figures that tell of the machine, not of the model; the run keeps times of its own."""


def reporter(context: Context) -> TrainerCallback:
    from transformers import TrainerCallback

    class Reporter(TrainerCallback):
        """Tells the run how far the training is, and stops one that has gone astray."""

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            context.progress(state.global_step, state.max_steps)

        def on_log(
            self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **kwargs: Any
        ) -> None:
            figures = {name: value for name, value in figures_of(logs or {}).items() if name not in PLACE}
            if not math.isfinite(figures.get("loss", 0.0)):
                raise ModelError(
                    "E-TRAIN-047",
                    f"the training went astray by step {state.global_step}: loss {figures['loss']}",
                    fix="lower learning_rate or max_grad_norm under `config`",
                )
            if figures:
                context.progress(state.global_step, state.max_steps, **figures)

    return Reporter()


def figures_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of a line of TRL's log, less those of the summary that closes it and those that tell of time."""
    if "train_runtime" in entry:
        return {}
    return {
        name: value
        for name, value in entry.items()
        if isinstance(value, (int, float)) and not name.endswith(TIMES)
    }  # fmt: skip


def last_checkpoint(folder: Path) -> str | None:
    """The last checkpoint that was written to its end. Its state is what is written last, so one without was not.

    Checkpoints hold pickles of ours, in our own scratch folder; transformers reads them with ``weights_only``.
    """
    whole = []
    for state in folder.glob("checkpoint-*/trainer_state.json"):
        try:
            whole.append((json.loads(state.read_text("utf-8"))["global_step"], str(state.parent)))
        except json.JSONDecodeError:
            continue
    return max(whole)[1] if whole else None


def metrics(trainer: Any, history: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean loss, figures of the last evaluation, and what was trained."""
    losses = [entry["loss"] for entry in history if "loss" in entry]
    evaluated = [entry for entry in history if any(name.startswith("eval_") for name in entry)]
    return {
        **({"loss": sum(losses) / len(losses)} if losses else {}),
        **({name: value for name, value in evaluated[-1].items() if name not in PLACE} if evaluated else {}),
        "steps": trainer.state.global_step,
        "trained_parameters": sum(weight.numel() for weight in trainer.model.parameters() if weight.requires_grad),
    }


def history_of(trainer: Any) -> list[dict[str, Any]]:
    """The lines of the log that have figures."""
    lines = (figures_of(entry) for entry in trainer.state.log_history)
    return [line for line in lines if line.keys() - PLACE]
