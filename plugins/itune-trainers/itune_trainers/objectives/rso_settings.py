"""What RSO's two losses are told."""

from __future__ import annotations

from pydantic import Field, model_validator

from itune_trainers.pairs import PairSettings


class RSOSettings(PairSettings):
    """Settings of RSO's losses."""

    gamma: float = Field(0.05, gt=0, description="Scale of the difference of log-ratios; not the beta of the sampling.")

    @model_validator(mode="after")
    def _no_dropout(self) -> RSOSettings:
        if self.lora is not None and self.lora.dropout > 0:
            raise ValueError("lora.dropout is not used with a reference model; remove it")
        return self
