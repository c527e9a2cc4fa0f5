"""Trainers for itune: supervised tuning, preference objectives, and the base class a new objective derives from."""

from __future__ import annotations

from itune_trainers.algorithm import Logps
from itune_trainers.objective import Objective
from itune_trainers.pairs import Answers, PairObjective, Pairs, PairSettings, ReferenceSettings
from itune_trainers.rows.encoder import Encoder
from itune_trainers.rows.example import Example
from itune_trainers.settings import Lora, Settings

__all__ = [
    "Answers",
    "Encoder",
    "Example",
    "Logps",
    "Lora",
    "Objective",
    "PairObjective",
    "PairSettings",
    "Pairs",
    "ReferenceSettings",
    "Settings",
]
