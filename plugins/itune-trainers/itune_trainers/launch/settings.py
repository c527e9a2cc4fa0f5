"""What can be said about several processes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from itune_core.api import ComponentConfig

Strategy = Literal["ddp", "fsdp2"]


class Launch(ComponentConfig):
    """Train in several processes of this machine, each with a device of its own or all on the CPU. Every step's records
    are divided among them; what comes out is, up to rounding, what one process makes of the same batches."""

    processes: int = Field(default=1, ge=1, description="How many; 1 is the process that itune runs in.")
    strategy: Strategy = Field(
        default="ddp",
        description="What each process holds. ddp: a model of its own. fsdp2: its share of every weight, gradient and "
        "moment of the optimiser, where one device can hold the weights but not all that training adds to them.",
    )
    config: str | None = Field(
        default=None,
        description="An accelerate config file that says both instead; its path is absolute or from where itune runs.",
    )

    @model_validator(mode="before")
    @classmethod
    def _zero3_is_fsdp2_here(cls, values: object) -> object:
        if isinstance(values, dict) and values.get("strategy") == "zero3":
            raise ValueError("zero3 is of DeepSpeed, which is not built in; strategy: fsdp2 divides the same as it")
        return values

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
