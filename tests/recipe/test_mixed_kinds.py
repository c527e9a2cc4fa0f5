"""Records of several kinds in one data set: who may bring them together, and who is given them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from pydantic import Field

from itune_core.api import ComponentConfig, Filter, Generator, Input, Kind, Mixer, Scorer, Trainer
from itune_core.cli.plan import plan_facts
from itune_core.plugins.catalog import Entry
from itune_core.plugins.policy import Policy
from itune_core.recipe import errors
from itune_core.recipe.errors import Problem, RecipeProblems
from itune_core.recipe.kinds import handed_on
from itune_core.recipe.plan import Plan, compile

BOTH = (Kind.CONVERSATION, Kind.TEXT)


class Blend(Mixer):
    mixes_kinds = True
    inputs = {"records": Input(many=True), "target": Input(), "old": Input(many=True, required=False)}


class Even(Mixer):
    inputs = {"records": Input(many=True), "target": Input(), "old": Input(many=True, required=False)}


class Learn(Trainer):
    inputs = {"train": Input(BOTH)}


class Keep(Filter):
    inputs = {"records": Input(BOTH)}


class Words(Scorer):
    inputs = {"records": Input(BOTH)}


class Copy(Generator):
    """Makes records of the kind that it is given."""

    inputs = {"records": Input(BOTH)}


class Answer(Generator):
    produces = Kind.CONVERSATION
    inputs = {"records": Input((Kind.PROMPT, Kind.TEXT))}


class Above(Filter):
    def reads(self) -> list[str]:
        return ["score.scored"]


class Choosy(Trainer):
    """Its settings decide what it takes."""

    inputs = {"train": Input((Kind.CONVERSATION, Kind.FEEDBACK))}

    class Config(ComponentConfig):
        kind: Kind = Field(description="What it is to take.")

    @classmethod
    def inputs_for(cls, config: Config) -> Mapping[str, Input]:
        return {"train": Input((config.kind,))}


class Either(Generator):
    """Its settings decide what it gives."""

    produces = Kind.CONVERSATION
    inputs = {"records": Input((Kind.PROMPT, Kind.CONVERSATION))}

    class Config(ComponentConfig):
        gives: Kind = Field(description="What it is to give.")

    @classmethod
    def produces_for(cls, config: Config) -> Kind:
        return config.gives


COMPONENTS: dict[tuple[str, str], type[Any]] = {
    ("mixers", "blend"): Blend, ("mixers", "even"): Even, ("trainers", "learn"): Learn, ("trainers", "choosy"): Choosy,
    ("filters", "both"): Keep,
    ("filters", "scored"): Above, ("scorers", "words"): Words, ("generators", "copy"): Copy,
    ("generators", "answer"): Answer, ("generators", "either"): Either,
}  # fmt: skip

HEAD = """
itune: 1
name: kinds
steps:
  said:  {uses: formatters/conversation}
  pages: {uses: formatters/text}
  pairs: {uses: formatters/preference}
"""
MIXED = HEAD + "  mixed: {uses: mixers/blend, from: {records: [said], target: pairs, old: [pages, said]}}\n"


@pytest.fixture
def planned(bench: Any, published: Callable[..., Any]) -> Callable[[str], Plan]:
    def load(stage: str, name: str, policy: Policy) -> tuple[Entry, type[Any]]:
        entry, component = published(*((stage, name) if (stage, name) not in COMPONENTS else _like(stage)), policy)
        return entry, COMPONENTS.get((stage, name), component)

    return lambda text: compile(bench.write(text), load=load)


def _like(stage: str) -> tuple[str, str]:
    """A published component of a stage, whose entry will do."""
    names = {"mixers": "proportional", "trainers": "sft", "filters": "keep", "scorers": "length"}
    return stage, names.get(stage, "evol-instruct")


@pytest.fixture
def problem(planned: Callable[[str], Plan]) -> Callable[[str], Problem]:
    """The only mistake of a recipe."""

    def found(text: str) -> Problem:
        with pytest.raises(RecipeProblems) as caught:
            planned(text)
        [one] = caught.value.problems
        return one

    return found


def test_what_is_drawn_from_decides_and_what_is_read_does_not(planned: Callable[[str], Plan]) -> None:
    plan = planned(
        MIXED
        + """
  kept: {uses: filters/both, from: mixed}
  scored: {uses: scorers/words, from: kept}
  again: {uses: mixers/even, from: {records: [scored, mixed], target: said}}
  sft: {uses: trainers/learn, from: again, with: {}}
