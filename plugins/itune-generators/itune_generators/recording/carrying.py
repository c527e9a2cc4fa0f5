"""What a new record takes over from the record it was made of, and how it says who wrote it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from itune_core.api import Record

CARRIED = ("source", "task", "category", "language", "license", "references")
"""What is true of an answered prompt because it was true of the prompt."""


def pair_told(models: Sequence[str | None], **facts: Any) -> dict[str, Any]:
    """What the `meta` of a preference says of its two answers, chosen and rejected: ``{"pair": {"models": [...]}}``.

    Args:
        models: who wrote each, None where the record that it was made of does not say; left out where neither is known.
        **facts: JSON values that stand beside it.
    """
    known = any(model is not None for model in models)
    told = {**facts, "models": [*models]} if known else facts
    return {"pair": told} if told else {}


def carried(record: Record, model: str, **facts: Any) -> dict[str, Any]:
    """The common columns of a record that `model` wrote for the prompt of `record`.

    Args:
        record: that it was made of.
        model: the name that the recipe gives the model; stands in `meta` as ``model``.
        **facts: JSON values that stand in `meta` beside it.
    """
    meta = json.dumps({"model": model, **facts}, ensure_ascii=False)
    return {**record.take(CARRIED), "meta": meta}
