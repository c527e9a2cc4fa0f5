"""What plugin authors test with: the conformance kit, sample records, and a bench to run one component on.

The kit is used by subclassing the class of a stage in a test module::

    from itune_core.testing import FilterConformance

    class TestShout(FilterConformance):
        component = "filters/shout"
        config = {"share": 0.5}

and running ``pytest``. See ``docs/testing-a-plugin.md``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from itune_core.testing.answering import answer_with
    from itune_core.testing.conformance.backends import BackendConformance
    from itune_core.testing.conformance.evaluators import EvaluatorConformance
    from itune_core.testing.conformance.executors import ExecutorConformance
    from itune_core.testing.conformance.extensions import ExtensionConformance
    from itune_core.testing.conformance.filters import FilterConformance
    from itune_core.testing.conformance.formatters import FormatterConformance
    from itune_core.testing.conformance.generators import GeneratorConformance
    from itune_core.testing.conformance.mixers import MixerConformance
    from itune_core.testing.conformance.scorers import ScorerConformance
    from itune_core.testing.conformance.trainers import TrainerConformance
    from itune_core.testing.context import BenchContext
    from itune_core.testing.mock_llm import MockLLM
    from itune_core.testing.sample_records import samples

_HOME = {
    "BackendConformance": "conformance.backends",
    "BenchContext": "context",
    "EvaluatorConformance": "conformance.evaluators",
    "ExecutorConformance": "conformance.executors",
    "ExtensionConformance": "conformance.extensions",
    "FilterConformance": "conformance.filters",
    "FormatterConformance": "conformance.formatters",
    "GeneratorConformance": "conformance.generators",
    "MixerConformance": "conformance.mixers",
    "MockLLM": "mock_llm",
    "ScorerConformance": "conformance.scorers",
    "TrainerConformance": "conformance.trainers",
    "answer_with": "answering",
    "samples": "sample_records",
}
"""Public name to the module that has it. Imported when first used: pytest loads this package in every project it is
installed beside, and must not become slower by it."""

__all__ = [
    "BackendConformance",
    "BenchContext",
    "EvaluatorConformance",
    "ExecutorConformance",
    "ExtensionConformance",
    "FilterConformance",
    "FormatterConformance",
    "GeneratorConformance",
    "MixerConformance",
    "MockLLM",
    "ScorerConformance",
    "TrainerConformance",
    "answer_with",
    "samples",
]


if not TYPE_CHECKING:  # mypy would take it to mean that every name exists

    def __getattr__(name: str) -> Any:
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
        return globals()[name]