"""
    )
    assert {name: node.kinds for name, node in plan.nodes.items()} == {
        "said": (Kind.CONVERSATION,),
        "pages": (Kind.TEXT,),
        "pairs": (Kind.PREFERENCE,),
        **dict.fromkeys(["mixed", "kept", "scored", "again"], BOTH),
        "sft": (),
    }
    assert [plan.nodes[name].kind for name in ("said", "mixed", "sft")] == [Kind.CONVERSATION, None, None]
    [feed] = plan.nodes["sft"].inputs["train"]
    assert (feed.kinds, feed.cast) == (BOTH, None)
    facts = {step["name"]: step for step in plan_facts(plan)["steps"]}
    assert [facts[name]["kind"] for name in ("said", "mixed", "sft")] == ["conversation", "conversation+text", None]
    assert facts["sft"]["inputs"]["train"][0]["kind"] == "conversation+text"


def test_only_inputs_for_many_are_handed_on() -> None:
    assert handed_on(Blend) == ("records", "old")
    assert handed_on(Mixer) == handed_on(Words) == ("records",)
    assert handed_on(Learn) == ("train",)


def test_one_kind_stays_one_kind(planned: Callable[[str], Plan]) -> None:
    plan = planned(HEAD + "  mixed: {uses: mixers/blend, from: {records: [said], target: pages, old: [said]}}\n")
    assert plan.nodes["mixed"].kind is Kind.CONVERSATION


def test_a_mixer_that_does_not_say_so_may_not_mix_them(problem: Callable[[str], Problem]) -> None:
    found = problem(HEAD + "  mixed: {uses: mixers/even, from: {records: [said], target: said, old: [pages]}}\n")
    assert (found.code, found.path) == (errors.MIXED_KINDS, "steps.mixed.from.old[0]")
    assert found.what == "'pages' gives text records and 'said' gives conversation records"
    mixed = problem(MIXED + "  more: {uses: mixers/even, from: {records: [mixed, said], target: said}}\n")
    assert mixed.what == "'said' gives conversation records and 'mixed' gives conversation and text records"


@pytest.mark.parametrize(
    ("step", "what", "fix"),
    [
        (
            "{uses: trainers/dpo, from: mixed, with: {model: m}}",
            "does not take the conversation and text records among them",
            "leave the conversation and text records out of the mix",
        ),
        (
            "{uses: evaluators/inference-loss, from: mixed, with: {models: [m]}}",
            "does not take the text records among them",
            "leave the text records out of the mix",
        ),
        (
            "{uses: generators/answer, from: mixed}",
            "does not take the conversation records among them",
            "conversation records are cast before they are mixed, not after",
        ),
    ],
)
def test_who_does_not_take_all_of_them_is_told_which(
    problem: Callable[[str], Problem], step: str, what: str, fix: str
) -> None:
    models = "models:\n  m: {backend: transformers, model: x}\n"
    found = problem(f"{MIXED.replace('steps:', models + 'steps:')}  sink: {step}\n")
    assert (found.code, found.path) == (errors.KINDS, "steps.sink.from")
    assert what in found.what
    assert fix in str(found.fix)


def test_who_makes_records_of_the_kind_it_is_given_must_be_given_one(problem: Callable[[str], Problem]) -> None:
    found = problem(MIXED + "  more: {uses: generators/copy, from: mixed}\n")
    assert (found.code, found.path) == (errors.NO_KIND, "steps.more.from")
    assert "'mixed' gives conversation and text records" in found.what


def test_columns_come_through_every_input_that_is_drawn_from(
    planned: Callable[[str], Plan], problem: Callable[[str], Problem]
) -> None:
    scored = HEAD + "  scored: {uses: scorers/words, from: said}\n"
    planned(
        scored
        + """
  mixed: {uses: mixers/blend, from: {records: [said], target: said, old: [scored]}}
  high: {uses: filters/scored, from: mixed}
"""
    )
    found = problem(
        scored
        + """
  mixed: {uses: mixers/blend, from: {records: [said], target: scored}}
  high: {uses: filters/scored, from: mixed}
"""
    )
    assert (found.code, found.path) == (errors.NO_COLUMN, "steps.high.from")


def test_settings_may_decide_which_kinds_are_taken(
    planned: Callable[[str], Plan], problem: Callable[[str], Problem]
) -> None:
    step = "  learnt: {uses: trainers/choosy, from: %s, with: {kind: %s}}\n"
    [feed] = planned(HEAD + step % ("pairs", "feedback")).nodes["learnt"].inputs["train"]
    assert feed.cast is Kind.FEEDBACK
    refused = problem(HEAD + step % ("said", "feedback"))
    assert refused.code == errors.KINDS
    assert problem(HEAD + step % ("said", "nonsense")).code == errors.BAD_SETTING


def test_settings_may_decide_which_kind_is_given(
    planned: Callable[[str], Plan], problem: Callable[[str], Problem]
) -> None:
    step = "  made: {uses: generators/either, from: said, with: {gives: %s}}\n"
    plan = planned(HEAD + step % "preference")
    assert plan.nodes["made"].kind is Kind.PREFERENCE
    learnt = "  learnt: {uses: trainers/choosy, from: made, with: {kind: feedback}}\n"
    [feed] = planned(HEAD + step % "preference" + learnt).nodes["learnt"].inputs["train"]
    assert feed.cast is Kind.FEEDBACK
    assert problem(HEAD + step % "text" + learnt).code == errors.KINDS
