"""Evol-Instruct on a scripted model: every operation, the four rules of elimination, and the chain of rounds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

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
    Rejected,
    Reply,
    Request,
    features,
    message,
    prompt,
)
from itune_core.testing import BenchContext
from itune_generators.evol_instruct import OPERATIONS, EvolInstruct, Operation
from itune_generators.evolving.reading import evolved_in

SEED = "Name a fruit that ripens in autumn."
EVOLVED = "Name a fruit that ripens in autumn and say in which soil its tree grows best."
ANSWER = "The quince, in warm and heavy soil."

Wrote = str | tuple[str, str] | Failed


class Script:
    """Gives these answers in turn; keeps what it was asked."""

    def __init__(self, *answers: Wrote) -> None:
        self.answers = iter(answers)
        self.asked: list[Ask] = []

    def __call__(self, request: Request) -> Reply | Failed:
        assert isinstance(request, Ask)
        self.asked.append(request)
        answer = next(self.answers)
        if isinstance(answer, Failed):
            return answer
        text, finish = (answer, "stop") if isinstance(answer, str) else answer
        return Answer([Completion(text, finish, 20, 10)])

    @property
    def texts(self) -> list[str]:
        return [ask.messages[-1]["content"] for ask in self.asked]


@pytest.fixture
def evolve(tmp_path: Path) -> Callable[..., list[Any]]:
    """What is made of one instruction, in order."""

    def run(model: Callable[[Request], Any], seed: str = SEED, before: Any = (), **settings: Any) -> list[Any]:
        common = {name: settings.pop(name) for name in ("references", "task", "language_of_row") if name in settings}
        row = {**prompt([*before, message("user", seed)], **common), "id": "seed"}
        rows = datasets.Dataset.from_list([row], features=features(Kind.PROMPT))
        component = EvolInstruct(EvolInstruct.Config(model="teacher", **settings))
        context = BenchContext(tmp_path, reply=model)
        made = list(component.itune_generate(inputs={"records": rows}, context=context))
        assert {key for key, _ in made} == {"seed"}
        return [item for _, item in made]

    return run


@pytest.mark.parametrize("language", ["en", "ko", "ja"])
@pytest.mark.parametrize("operation", get_args(Operation))
def test_every_operation_asks_in_its_own_words(evolve: Any, operation: str, language: str) -> None:
    model = Script(EVOLVED, ANSWER)
    [child] = evolve(model, rounds=1, operations=[operation], language=language, task="fruit", references=["A pear."])
    assert [turn["content"] for turn in child.record["messages"]] == [EVOLVED, ANSWER]
    assert child.parents == ["seed"]
    assert f'"operation": "{operation}"' in child.record["meta"]
    assert (child.record["task"], child.record["references"]) == ("fruit", [])
    assert f"<instruction>\n{SEED}\n</instruction>" in model.texts[0]
    assert model.texts[1] == EVOLVED
    others = []
    for other in OPERATIONS:
        again = Script(EVOLVED, ANSWER)
        evolve(again, rounds=1, operations=[other], language=language)
        others.append(again.texts[0])
    assert others.count(model.texts[0]) == 1, "no two operations ask alike"


def test_each_round_evolves_what_the_last_one_made_and_names_it(evolve: Any) -> None:
    texts = [f"{SEED} Rule {number} holds." for number in (1, 2, 3)]
    answers = ("One.", "Two apples.", "Three pears.")
    model = Script(*(text for wrote in zip(texts, answers, strict=True) for text in wrote))
    first, second, third = evolve(model, rounds=3)
    assert (first.parents, second.parents, third.parents) == (["seed"], [first], [second])
    assert [text in asked for text, asked in zip([SEED, *texts], model.texts[::2], strict=False)] == [True] * 3
    assert '"round": 3' in third.record["meta"]


def test_a_failed_one_is_put_back_and_tried_again(evolve: Any) -> None:
    longer = f"{EVOLVED} Why there?"
    model = Script(
        "I rewrote the given prompt.", EVOLVED, ANSWER, "#Rewritten Prompt#: more", longer, "It holds water."
    )
    rejected, first, again, second = evolve(model, rounds=4)
    assert (rejected.reason, again.reason) == ("copied-prompt-words", "copied-prompt-words")
    assert f"\n{SEED}\n" in model.texts[1], "the same instruction again"
    assert f"\n{EVOLVED}\n" in model.texts[4]
    assert second.parents == [first]
    assert second.record["messages"][-1]["content"] == "It holds water."
    assert rejected.detail.startswith("round 1, ")


@pytest.mark.parametrize(
    ("wrote", "reason", "asked"),
    [
        ([EVOLVED, "equal"], "no-information-gain", 2),
        ([f"  {SEED}\n"], "no-information-gain", 1),
        ([EVOLVED, "I think so"], "no-verdict", 2),
        ([EVOLVED, "different", "I am sorry, I cannot say."], "sorry", 3),
        ([EVOLVED, "different", "And so on ..."], "only-stop-words", 3),
        (["The rewritten prompt asks for more."], "copied-prompt-words", 1),
        ([f"New instruction: {EVOLVED}"], "copied-prompt-words", 1),
        ([f"**새 지시문:** {EVOLVED}"], "copied-prompt-words", 1),
        ([f"新しい指示文：{EVOLVED}"], "copied-prompt-words", 1),
        ([f"<instruction>\n{EVOLVED}\n</instruction>\nThis one is harder."], "copied-prompt-words", 1),
        ([" \n"], "empty", 1),
        ([EVOLVED, "different", ""], "empty", 3),
        ([(EVOLVED, "length")], "cut-off", 1),
        ([EVOLVED, "different", (ANSWER, "length")], "cut-off", 3),
        ([("<think>A nut, or", "length")], "cut-off", 1),
        ([EVOLVED, "different", ("<think>In which", "length")], "cut-off", 3),
        ([EVOLVED, ("<think>Both ask", "length")], "no-verdict", 2),
        (["A nut\x00 and a fruit."], "not-text", 1),
    ],
)
def test_the_rules_of_elimination(evolve: Any, wrote: list[Wrote], reason: str, asked: int) -> None:
    model = Script(*wrote)
    rejected, dropped = evolve(model, rounds=1, judge="judge")
    assert isinstance(rejected, Rejected)
    assert rejected.reason == reason
    assert dropped == Drop("no-evolution", f"{reason} 1")
    assert len(model.asked) == asked


def test_an_endless_thought_does_not_end_the_chain(evolve: Any) -> None:
    model = Script(EVOLVED, ANSWER, ("<think>hmm", "length"), f"{EVOLVED} Why there?", "It holds water.")
    first, rejected, second = evolve(model, rounds=3)
    assert rejected.reason == "cut-off"
    assert "E-MODEL-020" not in rejected.detail
    assert "still thinking" in rejected.detail
    assert second.parents == [first]


def test_a_judge_that_thinks_first_gets_room_for_it(evolve: Any) -> None:
    model = Script(EVOLVED, "<think>One asks for soil.</think>different", ANSWER)
    [child] = evolve(model, rounds=1, judge="judge", verdict_tokens=512)
    assert isinstance(child, Created)
    assert [(ask.model, ask.max_tokens) for ask in model.asked][1] == ("judge", 512)


def test_an_apology_is_no_fault_where_the_parent_has_one(evolve: Any) -> None:
    [made] = evolve(Script(EVOLVED, "I am sorry, said the quince."), seed=f"{SEED} Say sorry first.", rounds=1)
    assert isinstance(made, Created)
    [made] = evolve(Script(EVOLVED, "I am sorry, said the quince."), rounds=1, references=["Sorry, a pear."])
    assert isinstance(made, Created)


def test_judge_and_responder_may_be_other_models(evolve: Any) -> None:
    model = Script(EVOLVED, "Different.", ANSWER)
    [made] = evolve(model, rounds=1, judge="judge", responder="other", temperature=0.5, top_p=0.9, max_tokens=70)
    assert [ask.model for ask in model.asked] == ["teacher", "judge", "other"]
    assert [(ask.temperature, ask.top_p, ask.max_tokens) for ask in model.asked] == [
        *((0.5, 0.9, 70), (0.0, 1.0, 8), (0.5, 0.9, 70))
    ]
    assert '"model": "other"' in made.record["meta"]
    assert SEED in model.texts[1]
    assert EVOLVED in model.texts[1]


def test_a_cut_answer_is_kept_on_request_a_cut_instruction_never(evolve: Any) -> None:
    [made] = evolve(Script(EVOLVED, (ANSWER, "length")), rounds=1, unfinished="keep")
    assert isinstance(made, Created)
    assert evolve(Script((EVOLVED, "length")), rounds=1, unfinished="keep")[0].reason == "cut-off"


def test_turns_before_the_instruction_are_kept_and_not_shown(evolve: Any) -> None:
    before = [message("system", "Be brief."), message("user", "Hello."), message("assistant", "Hello?")]
    model = Script(EVOLVED, ANSWER)
    [made] = evolve(model, before=before, rounds=1)
    assert [turn["content"] for turn in made.record["messages"]] == ["Be brief.", "Hello.", "Hello?", EVOLVED, ANSWER]
    assert "Be brief." not in model.texts[0]
    assert len(model.asked[1].messages) == 4


@pytest.mark.parametrize("at", [0, 1, 2, 4])
def test_a_request_that_fails_fails_the_record_and_what_was_made_stays(evolve: Any, at: int) -> None:
    wrote: list[Wrote] = [EVOLVED, "different", ANSWER, f"{EVOLVED} Why?", "different", "So it is."]
    wrote[at] = Failed("E-BACKEND-099", "the server hung up")
    *made, last = evolve(Script(*wrote), rounds=2, judge="judge")
    assert isinstance(last, Failed)
    assert last.code == "E-BACKEND-099"
    assert len(made) == (at > 2)


@pytest.mark.parametrize("nasty", ["{{ 7 * 7 }} {% for x in y %}", "{0} %s \\n", "\x07\x1b[31m", "{# no #}"])
@pytest.mark.parametrize("operation", ["breadth", "reasoning"])
def test_row_text_arrives_byte_for_byte(evolve: Any, nasty: str, operation: str) -> None:
    model = Script(f"Explain {nasty} now.", "different", ANSWER)
    [made] = evolve(model, seed=f"Explain {nasty}.", rounds=1, judge="judge", operations=[operation])
    assert f"Explain {nasty}.\n</instruction>" in model.texts[0]
    assert f"Explain {nasty}." in model.texts[1]
    assert made.record["messages"][0]["content"] == f"Explain {nasty} now."


def test_operations_are_drawn_uniformly_and_each_by_its_record(tmp_path: Path) -> None:
    number = 600
    rows = [{**prompt([message("user", SEED)]), "id": f"row {n}"} for n in range(number)]
    data = datasets.Dataset.from_list(rows, features=features(Kind.PROMPT))
    component = EvolInstruct(EvolInstruct.Config(model="teacher", rounds=1))

    def drawn(data: datasets.Dataset) -> dict[str, str]:
        def reply(request: Request) -> Reply:
            text = EVOLVED if "<instruction>" in request.messages[-1]["content"] else ANSWER  # type: ignore[union-attr]
            return Answer([Completion(text, "stop", 1, 1)])

        made = component.itune_generate(inputs={"records": data}, context=BenchContext(tmp_path, reply=reply))
        return {key: item.record["meta"] for key, item in made if isinstance(item, Created)}

    found = drawn(data)
    assert drawn(data.select(range(number - 1, -1, -1))) == found
    counts = Counter(found.values())
    assert len(counts) == len(OPERATIONS)
    expected = number / len(OPERATIONS)
    assert sum((count - expected) ** 2 / expected for count in counts.values()) < 20.5  # chi2, 5 degrees, p = 0.001


@pytest.mark.parametrize(
    ("text", "instruction"),
    [
        (f"\n {EVOLVED} \n", EVOLVED),
        (f"<instruction>\n{EVOLVED}\n</instruction>", EVOLVED),
        (f"<instruction>{EVOLVED}", EVOLVED),
        (f'"{EVOLVED}"', EVOLVED),
        (f"Instruction: {EVOLVED}", EVOLVED),
        ('"One" or "two"?', '"One" or "two"?'),
        ("#Rewritten Prompt#: Do it.", "#Rewritten Prompt#: Do it."),
        ("<instruction></instruction>", ""),
    ],
)
def test_what_is_read_of_an_answer(text: str, instruction: str) -> None:
    assert evolved_in(text) == instruction


def test_greedy_an_operation_that_failed_is_not_asked_again_for_the_same_instruction(evolve: Any) -> None:
    """The same question would have the same answer; for another instruction it is drawn again."""
    given = ["deepening", "reasoning", "breadth"]
    copied = "The rewritten prompt asks for more."
    model = Script(copied, copied, EVOLVED, ANSWER, copied, copied, copied)
    *failed, dropped = evolve(Script(*[copied] * 3), rounds=6, operations=given, temperature=0)
    tried = [item.detail.split(":")[0].rsplit(", ")[-1] for item in failed[:3]]
    assert sorted(tried) == sorted(given)
    assert failed[3] == Rejected("no-operation-left", "from round 4 on: at temperature 0 all fail as before")
    assert dropped == Drop("no-evolution", "copied-prompt-words 3")
    made = evolve(model, rounds=9, operations=given, temperature=0)
    assert [type(item) for item in made].count(Created) == 1
    assert len(set(model.texts)) == len(model.texts) == 7, "no question is asked twice"
    assert made[-1].reason == "no-operation-left"


def test_drawn_with_chance_an_operation_that_failed_may_come_again(evolve: Any) -> None:
    model = Script(*["The rewritten prompt asks for more."] * 3)
    *failed, _ = evolve(model, rounds=3, operations=["breadth"], temperature=0.5)
    assert [item.reason for item in failed] == ["copied-prompt-words"] * 3
