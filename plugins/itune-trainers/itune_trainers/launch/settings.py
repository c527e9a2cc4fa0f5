"""What can be said about several processes."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal

from pydantic import Field, model_validator

from itune_core.api import ComponentConfig

Strategy = Literal["ddp", "fsdp2", "zero3"]


class Launch(ComponentConfig):
    """Train in several processes of this machine, each with a device of its own or all on the CPU. Every step's records
    are divided among them; what comes out is, up to rounding, what one process makes of the same batches."""

    processes: int = Field(default=1, ge=1, description="How many; 1 is the process that itune runs in.")
    strategy: Strategy = Field(
        default="ddp",
        description="What each process holds. ddp: a model of its own. fsdp2: its share of every weight, gradient and "
        "moment of the optimiser, where one device can hold the weights but not all that training adds to them. "
        "zero3: the same by DeepSpeed, of the extra itune-trainers[deepspeed].",
    )
    config: str | None = Field(
        default=None,
        description="An accelerate config file that says both instead; its path is absolute or from where itune runs.",
    )

    @model_validator(mode="after")
    def _deepspeed_is_installed(self) -> Launch:
        # A check of the recipe says it, as it says that a plugin is missing: not the training, hours of steps later.
        if self.strategy == "zero3" and find_spec("deepspeed") is None:
            raise ValueError(
                "strategy: zero3 needs the package deepspeed: pip install 'itune-trainers[deepspeed]'; "
                "fsdp2 divides the same (weights, gradients, optimiser) with torch alone"
            )
        return self

    @model_validator(mode="after")
    def _all_is_done(self) -> Launch:
        if self.config is not None and self.model_fields_set != {"config"}:
            raise ValueError("the accelerate config file says how many processes and what they hold: remove the rest")
        if self.alone and self.strategy != "ddp":
            raise ValueError(
                f"one process has nobody to share with: strategy {self.strategy} wants processes: 2 or more"
            )
        return self

    @property
    def alone(self) -> bool:
        """Whether no other process is asked for."""
        return self.processes == 1 and self.config is None
