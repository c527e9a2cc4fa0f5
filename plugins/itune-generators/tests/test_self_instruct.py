"""Self-Instruct on a scripted model: the pool as it grows, every rejection, and what becomes of the seeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets
import pytest

from itune_core.api import (
    Answer,
    Ask,
    Completion,
    Created,
    Drop,
    Failed,
    Kind,
    ModelError,
    Rejected,
    Reply,
    Request,
    features,
    message,
    prompt,
)
from itune_core.testing import BenchContext
from itune_generators.self_instruct import SelfInstruct

SEEDS = [
    "Name three rivers that flow into the Black Sea.",
    "Rewrite the letter so that it sounds friendlier.\n\nGive me back my ladder.",
    "Is the customer who wrote this review content or not?",
    "Explain to a child why the moon changes its shape.",
    "What would you pack for a week in the mountains?",
    "Put the events into the order in which they happened.",
    "Give an example of a proverb about patience.",
]

Wrote = str | tuple[str, str] | Failed


def said(wrote: Wrote) -> Reply | Failed:
    if isinstance(wrote, Failed):
        return wrote
    text, finish = (wrote, "stop") if isinstance(wrote, str) else wrote
    return Answer([Completion(text, finish, 9, 3)])


class Script:
    """A model that writes these lists in turn, and of each task says what it is told to; keeps what it was asked."""

    def __init__(self, *lists: Wrote, verdicts: dict[str, Wrote] | None = None, **instances: Wrote) -> None:
        self.lists: Iterator[Wrote] = iter(lists)
        self.verdicts, self.instances = verdicts or {}, instances
        self.asked: list[Ask] = []

    def __call__(self, request: Request) -> Reply | Failed:
        assert isinstance(request, Ask)
        self.asked.append(request)
        text = request.messages[-1]["content"]  # those before show how it is done
        if request.temperature:
            return said(next(self.lists))
        if request.max_tokens == 8:
            return said(next((word for task, word in self.verdicts.items() if task in text), "No"))
        return said(next((wrote for task, wrote in self.instances.items() if task in text), "Example 1\nOutput: Well."))

    @property
    def listings(self) -> list[str]:
        return ["\n".join(turn["content"] for turn in ask.messages) for ask in self.asked if ask.temperature]


def rows_of(seeds: list[str]) -> datasets.Dataset:
    rows = [{**prompt([message("user", seed)]), "id": f"s{number}"} for number, seed in enumerate(seeds)]
    columns = {name: [row[name] for row in rows] for name in features(Kind.PROMPT)}
    return datasets.Dataset.from_dict(columns, features=features(Kind.PROMPT))


@pytest.fixture
def bootstrap(tmp_path: Path) -> Callable[..., list[tuple[str, Any]]]:
    def run(reply: Callable[[Request], Reply | Failed], seeds: list[str] | None = None, **settings: Any) -> Any:
        component = SelfInstruct(SelfInstruct.Config(model="teacher", **{"at_once": 1, **settings}))
        context = BenchContext(tmp_path, reply=reply)
        return list(component.itune_generate(inputs={"records": rows_of(seeds or SEEDS)}, context=context))

    return run


def created(outcomes: list[tuple[str, Any]]) -> list[tuple[str, str]]:
    talks = [item.record["messages"] for _, item in outcomes if isinstance(item, Created)]
    return [(talk[0]["content"], talk[-1]["content"]) for talk in talks]


def rejected(outcomes: list[tuple[str, Any]]) -> list[str]:
    return [item.reason for _, item in outcomes if isinstance(item, Rejected)]


def test_a_whole_walk(bootstrap: Any) -> None:
    """Two rounds, eleven tasks, and every way that one of them goes."""
    model = Script(
        "8. Describe the smell of rain to somebody who has never been outside.\n"
        "9. Draw a house.\n"  # black list, and too short: the first rule is the reason
        "10. Draw a house with a red roof and a dog.\n"
        "11. Explain to a child why the moon changes its own shape.\n"
        "12. Write a program that sorts the numbers.\n"
        "13. (Name the capital of any country.)\n"
        "14. Érik wants to know the time of the train.",
        "9. Describe the smell of rain to somebody who has never been inside.\n"
        "10. Decide whether the animal lays eggs.\n"
        "11. Tell me how many legs the insect has.",
        verdicts={"lays eggs": " Yes", "insect has": "Perhaps"},
        **{
            "smell of rain": "Example 1\nOutput: Earth and iron.\nExample 2\nInput: It is\nOutput: It is",
            "lays eggs": ("Class label: yes\nInput: a hen\nClass label: no\nInput: a cow\nClass label: y", "length"),
        },
    )
    outcomes = bootstrap(model, instructions=3, max_requests=2)
    assert created(outcomes) == [
        ("Describe the smell of rain to somebody who has never been outside.", "Earth and iron."),
        ("Decide whether the animal lays eggs.\n\na hen", "yes"),
        ("Decide whether the animal lays eggs.\n\na cow", "no"),
    ]
    assert rejected(outcomes) == [
        *("too-short", "unsuitable-word", "not-novel", "asks-for-a-program", "starts-with-punctuation"),
        *("starts-with-non-ascii", "not-novel", "no-verdict", "repeats-input", "cut-off"),
    ]
    assert len(model.listings) == 2
    assert "\n8. " not in model.listings[0], "there are but seven seeds"
    assert "Describe the smell of rain" in model.listings[1], "what was accepted is shown from then on"
    assert "Tell me how many" not in model.listings[1]


def test_parents_are_the_seeds_that_the_prompt_showed(bootstrap: Any) -> None:
    model = Script("5. Describe the smell of rain to somebody who has never been outside.")
    outcomes = bootstrap(model, instructions=1, seeds_shown=3, made_shown=0)
    [(key, item)] = [(key, item) for key, item in outcomes if isinstance(item, Created)]
    shown = model.listings[0]
    places = [shown.index(SEEDS[int(parent[1:])].partition("\n")[0]) for parent in item.parents]
    assert len(item.parents) == 3
    assert places == sorted(places)
    assert key == item.parents[0]
    assert sum(seed.partition("\n")[0] in shown for seed in SEEDS) == 3
    left = {key: verdict.reason for key, verdict in outcomes if isinstance(verdict, Drop)}
    assert left == {f"s{n}": "not-shown" for n in range(len(SEEDS)) if f"s{n}" not in item.parents}


def test_a_prompt_shows_six_seeds_and_two_of_the_models_own(bootstrap: Any) -> None:
    own = ["Describe the smell of rain to someone.", "Decide whether the animal lays eggs.", "How deep is that lake?"]
    model = Script("\n".join(f"{n}. {text}" for n, text in enumerate(own, 9)), "9. Spell the word backwards twice.")
    bootstrap(model, instructions=4)
    first, second = model.listings
    assert (sum(text in first for text in own), sum(text in second for text in own)) == (0, 2)
    assert sum(seed.partition("\n")[0].rstrip(":") in second for seed in SEEDS) == 6
    assert "9 to 16" in second
    assert "ladder" not in first + second, "an input is no part of a seed's instruction"


def test_requests_of_a_round_are_asked_together_and_judged_in_order(bootstrap: Any) -> None:
    same = "8. Describe the smell of rain to somebody who has never been outside."
    model = Script(same, same, "8. Decide whether the animal lays eggs.")
    outcomes = bootstrap(model, instructions=2, at_once=3)
    assert rejected(outcomes) == ["not-novel"]
    assert len(model.listings) == 3
    assert not any("smell of rain" in shown for shown in model.listings)


def test_the_threshold_itself_passes(bootstrap: Any) -> None:
    seeds = ["one two three four five six seven eight nine ten"]
    at, above = "One two three four five six seven x y z", "One two three four five six seven eight x y"
    outcomes = bootstrap(Script(f"2. {at}\n3. {above}"), seeds, instructions=2, max_requests=1)
    assert created(outcomes) == [(at, "Well.")]
    assert rejected(outcomes) == ["not-novel", "out-of-requests"]


def test_a_list_that_is_cut_off_or_is_none_gives_nothing_and_the_bound_ends_it(bootstrap: Any) -> None:
    cut = ("8. Describe the smell of rain to somebody who was never outside.\n9. Then", "length")
    outcomes = bootstrap(Script(cut, "I am a helpful assistant.", cut), instructions=5, max_requests=3)
    assert rejected(outcomes) == ["cut-off", "no-list", "cut-off", "out-of-requests"]
    [missing] = [item.detail for _, item in outcomes if isinstance(item, Rejected) and item.reason == "out-of-requests"]
    assert missing == "0 of 5 instructions after 3 requests"
    verdicts = [item for _, item in outcomes if isinstance(item, Drop)]
    assert len(verdicts) == len(SEEDS)
    assert {item.reason for item in verdicts} <= {"nothing-kept", "not-shown"}


def test_every_seed_is_answered_for_once_or_is_a_parent(bootstrap: Any) -> None:
    seeds = [*SEEDS, SEEDS[0], "?!"]
    outcomes = bootstrap(Script("8. Describe the smell of rain to somebody."), seeds, instructions=1, seeds_shown=4)
    named = {parent for _, item in outcomes if isinstance(item, Created) for parent in item.parents}
    verdicts = Counter(key for key, item in outcomes if isinstance(item, (Drop, Failed)))
    assert set(verdicts.values()) == {1}
    assert named | verdicts.keys() == {f"s{number}" for number in range(len(seeds))}
    assert not named & verdicts.keys()
    by_seed = {key: item for key, item in outcomes if isinstance(item, (Drop, Failed))}
    assert by_seed["s7"].reason == "same-instruction"
    assert by_seed["s8"].code == "E-FILTER-050"


REFUSED = Failed("E-BACKEND-027", "the model refused to answer")
RAIN = "Describe the smell of rain to somebody who has never been outside."
EGGS = "Decide whether the animal lays eggs."


def test_a_request_of_which_nothing_came_is_rejected_wherever_it_stands(bootstrap: Any) -> None:
    both = f"8. {RAIN}\n9. {EGGS}"
    model = Script(REFUSED, both, verdicts={"lays eggs": REFUSED}, **{"smell of rain": REFUSED})
    outcomes = bootstrap(model, instructions=1, at_once=2)
    assert rejected(outcomes) == ["request-failed"] * 3
    [detail] = {item.detail for _, item in outcomes if isinstance(item, Rejected)}
    assert detail == "E-BACKEND-027: the model refused to answer"
    stand_for = {key for key, item in outcomes if isinstance(item, Rejected)}
    failed = {key: item for key, item in outcomes if isinstance(item, Failed)}
    assert failed == dict.fromkeys(stand_for, REFUSED), "nothing at all came of these"


@pytest.mark.parametrize(
    ("lost", "code"), [(REFUSED, "E-BACKEND-027"), (("<think>Perhaps 8. A", "length"), "E-MODEL-020")]
)
def test_a_seed_that_something_was_made_of_has_not_failed(bootstrap: Any, lost: Wrote, code: str) -> None:
    """One seed alone, so that it stands under every prompt."""
    model = Script(f"2. {RAIN}\n3. {EGGS}", **{"lays eggs": lost})
    outcomes = bootstrap(model, SEEDS[:1], instructions=2, max_requests=1)
    assert created(outcomes) == [(RAIN, "Well.")]
    [reason] = [item for _, item in outcomes if isinstance(item, Rejected)]
    assert (reason.reason, reason.detail.partition(":")[0]) == ("request-failed", code)
    assert not any(isinstance(item, (Drop, Failed)) for _, item in outcomes)
    nothing = bootstrap(Script(f"2. {EGGS}", **{"lays eggs": lost}), SEEDS[:1], instructions=1)
    assert [item.code for _, item in nothing if isinstance(item, Failed)] == [code]


def test_a_round_of_failures_stops_the_step(bootstrap: Any) -> None:
    with pytest.raises(ModelError, match=r"E-GEN-020[\s\S]*the model refused"):
        bootstrap(Script(REFUSED, REFUSED), instructions=1, at_once=2)
    endless = ("<think>Perhaps 8. A", "length")
    with pytest.raises(ModelError, match=r"E-GEN-020[\s\S]*E-MODEL-020[\s\S]*max_tokens"):
        bootstrap(Script(endless), instructions=1)


@pytest.mark.parametrize("lost", ["tasks", "classification", "instances"])
def test_a_request_that_may_be_answered_later_ends_the_step_with_its_round(bootstrap: Any, lost: str) -> None:
    busy = Failed("E-BACKEND-026", "no usable answer in 5 tries: 503", transient=True)
    both = f"8. {RAIN}\n9. {EGGS}"
    model = {
        "tasks": Script(busy, both),
        "classification": Script(both, both, verdicts={"lays eggs": busy}),
        "instances": Script(both, both, **{"lays eggs": busy}),
    }[lost]
    with pytest.raises(ModelError, match=r"E-GEN-022: 1 of 2 requests[\s\S]*E-BACKEND-026: no usable answer"):
        bootstrap(model, instructions=2, at_once=2)
    assert len(model.asked) == {"tasks": 2, "classification": 4, "instances": 6}[lost], "the round to its end, no more"


@pytest.mark.parametrize("bad", ["\x00", "\ud83d"])
def test_a_task_that_is_no_text_is_lost_alone(bootstrap: Any, bad: str) -> None:
    model = Script(f"8. {RAIN}\n9. Tell me a {bad} tale about an old lighthouse keeper.", f"9. {EGGS}")
    outcomes = bootstrap(model, instructions=2)
    assert created(outcomes) == [(RAIN, "Well."), (EGGS, "Well.")]
    assert rejected(outcomes) == ["not-text"]
    assert not any(isinstance(item, Failed) for _, item in outcomes)


@pytest.mark.parametrize("name", ["classification", "input_first"])
def test_a_task_that_a_prompt_cannot_be_rendered_for_is_lost_alone(bootstrap: Any, tmp_path: Path, name: str) -> None:
    mine = tmp_path / "mine.jinja"
    mine.write_text("{{ {true: instruction}['eggs' not in instruction] }}")
    model = Script(f"8. {RAIN}\n9. {EGGS}")
    outcomes = bootstrap(model, instructions=2, prompts={name: str(mine)})
    assert created(outcomes) == [(RAIN, "Well.")]
    [item] = [item for _, item in outcomes if isinstance(item, Rejected)]
    assert (item.reason, item.detail[:11]) == ("request-failed", "E-DATA-033:")


def test_a_list_that_cannot_be_asked_for_is_lost_alone(bootstrap: Any, tmp_path: Path) -> None:
    mine = tmp_path / "mine.jinja"
    mine.write_text("{{ {true: tasks[0]}[tasks[0] != 'Name three rivers that flow into the Black Sea.'] }}")
    model = Script(f"2. {RAIN}", f"2. {EGGS}", "2. How deep is that lake of yours?")
    outcomes = bootstrap(
        model, SEEDS[:4], instructions=4, at_once=4, seeds_shown=1, made_shown=0, prompts={"instructions": str(mine)}
    )
    assert 0 < rejected(outcomes).count("request-failed") < 4
    assert created(outcomes)


def test_what_a_reasoning_model_drafts_is_no_end_of_its_answer(bootstrap: Any) -> None:
    """A server stops at a stop string wherever it comes; so none is sent, and the answer alone is cut."""
    lists = f"8. A draft of it.\n16. Hm.\n</think>8. {RAIN}\n16. One more than was asked for.\n17. And one"
    answer = "Hm.\nExample 6\nTask: this.\n</think>Example 1\nOutput: Earth.\nTask: Sing.\nExample 1\nOutput: La."
    model = Script((lists, "length"), **{"smell of rain": (answer, "length")})
    outcomes = bootstrap(model, instructions=1)
    assert created(outcomes) == [(RAIN, "Earth.")]
    assert rejected(outcomes) == []
    assert all(ask.stop == () for ask in model.asked)


@pytest.mark.parametrize("nasty", ["{{ 7 * 7 }} {% for x in y %}", "{0} %s \\n", "\x07\x1b[31m", "{# no #}"])
def test_row_text_arrives_byte_for_byte(bootstrap: Any, nasty: str) -> None:
    task = f"Describe the smell of {nasty} to somebody."
    model = Script(f"2. {task}")
    bootstrap(model, [f"Explain {nasty} to a child now."], instructions=1)
    assert model.asked[0].messages[1]["content"] == f"1. Explain {nasty} to a child now."
    assert all(task in ask.messages[-1]["content"] for ask in model.asked[1:])


@pytest.mark.parametrize(
    ("language", "tasks", "answer", "kept"),
    [
        (
            "ko",
            "8. 비 냄새를 한 번도 맡아 보지 못한 사람에게 설명하세요.\n9. 짧은 글.",
            "예시 1\n출력: 흙냄새입니다.",
            "흙냄새입니다.",
        ),
        (
            "ja",
            "8. 雨の匂いを嗅いだことのない人に説明してください。\n9. 短い文",
            "例 1\n出力: 土の匂いです。",
            "土の匂いです。",
        ),
    ],
)
def test_korean_and_japanese_have_rules_of_their_own(
    bootstrap: Any, language: str, tasks: str, answer: str, kept: str
) -> None:
    no = {"ko": "아니요", "ja": "いいえ"}[language]
    first = tasks.split("\n")[0][3:]
    again = f"{tasks}\n10. {first}"
    model = Script(again, verdicts={first: no}, **{first: answer})
    outcomes = bootstrap(model, instructions=1, language=language)
    assert created(outcomes) == [(first, kept)]
    assert rejected(outcomes) == ["too-short", "not-novel"]
    [item] = [item for _, item in outcomes if isinstance(item, Created)]
    assert item.record["language"] == language


def test_the_model_is_asked_as_published(bootstrap: Any) -> None:
    model = Script("8. Describe the smell of rain to somebody.\n9. Decide whether the animal lays eggs.")
    model.verdicts = {"lays eggs": "Yes"}
    bootstrap(model, instructions=2)
    tasks, *_, of_other, of_labels = model.asked
    assert (tasks.temperature, tasks.top_p, tasks.presence_penalty, tasks.max_tokens) == (0.7, 0.5, 2.0, 1024)
    assert (of_other.temperature, of_other.presence_penalty, of_other.max_tokens) == (0.0, 1.5, 350)
    assert any("Class label" in turn["content"] for turn in of_labels.messages)
    assert not any("Class label" in turn["content"] for turn in of_other.messages)


def test_a_model_that_thinks_first_gets_room_for_its_verdict(bootstrap: Any) -> None:
    model = Script(f"8. {RAIN}")
    bootstrap(model, instructions=1, verdict_tokens=512)
    assert [ask.max_tokens for ask in model.asked][:2] == [1024, 512]


def test_no_seeds_no_requests(bootstrap: Any) -> None:
    assert bootstrap(Script(), ["?!"], instructions=1)[0][1].code == "E-FILTER-050"
