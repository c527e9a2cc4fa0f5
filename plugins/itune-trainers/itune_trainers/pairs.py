"""What objectives over preference pairs share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from itune_core.api import Input, Kind, Record
from itune_trainers.examples import Encoder, Example
from itune_trainers.objective import Logps

if TYPE_CHECKING:
    from torch import Tensor

PAIRS = {"train": Input((Kind.PREFERENCE,)), "eval": Input((Kind.PREFERENCE,), required=False)}
"""The inputs of such an objective."""


def pair(record: Record, encoder: Encoder) -> Example:
    """The example of a preference record: chosen row, rejected row; its label is how likely the preference is."""
    rows = (encoder.completion(record, "chosen"), encoder.completion(record, "rejected"))
    probability = record["probability"]
    return Example(record["id"], rows, label=1.0 if probability is None else probability)


def sides(logps: Logps) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(chosen, rejected, reference chosen, reference rejected), each (P,), of examples made by :func:`pair`."""
    assert logps.reference is not None  # every objective that calls this needs one
    policy, reference = logps.policy.view(-1, 2), logps.reference.view(-1, 2)
    return policy[:, 0], policy[:, 1], reference[:, 0], reference[:, 1]
