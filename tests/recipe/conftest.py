"""Components as plugins publish them, without the plugins: this layer is tested by itself."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from itune_core.api import (
    Backend,
    ComponentConfig,
    Evaluator,
    Filter,
    Formatter,
    Generator,
    Input,
    InputFile,
    Kind,
    Mixer,
    ModelRef,
    PluginError,
    Runtime,
    Scorer,
    Secret,
    StepRef,
    Trainer,
)
from itune_core.plugins.catalog import Entry, nearest
from itune_core.plugins.policy import Policy, check
from itune_core.recipe.plan import Plan, compile


class Dolly(Formatter):
    produces = Kind.CONVERSATION

    class Config(Formatter.Config):
        context_position: Literal["before", "after"] = Field("after", description="Where the context goes.")


class Pairs(Formatter):
    produces = Kind.PREFERENCE


class Rows(Formatter):
    """A formatter of any kind of record, to feed every cast."""

    class Config(Formatter.Config):
        path: InputFile = Field("rows.jsonl", description="Rows.")


class Judge(BaseModel):
    model: ModelRef
    weight: float = 1.0


class Evolve(Generator):
    produces = Kind.CONVERSATION
    inputs = {"records": Input((Kind.PROMPT,))}

    class Config(ComponentConfig):
        model: ModelRef = Field(description="Who answers.")
        rounds: int = Field(1, ge=1, le=8, description="Rounds.")
        judges: list[Judge] = Field([], description="Who judges.")


class Feedback(Generator):
    produces = Kind.PREFERENCE

    class Config(ComponentConfig):
        policy: ModelRef = Field(description="Who answers.")
        judge: ModelRef = Field(description="Who compares.")
        mode: Literal["pairwise", "pointwise"] = Field("pairwise", description="How.")


class Split(Filter):
    outputs = ("train", "held_out")

    class Config(ComponentConfig):
        held_out: float = Field(0.1, gt=0, lt=1, description="Share held out.")


class Keep(Filter):
    class Config(ComponentConfig):
        limits: dict[str, int] = Field({}, description="Limit by name.")
        workers: Runtime[int] = Field(1, description="Processes.")


class Threshold(Filter):
    class Config(ComponentConfig):
        rule: StepRef = Field(description="Where the rule comes from.")


class Above(Filter):
    class Config(ComponentConfig):
        column: str = Field(description="Which score.")

    def reads(self) -> Sequence[str]:
        return [self.config.column]


class Kindless(Formatter):
    """A plugin that forgot to say what it makes."""


class Length(Scorer):
    pass


class Proportional(Mixer):
    class Config(ComponentConfig):
        cap: int | None = Field(None, ge=1, description="Most rows of one source.")


class Sft(Trainer):
    class Config(ComponentConfig):
        model: ModelRef = Field(description="What to train.")
        learning_rate: float = Field(1e-5, gt=0, description="Step size.")
        epochs: int = Field(1, ge=1, description="Passes.")
        adapter: Literal["lora", "none"] = Field("none", description="What is trained.")


class Dpo(Trainer):
    inputs = {"train": Input((Kind.PREFERENCE,))}

    class Config(ComponentConfig):
        model: ModelRef = Field(description="What to train.")
        beta: float = Field(0.1, gt=0, description="Strength.")


class Rrhf(Trainer):
    inputs = {"train": Input((Kind.RANKING,))}

    class Config(ComponentConfig):
        model: ModelRef = Field(description="What to train.")
        rank_weight: float = Field(1.0, gt=0, description="Weight of the ranking loss.")


class Kto(Trainer):
    inputs = {"train": Input((Kind.FEEDBACK,))}

    class Config(ComponentConfig):
        model: ModelRef = Field(description="What to train.")


class Loss(Evaluator):
    inputs = {"records": Input((Kind.CONVERSATION,))}


class Answers(Evaluator):
    """An evaluator of one model."""

    inputs = {"records": Input((Kind.PROMPT,))}

    class Config(ComponentConfig):
        model: ModelRef = Field(description="Who answers.")
        token: Secret | None = Field(None, description="Whom the answers are for.")


class Comparison(Evaluator):
    """An evaluator of several models."""

    inputs = {"records": Input((Kind.PROMPT,))}

    class Config(ComponentConfig):
        models: list[ModelRef] = Field(description="Who answers.")


class Transformers(Backend):
    pass


class Openai(Backend):
    needs_weights = False

    class Config(Backend.Config):
        base_url: str = Field(description="Where it is served.")
        api_key: Secret | None = Field(None, description="Key.")


class Profile:
    class Config(ComponentConfig):
        depth: int = Field(3, ge=1, description="How deep.")
        names: InputFile | None = Field(None, description="What is counted.")
        token: Secret | None = Field(None, description="Who may see it.")


PUBLISHED: dict[tuple[str, str], type[Any]] = {
    ("formatters", "dolly"): Dolly,
    ("formatters", "pairs"): Pairs,
    ("generators", "evol-instruct"): Evolve,
    ("generators", "ai-feedback"): Feedback,
    ("filters", "split"): Split,
    ("filters", "keep"): Keep,
    ("filters", "evol-elimination"): Keep,
    ("filters", "threshold"): Threshold,
    ("filters", "above"): Above,
    ("formatters", "kindless"): Kindless,
    ("scorers", "length"): Length,
    ("mixers", "proportional"): Proportional,
    ("trainers", "sft"): Sft,
    ("trainers", "dpo"): Dpo,
    ("trainers", "rrhf"): Rrhf,
    ("trainers", "kto"): Kto,
    ("evaluators", "inference-loss"): Loss,
    ("evaluators", "answers"): Answers,
    ("evaluators", "comparison"): Comparison,
    ("backends", "transformers"): Transformers,
    ("backends", "openai"): Openai,
    ("extensions", "profile"): Profile,
} | {("formatters", kind.value): type(kind.value, (Rows,), {"produces": kind}) for kind in Kind}


def load(stage: str, name: str, policy: Policy) -> tuple[Entry, type[Any]]:
    """As the installed plugins are loaded: found, checked by the policy, handed out."""
    if (stage, name) not in PUBLISHED:
        close = nearest(name, [other for group, other in PUBLISHED if group == stage])
        near = " or ".join(f"{stage}/{other}" for other in close)
        raise PluginError("E-PLUGIN-001", f"{stage}/{name} is not installed", fix=f"did you mean {near}?")
    component = PUBLISHED[stage, name]
    distribution = f"itune-{stage}"
    entry = Entry(stage, name, f"x:{component.__name__}", distribution, "0.1.0", "/x", ("itune-core>=0.1,<1",))
    check(entry, policy)
    return entry, component


class Bench:
    """A folder with a recipe in it."""

    load = staticmethod(load)

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "recipe.yaml"
        for name in ("dolly.jsonl", "rows.jsonl"):
            (folder / name).write_text("{}\n")

    def write(self, text: str) -> Path:
        self.file.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
        return self.file

    def compile(self, text: str, *overrides: str) -> Plan:
        return compile(self.write(text), load=load, overrides=overrides)

    def problems(self, text: str, *overrides: str) -> list[tuple[str, int]]:
        """Code and line of every mistake."""
        return [(problem.code, problem.line) for problem in self.details(text, *overrides)]

    def details(self, text: str, *overrides: str) -> list[Any]:
        from itune_core.recipe.errors import RecipeProblems

        with pytest.raises(RecipeProblems) as caught:
            self.compile(text, *overrides)
        return list(caught.value.problems)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def published() -> Callable[[str, str, Policy], tuple[Entry, type[Any]]]:
    return load
