"""The asking loop: order, windows, failures, and what a dialogue makes on the way."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_core.api import (
    Answer,
    AnswerRewards,
    Ask,
    Completion,
    Drop,
    Embed,
    Failed,
    Finished,
    LogProbs,
    Reply,
    Rewards,
    RowError,
    Vectors,
)
from itune_core.api import TokenLogProbs as Values
from itune_core.engine.asking import Question, at_once, drive

Dialogue = Generator[Any, Any, Any]


def ask(text: str) -> Ask:
    return Ask("m", [{"role": "user", "content": text}])


def answered(text: str) -> Answer:
    return Answer([Completion(text, "stop", 1, 1)])


class Echo:
    """Answers every question with its text in capitals and keeps the waves it was asked in."""

    def __init__(self) -> None:
        self.waves: list[list[tuple[str, str]]] = []

    def __call__(self, wave: Sequence[Question]) -> list[Reply | Failed]:
        self.waves.append([(question.key, _text(question)) for question in wave])
        return [answered(_text(question).upper()) for question in wave]


def _text(question: Question) -> str:
    assert isinstance(question.request, Ask)
    return str(question.request.messages[0]["content"])


def chain(key: str, turns: int) -> Dialogue:
    """Asks `turns` times, each question made from the answer before; makes every answer; returns their number."""
    text = key
    for turn in range(turns):
        answer = yield ask(f"{text}{turn}")
        text = answer.text
        yield text
    return turns


@given(lengths=st.lists(st.integers(0, 4), max_size=12), window=st.integers(1, 5))
def test_results_are_in_order_whatever_the_window(lengths: list[int], window: int) -> None:
    dialogues = [(f"k{number}", chain(f"k{number}", turns)) for number, turns in enumerate(lengths)]
    echo = Echo()
    finished = list(drive(dialogues, at_once(echo), window))
    assert [item.key for item in finished] == [key for key, _ in dialogues]
    assert [item.result for item in finished] == lengths
    for number, item in enumerate(finished):
        text, expected = f"k{number}", []
        for turn in range(lengths[number]):
            text = f"{text}{turn}".upper()
            expected.append(text)
        assert item.made == expected
    asked = [key for wave in echo.waves for key, _ in wave]
    assert sorted(asked) == sorted(f"k{n}" for n, turns in enumerate(lengths) for _ in range(turns))
    assert all(0 < len(wave) <= window for wave in echo.waves)


def test_a_wave_holds_the_requests_of_all_open_dialogues() -> None:
    echo = Echo()
    list(drive([("a", chain("a", 1)), ("b", chain("b", 3)), ("c", chain("c", 2))], at_once(echo), 8))
    assert echo.waves == [
        [("a", "a0"), ("b", "b0"), ("c", "c0")],
        [("b", "B01"), ("c", "C01")],
        [("b", "B012")],
    ]


def test_no_more_dialogues_are_opened_than_the_window_holds() -> None:
    opened: list[int] = []

    def dialogues() -> Iterator[tuple[str, Dialogue]]:
        for number in range(10):
            opened.append(number)
            yield str(number), chain(str(number), 1)

    results = drive(dialogues(), at_once(Echo()), 4)
    assert opened == []
    next(results)
    assert len(opened) == 4
    list(results)
    assert len(opened) == 10


def test_a_dialogue_that_asks_nothing_needs_no_answer() -> None:
    def quiet() -> Dialogue:
        yield "made"
        return Drop("quiet")

    def refuse(wave: Sequence[Question]) -> list[Reply | Failed]:
        raise AssertionError("nothing was asked")

    assert list(drive([("a", quiet())], at_once(refuse))) == [Finished("a", ["made"], Drop("quiet"))]
    assert list(drive([], at_once(refuse))) == []


def failing(wave: Sequence[Question]) -> list[Reply | Failed]:
    return [
        Failed("E-RUN-099", "too long") if "bad" in _text(question) else answered(_text(question)) for question in wave
    ]


def test_a_failure_is_raised_where_the_request_was_made() -> None:
    def careful(text: str) -> Dialogue:
        try:
            answer = yield ask(text)
        except RowError as error:
            caught = (error.code, error.what)
            answer = yield ask("good")
            return (caught, answer.text)
        return answer.text

    results = {
        item.key: item.result for item in drive([("a", careful("bad")), ("b", careful("fine"))], at_once(failing))
    }
    assert results == {"a": (("E-RUN-099", "too long"), "good"), "b": "fine"}


def test_a_failure_that_is_not_caught_ends_one_dialogue() -> None:
    def careless(text: str) -> Dialogue:
        yield "before"
        answer = yield ask(text)
        yield "after"
        return answer.text

    first, second = drive([("a", careless("bad")), ("b", careless("fine"))], at_once(failing))
    assert first == Finished("a", ["before"], Failed("E-RUN-099", "too long"))
    assert second == Finished("b", ["before", "after"], "fine")


def test_a_row_error_of_the_dialogue_itself_ends_it_as_failed() -> None:
    def broken() -> Dialogue:
        answer = yield ask("q")
        raise RowError(f"cannot read {answer.text!r}", "E-DATA-099", why="no number in it")

    [finished] = drive([("a", broken())], at_once(Echo()))
    assert finished.result == Failed("E-DATA-099", "cannot read 'Q': no number in it")


def test_any_other_error_is_a_bug_and_is_not_swallowed() -> None:
    def buggy() -> Dialogue:
        yield ask("q")
        raise KeyError("typo")

    with pytest.raises(KeyError, match="typo"):
        list(drive([("a", buggy())], at_once(Echo())))


def test_an_answerer_that_loses_a_reply_is_noticed() -> None:
    with pytest.raises(ValueError, match="argument"):
        list(drive([("a", chain("a", 1)), ("b", chain("b", 1))], at_once(lambda wave: [answered("only one")])))


@pytest.mark.parametrize(
    ("request_", "reply"),
    [
        (LogProbs("m", [], [{"role": "assistant", "content": "a"}]), Values([-1.0, -0.5])),
        (Rewards("m", [], [[{"role": "assistant", "content": "a"}]]), AnswerRewards([0.5])),
        (Embed("m", ["a"]), Vectors([[1.0, 0.0]])),
    ],
)
def test_every_kind_of_request_is_answered(request_: LogProbs | Rewards | Embed, reply: Reply) -> None:
    def dialogue() -> Dialogue:
        return (yield request_)

    answer: Callable[[Sequence[Question]], list[Reply | Failed]] = lambda wave: [reply for _ in wave]  # noqa: E731
    [finished] = drive([("a", dialogue())], at_once(answer))
    assert finished.result is reply


def test_requests_in_a_list_are_asked_together_and_answered_in_order() -> None:
    """A failure stands in its place; nothing is raised."""

    def several() -> Dialogue:
        replies = yield [ask("one"), ask("bad"), ask("three")]
        last = yield ask("last")
        return [reply.message if isinstance(reply, Failed) else reply.text for reply in replies], last.text

    waves: list[list[str]] = []

    def backwards(questions: Sequence[Question]) -> list[tuple[Question, Reply | Failed]]:
        waves.append([_text(question) for question in questions])
        return list(reversed(list(zip(questions, failing(questions), strict=True))))

    [finished] = drive([("a", several())], backwards)
    assert finished.result == (["one", "too long", "three"], "last")
    assert waves == [["one", "bad", "three"], ["last"]]


def test_an_empty_list_asks_nothing_and_a_list_of_other_things_is_made() -> None:
    def dialogue() -> Dialogue:
        replies = yield []
        nothing = yield [1, 2]
        return replies, nothing

    [finished] = drive([("a", dialogue())], at_once(failing))
    assert finished == Finished("a", [[1, 2]], ([], None))


@given(delays=st.lists(st.integers(0, 6), max_size=10), window=st.integers(1, 4), turns=st.integers(1, 3))
def test_replies_in_any_order_give_the_same_results_in_order(delays: list[int], window: int, turns: int) -> None:
    """A slow reply holds up its own dialogue and those behind it that cannot be opened, none else."""
    open_: dict[Question, int] = {}

    def slowly(questions: Sequence[Question]) -> list[tuple[Question, Reply | Failed]]:
        open_.update((question, delays[int(question.key)]) for question in questions)
        assert len(open_) <= window
        quickest = min(open_.values())
        ready = [question for question, left in open_.items() if left == quickest]
        for question in ready:
            del open_[question]
        return [(question, answered(_text(question).upper())) for question in ready]

    dialogues = [(str(number), chain(str(number), turns)) for number in range(len(delays))]
    finished = list(drive(dialogues, slowly, window))
    assert [item.key for item in finished] == [key for key, _ in dialogues]
    assert all(len(item.made) == turns for item in finished)


def test_an_exchange_that_answers_nothing_is_noticed() -> None:
    with pytest.raises(RuntimeError, match="1 questions are open"):
        list(drive([("a", chain("a", 1))], lambda questions: []))


def test_a_repeated_draw_is_another_one_whatever_was_asked_between() -> None:
    """A dialogue that skips a turn, because a better parser asks nothing twice, asks the rest as before."""

    def drawn(text: str, model: str = "m") -> Ask:
        return Ask(model, [{"role": "user", "content": text}], temperature=1.0)

    def dialogue(again: bool) -> Dialogue:
        yield [drawn("one"), drawn("one", "other"), ask("greedy")]
        if again:
            yield drawn("complaint")
        yield drawn("one")
        yield [drawn("two"), drawn("two"), ask("greedy")]

    seen: dict[bool, list[tuple[str, int]]] = {}
    for again in (True, False):
        asked = seen[again] = []

        def answer(questions: Sequence[Question], asked: list[tuple[str, int]] = asked) -> list[Reply | Failed]:
            asked += [(_text(question), question.repeat) for question in questions]
            return [answered("x") for _ in questions]

        list(drive([("a", dialogue(again))], at_once(answer)))
    plain = [("one", 0), ("one", 0), ("greedy", 0), ("one", 1), ("two", 0), ("two", 1), ("greedy", 0)]
    assert seen == {False: plain, True: [*plain[:3], ("complaint", 0), *plain[3:]]}


@given(order=st.randoms(use_true_random=False), window=st.integers(1, 5))
def test_two_loops_over_one_exchange_may_be_read_side_by_side(order: Random, window: int) -> None:
    """What comes in while one is read may be for the other: a dialogue goes on whoever heard its reply."""
    waiting: list[Question] = []

    def exchange(questions: Sequence[Question]) -> list[tuple[Question, Reply | Failed]]:
        waiting.extend(questions)
        question = waiting.pop(order.randrange(len(waiting)))
        return [(question, answered(_text(question).upper()))]

    one, other = (drive(((key, chain(key, 2)) for key in keys), exchange, window) for keys in ("abcde", "vwxyz"))
    pairs = list(zip(one, other, strict=True))
    assert [(first.key, second.key) for first, second in pairs] == [*zip("abcde", "vwxyz", strict=True)]
    assert all(
        finished.made == [f"{finished.key.upper()}0", f"{finished.key.upper()}01"]
        for pair in pairs
        for finished in pair
    )
    assert not waiting
