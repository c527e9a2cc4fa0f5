"""What plugin authors import. Everything named here is public and versioned with the package; nothing else is."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from itune_core.api.errors import DataError, ItuneError, ModelError, PluginError, RecipeError, RowError
from itune_core.api.hookspecs import hookimpl
from itune_core.api.parts import Part, Parts, contents, parts
from itune_core.api.records import (
    Kind,
    Record,
    conversation,
    example,
    features,
    feedback,
    message,
    preference,
    prompt,
    ranking,
    records,
    text,
)

if TYPE_CHECKING:
    from itune_core.api.asking import (
        Answer,
        AnswerRewards,
        Ask,
        Choices,
        Completion,
        Embed,
        LogProbs,
        Message,
        OptionLogProbs,
        Reply,
        Request,
        Rewards,
        Spent,
        TokenLogProbs,
        Vectors,
    )
    from itune_core.api.components import (
        Component,
        Evaluator,
        Filter,
        Formatter,
        Generator,
        Input,
        Inputs,
        Mixer,
        Scorer,
        Trainer,
    )
    from itune_core.api.context import Context, Facts, Finished
    from itune_core.api.embedding import embedded
    from itune_core.api.fields import (
        ComponentConfig,
        Function,
        InputFile,
        ModelRef,
        Runtime,
        ScoreColumn,
        Secret,
        StepRef,
    )
    from itune_core.api.models import Architecture, ModelSource
    from itune_core.api.outcomes import (
        Check,
        Created,
        Drawn,
        Drop,
        Evaluation,
        Failed,
        Keep,
        Mix,
        Rejected,
        Rule,
        TrainedModel,
        Used,
    )
    from itune_core.api.randomness import derive_rng, derive_seed
    from itune_core.api.reading import BadRow, HubDataset, Reading, Row, read_rows
    from itune_core.api.resources import Backend, Executor
    from itune_core.api.rewarding import rewarded
    from itune_core.api.templates import Prompt, Template
    from itune_core.api.thoughts import Thinking, spoken, thinking

__all__ = [
    "Answer",
    "AnswerRewards",
    "Architecture",
    "Ask",
    "Backend",
    "BadRow",
    "Check",
    "Choices",
    "Completion",
    "Component",
    "ComponentConfig",
    "Context",
    "Created",
    "DataError",
    "Drawn",
    "Drop",
    "Embed",
    "Evaluation",
    "Evaluator",
    "Executor",
    "Facts",
    "Failed",
    "Filter",
    "Finished",
    "Formatter",
    "Function",
    "Generator",
    "HubDataset",
    "Input",
    "InputFile",
    "Inputs",
    "ItuneError",
    "Keep",
    "Kind",
    "LogProbs",
    "Message",
    "Mix",
    "Mixer",
    "ModelError",
    "ModelRef",
    "ModelSource",
    "OptionLogProbs",
    "Part",
    "Parts",
    "PluginError",
    "Prompt",
    "Reading",
    "RecipeError",
    "Record",
    "Rejected",
    "Reply",
    "Request",
    "Rewards",
    "Row",
    "RowError",
    "Rule",
    "Runtime",
    "ScoreColumn",
    "Scorer",
    "Secret",
    "Spent",
    "StepRef",
    "Template",
    "Thinking",
    "TokenLogProbs",
    "TrainedModel",
    "Trainer",
    "Used",
    "Vectors",
    "contents",
    "conversation",
    "derive_rng",
    "derive_seed",
    "embedded",
    "example",
    "features",
    "feedback",
    "hookimpl",
    "message",
    "parts",
    "preference",
    "prompt",
    "ranking",
    "read_rows",
    "records",
    "rewarded",
    "spoken",
    "text",
    "thinking",
]

_LATER = (
    "asking",
    "components",
    "context",
    "embedding",
    "fields",
    "models",
    "outcomes",
    "randomness",
    "reading",
    "resources",
    "rewarding",
    "templates",
    "thoughts",
)
"""Modules imported when one of their names is first asked for: they cost pydantic and thirty classes, and ``itune
plugins list`` needs none of them. A function named as its module is (``records``, ``parts``) cannot wait: importing the
module would hide it."""


if not TYPE_CHECKING:  # mypy would take it to mean that every name exists

    def __getattr__(name: str) -> Any:
        for module in _LATER if name in __all__ else ():
            found = vars(import_module(f"{__name__}.{module}"))
            if name in found:
                return globals().setdefault(name, found[name])
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
