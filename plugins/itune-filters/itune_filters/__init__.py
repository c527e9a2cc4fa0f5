"""Filters for itune: which records to keep, and why the others go.

What other packages may use of it, to hold texts that they make to the same rule as ``filters/novelty``::

    pool = RougePool(threshold=0.7)
    for text in seeds:
        pool.add(tokens(text, "rouge"))
    ...
    made = tokens(answer, "rouge")
    if (near := pool.nearest(made)) is None:
        pool.add(made)

To hold them to the rules of ``filters/heuristics`` and ``filters/evol-elimination`` while they are made:
:func:`instruction_fault`, :func:`evolution_failure`, :func:`judged_equal`.

Names are imported when first used: ``import itune_filters`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from itune_filters.heuristics import instruction_fault
    from itune_filters.likeness.rouge_pool import Near, RougePool
    from itune_filters.likeness.tokens import Unit, tokens
    from itune_filters.phrases.evolution import Parent, evolution_failure, judged_equal

__all__ = [
    "Near",
    "Parent",
    "RougePool",
    "Unit",
    "evolution_failure",
    "instruction_fault",
    "judged_equal",
    "tokens",
]

_HOME = {
    "Near": "likeness.rouge_pool",
    "Parent": "phrases.evolution",
    "RougePool": "likeness.rouge_pool",
    "Unit": "likeness.tokens",
    "evolution_failure": "phrases.evolution",
    "instruction_fault": "heuristics",
    "judged_equal": "phrases.evolution",
    "tokens": "likeness.tokens",
}

if not TYPE_CHECKING:  # mypy would take it to mean that every name exists

    def __getattr__(name: str) -> Any:
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return globals().setdefault(name, getattr(import_module(f"{__name__}.{_HOME[name]}"), name))
