"""What plugin authors import. Everything named here is public and versioned with the package; nothing else is."""

from itune_core.api.asking import (
    Answer,
    Ask,
    Completion,
    Embed,
    LogProbs,
    Message,
    Reply,
    Request,
    TokenLogProbs,
    Vectors,
)
from itune_core.api.components import (
    Backend,
    Component,
    Evaluator,
    Executor,
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
from itune_core.api.errors import DataError, ItuneError, ModelError, PluginError, RecipeError, RowError
from itune_core.api.fields import ComponentConfig, InputFile, ModelRef, Runtime, Secret, StepRef
from itune_core.api.hookspecs import hookimpl
from itune_core.api.models import ModelSource
from itune_core.api.outcomes import Created, Drawn, Drop, Evaluation, Failed, Keep, TrainedModel
from itune_core.api.reading import BadRow, Row, read_rows
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

__all__ = [
    "Answer", "Ask", "Backend", "BadRow", "Completion", "Component", "ComponentConfig", "Context", "Created", "DataError",
    "Drawn", "Drop", "Embed", "Evaluation", "Evaluator", "Executor", "Facts", "Failed", "Filter", "Finished", "Formatter",
    "Generator", "Input", "InputFile", "Inputs", "ItuneError", "Keep", "Kind", "LogProbs", "Message", "Mixer", "ModelError",
    "ModelRef", "ModelSource", "PluginError", "RecipeError", "Record", "Reply", "Request", "Row", "RowError", "Runtime",
    "Scorer", "Secret", "StepRef", "TokenLogProbs", "TrainedModel", "Trainer", "Vectors", "conversation", "example",
    "features", "feedback", "hookimpl", "message", "preference", "prompt", "ranking", "read_rows", "records", "text",
]  # fmt: skip
