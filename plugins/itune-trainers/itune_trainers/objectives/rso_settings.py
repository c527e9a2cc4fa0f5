"""What RSO's two losses are told."""

from __future__ import annotations

from pydantic import Field

from itune_trainers.pairs import HeldSettings


class RSOSettings(HeldSettings):
    """Settings of RSO's losses."""

    gamma: float = Field(0.05, gt=0, description="Scale of the difference of log-ratios; not the beta of the sampling.")
