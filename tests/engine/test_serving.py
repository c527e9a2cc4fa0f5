"""Serving: the journal answers first, what is asked enters it, failures do not."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest

from itune_core.api import (
    Answer,
    AnswerRewards,
    Ask,
    Backend,
    Choices,
    Completion,
    Embed,
    Failed,
    LogProbs,
    OptionLogProbs,
    Reply,
    Rewards,
    TokenLogProbs,
    Vectors,
    message,
)
from itune_core.api.randomness import derive_seed
from itune_core.engine.asking import Question
from itune_core.engine.journal import Journal
from itune_core.engine.opened import Served
from itune_core.engine.serving import Serving


class Echo(Backend):
    """Answers with the last message and the seed; fails on the word "fail"."""

    needs_weights = False

    def __init__(self) -> None:
        super().__init__(None)
        self.asked: list[object] = []
        self.opened = self.closed = 0

    def open(self, source: object) -> None:
        self.opened += 1

    def close(self) -> None:
        self.closed += 1

    def generate(self, requests: Sequence[tuple[Ask, Sequence[int]]]) -> Iterable[Answer | Failed]:
        for ask, seeds in requests:
            self.asked.append(ask)
            text = str(ask.messages[-1]["content"])
            if text == "fail":
                yield Failed("E-BACKEND-001", "refused")
            else:
                yield Answer(tuple(Completion(f"{text} {seed}", "stop", 1, 1) for seed in seeds))

    def logprobs(self, requests: Sequence[LogProbs]) -> Iterable[TokenLogProbs]:
        self.asked += requests
        return [TokenLogProbs([-0.5] * len(request.completion)) for request in requests]

    def choices(self, requests: Sequence[Choices]) -> Iterable[OptionLogProbs]:
        self.asked += requests
        return [OptionLogProbs([-1.0 - place for place in range(len(request.options))]) for request in requests]

    def rewards(self, requests: Sequence[Rewards]) -> Iterable[AnswerRewards | Failed]:
        for request in requests:
            self.asked.append(request)
            lengths = [float(len(turns[-1]["content"])) for turns in request.completions]
            yield Failed("E-BACKEND-004", "too long") if max(lengths) > 9 else AnswerRewards(lengths)

    def embed(self, requests: Sequence[Embed]) -> Iterable[Vectors]:
        self.asked += requests
        return [Vectors([[float(len(text)), 0.0] for text in request.texts]) for request in requests]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal(tmp_path / "journal.sqlite")
    yield opened
    opened.close()


def _serving(journal: Journal, backend: Backend, identity: str = "m") -> Serving:
    return Serving(lambda name: Served(backend, None, identity), journal, lambda *place: derive_seed(0, *place))


def _all(serving: Serving, questions: Sequence[Question]) -> list[Reply | Failed]:
    """The replies to all of them, in order."""
    replies: dict[Question, Reply | Failed] = dict(serving.exchange(questions))
    while len(replies) < len(questions):
        replies |= serving.exchange([])
    return [replies[question] for question in questions]


def _ask(text: str, **options: object) -> Ask:
    return Ask("m", (message("user", text),), **options)  # type: ignore[arg-type]


def test_a_second_time_nothing_is_asked(journal: Journal) -> None:
    wave = [Question("a", 0, _ask("one", temperature=1.0, n=3)), Question("b", 0, _ask("two"))]
    first = Echo()
    replies = _all(_serving(journal, first), wave)
    second = Echo()
    assert _all(_serving(journal, second), wave) == replies
    assert (len(first.asked), len(second.asked), second.opened) == (4, 0, 0)


def test_each_draw_has_its_own_seed_and_its_own_answer(journal: Journal) -> None:
    (reply,) = _all(_serving(journal, Echo()), [Question("a", 0, _ask("hi", temperature=1.0, n=4))])
    assert isinstance(reply, Answer)
    assert len(set(reply.texts)) == 4


def test_more_draws_ask_only_for_those_that_are_missing(journal: Journal) -> None:
    serving = _serving(journal, Echo())
    (few,) = _all(serving, [Question("a", 0, _ask("hi", temperature=1.0, n=2))])
    (more,) = _all(serving, [Question("a", 0, _ask("hi", temperature=1.0, n=5))])
    assert isinstance(few, Answer)
    assert isinstance(more, Answer)
    assert more.texts[:2] == few.texts
    assert (serving.asked, serving.recalled) == (5, 2)


def test_two_records_with_one_greedy_question_share_its_answer(journal: Journal) -> None:
    backend = Echo()
    replies = _all(_serving(journal, backend), [Question("a", 0, _ask("hi")), Question("b", 0, _ask("hi", n=2))])
    assert len(backend.asked) == 1
    assert isinstance(replies[1], Answer)
    assert replies[1].texts == ["hi 0", "hi 0"]


def test_two_records_with_one_sampled_question_draw_apart(journal: Journal) -> None:
    replies = _all(_serving(journal, Echo()), [Question(key, 0, _ask("hi", temperature=1.0)) for key in "ab"])
    assert replies[0] != replies[1]


def test_failures_are_not_kept(journal: Journal) -> None:
    backend = Echo()
    wave = [Question("a", 0, _ask("fail")), Question("b", 0, _ask("fine"))]
    for _ in range(2):
        failed, fine = _all(_serving(journal, backend), wave)
        assert failed == Failed("E-BACKEND-001", "refused")
        assert isinstance(fine, Answer)
    assert [ask.messages[-1]["content"] for ask in backend.asked] == ["fail", "fine", "fail"]  # type: ignore[attr-defined]


def test_another_model_is_another_question(journal: Journal) -> None:
    backend = Echo()
    for identity in ("one", "two"):
        _all(_serving(journal, backend, identity), [Question("a", 0, _ask("hi"))])
    assert len(backend.asked) == 2


def test_embeddings_are_kept_by_text(journal: Journal) -> None:
    backend = Echo()
    serving = _serving(journal, backend)
    _all(serving, [Question("a", 0, Embed("m", ("x", "yy")))])
    (reply,) = _all(serving, [Question("b", 0, Embed("m", ("yy", "zzz")))])
    assert isinstance(reply, Vectors)
    assert list(map(list, reply.values)) == [[2.0, 0.0], [3.0, 0.0]]
    assert [request.texts for request in backend.asked] == [("x",), ("yy",), ("zzz",)]  # type: ignore[attr-defined]


def test_a_vector_is_the_same_when_it_is_asked_for_and_when_it_is_recalled(journal: Journal) -> None:
    """It is kept as float32, so that is what is handed on the first time, too."""
    backend = Echo()
    backend.embed = lambda requests: [Vectors([[1 / 3, -2 / 3, 1e-30]])]  # type: ignore[method-assign]
    serving = _serving(journal, backend)
    first, again = (_all(serving, [Question("a", 0, Embed("m", ("x",)))])[0] for _ in range(2))
    assert isinstance(first, Vectors)
    assert first == again
    assert serving.recalled == 1
    assert list(first.values[0]) == [struct.unpack("f", struct.pack("f", value))[0] for value in (1 / 3, -2 / 3, 1e-30)]


def test_options_are_kept_together_and_in_order(journal: Journal) -> None:
    asked = [message("user", "Yes or no?")]
    backend = Echo()
    serving = _serving(journal, backend)
    (first,) = _all(serving, [Question("a", 0, Choices("m", asked, ("Yes", "No")))])
    assert first == OptionLogProbs([-1.0, -2.0])
    (again,) = _all(serving, [Question("b", 0, Choices("m", asked, ("Yes", "No")))])
    assert again == first
    assert len(backend.asked) == 1
    _all(serving, [Question("b", 0, Choices("m", asked, ("No", "Yes")))])
    assert len(backend.asked) == 2


def test_rewards_are_kept_by_completion(journal: Journal) -> None:
    """More answers to the same prompt cost only what is new; one that cannot be judged fails its request alone."""
    asked = [message("user", "Why?")]

    def judge(*answers: str) -> Rewards:
        return Rewards("m", asked, [[message("assistant", answer)] for answer in answers])

    backend = Echo()
    serving = _serving(journal, backend)
    first, failed = _all(serving, [Question("a", 0, judge("x", "yy")), Question("b", 0, judge("x", "much too long"))])
    assert first == AnswerRewards([1.0, 2.0])
    assert failed == Failed("E-BACKEND-004", "too long")
    (again,) = _all(serving, [Question("c", 0, judge("yy", "zzz", "x"))])
    assert again == AnswerRewards([2.0, 3.0, 1.0])
    judged = [turns[-1]["content"] for request in backend.asked for turns in request.completions]  # type: ignore[attr-defined]
    assert judged == ["x", "yy", "much too long", "zzz"]
    assert all(list(request.prompt) == [{"role": "user", "content": "Why?"}] for request in backend.asked)  # type: ignore[attr-defined]


def test_scores_come_back_in_order_across_kinds(journal: Journal) -> None:
    turn = message("assistant", "A")
    wave = [
        Question("a", 0, LogProbs("m", (), (turn, turn))),
        Question("b", 0, _ask("hi")),
        Question("c", 0, LogProbs("m", (), (turn,))),
    ]
    serving = _serving(journal, backend := Echo())
    two, answer, one = _all(serving, wave)
    assert (two, one) == (TokenLogProbs([-0.5, -0.5]), TokenLogProbs([-0.5]))
    assert isinstance(answer, Answer)
    serving.close()
    assert (backend.opened, backend.closed) == (1, 1)


def test_a_model_that_is_done_with_makes_room(journal: Journal) -> None:
    backends = {name: Echo() for name in ("first", "second", "third")}
    serving = Serving(lambda name: Served(backends[name], None, name), journal, lambda *place: 0)
    for number, name in enumerate(["first", "second", "first", "third", "first"]):
        _all(serving, [Question("a", 0, Ask(name, (message("user", str(number)),)))])
    assert [(backend.opened, backend.closed) for backend in backends.values()] == [(1, 0), (1, 1), (1, 0)]
    serving.close()
    assert [(backend.opened, backend.closed) for backend in backends.values()] == [(1, 1), (1, 1), (1, 1)]


def test_what_was_answered_under_another_limit_is_asked_again(journal: Journal) -> None:
    """A row that is too long fails and is not kept: found under a smaller limit, an answer would hide that."""
    backend = Echo()
    serving = _serving(journal, backend)
    asked, answer = [message("user", "Why?")], [message("assistant", "Because.")]
    for limit, expected in ((100, 1), (50, 2), (100, 2)):
        _all(serving, [Question("a", 0, LogProbs("m", asked, answer, limit))])
        assert len(backend.asked) == expected


def test_the_order_of_a_schemas_fields_is_part_of_the_question(journal: Journal) -> None:
    """A judge that rates before it gives its reasons answers otherwise than one that thinks first."""
    backend = Echo()
    for fields in (("reason", "rating"), ("rating", "reason"), ("reason", "rating")):
        schema = {"type": "object", "properties": {name: {"type": "string"} for name in fields}}
        _all(_serving(journal, backend), [Question("a", 0, _ask("x", schema=schema))])
    assert len(backend.asked) == 2
