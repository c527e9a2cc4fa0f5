"""Serving a model that is asked concurrently: replies are kept as they come, and none is lost with an error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from threading import Timer

import pytest

from itune_core.api import (
    Answer,
    AnswerRewards,
    Ask,
    Backend,
    Completion,
    Embed,
    Failed,
    ModelError,
    Reply,
    Request,
    Rewards,
    Spent,
    Vectors,
    message,
)
from itune_core.engine.asking import Question, drive
from itune_core.engine.journal import Journal
from itune_core.engine.serving import Served, Serving


class Server(Backend):
    """Answers when it is told to. Every answer costs three tokens read and one written."""

    needs_weights = False
    concurrent = True

    def __init__(self) -> None:
        super().__init__(None)
        self.requests: list[tuple[Request, int]] = []
        self.futures: list[Future[Reply | Failed]] = []
        self.due = Spent()
        self.closed = 0

    def close(self) -> None:
        self.closed += 1

    def submit(self, request: Request, seed: int) -> Future[Reply | Failed]:
        self.requests.append((request, seed))
        self.futures.append(Future())
        return self.futures[-1]

    def charged(self) -> Spent:
        due, self.due = self.due, Spent()
        return due

    def figures(self) -> dict[str, float]:
        return {"requests": float(len(self.requests))}

    def reply(self, number: int, reply: Reply | Failed | None = None) -> None:
        """Answer request `number`, by default with its text in capitals."""
        request, _ = self.requests[number]
        self.due += Spent(3, 1)
        if reply is None:
            assert isinstance(request, Ask)
            reply = Answer([Completion(str(request.messages[-1]["content"]).upper(), "stop", 3, 1)])
        self.futures[number].set_result(reply)


class Local(Backend):
    """Computes; keeps the batches it was given."""

    needs_weights = False

    def __init__(self) -> None:
        super().__init__(None)
        self.batches: list[int] = []

    def generate(self, requests: Sequence[tuple[Ask, Sequence[int]]]) -> Iterator[Answer]:
        self.batches.append(len(requests))
        return (Answer([Completion("local", "stop", 1, 1)]) for _ in requests)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal(tmp_path / "journal.sqlite")
    yield opened
    opened.close()


def _serving(journal: Journal, **backends: Backend) -> Serving:
    return Serving(lambda name: Served(backends[name], None, f"id of {name}"), journal, lambda *place: place[-1] + 1)


def _ask(text: str, model: str = "server", **options: object) -> Ask:
    return Ask(model, (message("user", text),), **options)  # type: ignore[arg-type]


def _texts(done: Sequence[tuple[Question, Reply | Failed]]) -> dict[str, object]:
    return {q.key: reply.text if isinstance(reply, Answer) else reply for q, reply in done}


def test_replies_come_back_as_they_come_in(journal: Journal) -> None:
    server = Server()
    serving = _serving(journal, server=server)
    asked = [Question(key, 0, _ask(key)) for key in "abc"]
    Timer(0.05, server.reply, [2]).start()
    assert _texts(serving.exchange(asked)) == {"c": "C"}
    server.reply(0)
    assert _texts(serving.exchange([])) == {"a": "A"}
    server.reply(1)
    assert _texts(serving.exchange([])) == {"b": "B"}
    assert serving.exchange([]) == []
    assert serving.asked == 3


def test_what_came_in_is_not_asked_again_though_an_earlier_one_is_still_waited_for(journal: Journal) -> None:
    """The run ends while the first of three is open: only that one is repeated."""
    server = Server()
    asked = [Question(key, 0, _ask(key)) for key in "abc"]
    serving = _serving(journal, server=server)
    Timer(0.05, server.reply, [2]).start()
    serving.exchange(asked)
    server.reply(1)  # comes in unseen, while the step is closed
    serving.close()
    assert server.closed == 1
    again = Server()
    second = _serving(journal, server=again)
    assert _texts(second.exchange(asked)) == {"b": "B", "c": "C"}
    assert [request.messages[-1]["content"] for request, _ in again.requests] == ["a"]  # type: ignore[union-attr]
    assert second.recalled == 2


def test_one_question_of_two_records_is_sent_once(journal: Journal) -> None:
    server = Server()
    serving = _serving(journal, server=server)
    Timer(0.05, server.reply, [0]).start()
    done = serving.exchange([Question("a", 0, _ask("same")), Question("b", 0, _ask("same", n=2))])
    assert _texts(done) == {"a": "SAME", "b": "SAME"}
    assert len(server.requests) == 1


def test_every_draw_completion_and_text_is_a_request_of_its_own(journal: Journal) -> None:
    server = Server()
    serving = _serving(journal, server=server)
    turn = [message("user", "Why?")]
    answers = [[message("assistant", text)] for text in ("one", "two")]
    wave = [
        Question("a", 0, _ask("draw", n=2, temperature=1.0)),
        Question("b", 0, Rewards("server", turn, answers)),
        Question("c", 0, Embed("server", ["x", "y"])),
    ]
    Timer(0.05, server.reply, [0]).start()
    Timer(0.1, server.reply, [1]).start()
    assert _texts(serving.exchange(wave)) == {"a": "DRAW"}
    assert [seed for _, seed in server.requests] == [1, 2, 0, 0, 0, 0]
    assert all(request.n == 1 for request, _ in server.requests if isinstance(request, Ask))
    for number, reply in enumerate([AnswerRewards([0.5]), AnswerRewards([0.7])], start=2):
        server.reply(number, reply)
    ((_, rewards),) = serving.exchange([])
    assert rewards == AnswerRewards([0.5, 0.7])
    for number in (4, 5):
        server.reply(number, Vectors([[1.0, float(number)]]))
    ((_, vectors),) = serving.exchange([])
    assert isinstance(vectors, Vectors)
    assert [list(vector) for vector in vectors.values] == [[1.0, 4.0], [1.0, 5.0]]


def test_a_failure_is_handed_on_and_not_kept(journal: Journal) -> None:
    for _ in range(2):
        server = Server()
        serving = _serving(journal, server=server)
        Timer(0.05, server.reply, [0, Failed("E-BACKEND-099", "refused")]).start()
        assert _texts(serving.exchange([Question("a", 0, _ask("a"))])) == {"a": Failed("E-BACKEND-099", "refused")}
        assert len(server.requests) == 1
        assert serving.figures()["failed.E-BACKEND-099"] == 1


def test_an_error_ends_the_step_after_what_is_under_way_is_kept(journal: Journal) -> None:
    server = Server()
    serving = _serving(journal, server=server)
    spent = ModelError("E-MODEL-099", "the money is spent")
    Timer(0.05, server.futures.append, [Future()]).start()
    asked = [Question(key, 0, _ask(key)) for key in "abc"]
    Timer(0.05, lambda: server.futures[1].set_exception(spent)).start()
    Timer(0.10, server.reply, [2]).start()
    Timer(0.15, server.reply, [0]).start()
    with pytest.raises(ModelError, match="the money is spent"):
        serving.exchange(asked)
    serving.close()
    again = Server()
    assert _texts(_serving(journal, server=again).exchange(asked)) == {"a": "A", "c": "C"}
    assert len(again.requests) == 1


def test_what_was_spent_is_known_in_the_next_run(journal: Journal) -> None:
    server = Server()
    serving = _serving(journal, server=server)
    Timer(0.05, server.reply, [0]).start()
    serving.exchange([Question("a", 0, _ask("a")), Question("b", 0, _ask("b"))])
    server.due += Spent(10, 0)  # an attempt that came to nothing
    server.reply(1)
    serving.exchange([])
    again = Server()
    _serving(journal, server=again).exchange([Question("a", 0, _ask("a"))])
    assert again.spent == Spent(), "it was not opened: the journal knew the answer"
    third = Server()
    Timer(0.05, third.reply, [0]).start()
    third_serving = _serving(journal, server=third)
    third_serving.exchange([Question("c", 0, _ask("c"))])
    assert third.spent == Spent(16, 2)
    assert journal.spent("id of server") == Spent(19, 3)
    figures = third_serving.figures()
    assert figures.pop("per_second") > 0
    assert figures == {"answered": 1.0, "recalled": 0.0, "requests": 1.0}


def test_a_model_in_this_process_is_asked_when_nothing_else_can_go_on(journal: Journal) -> None:
    """Each record asks the server, then the local model: the local one sees all of them in one batch."""

    def both(key: str) -> Iterator[object]:
        first = yield _ask(key)
        second = yield _ask(first.text, "local")  # type: ignore[attr-defined]
        return second.text  # type: ignore[attr-defined]

    server, local = Server(), Local()
    serving = _serving(journal, server=server, local=local)
    for number in range(3):
        Timer(0.05 * (number + 1), server.reply, [number]).start()
    finished = list(drive(((key, both(key)) for key in "abc"), serving.exchange))  # type: ignore[arg-type, misc]
    assert [item.result for item in finished] == ["local"] * 3
    assert local.batches == [3]


def test_what_two_names_of_one_model_cost_goes_to_one_account(journal: Journal) -> None:
    """A policy and a judge that differ only in how many requests they are sent at once, say."""
    backends = {"policy": Server(), "judge": Server()}
    serving = Serving(lambda name: Served(backends[name], None, "one identity"), journal, lambda *place: 1)
    Timer(0.05, backends["judge"].reply, [0]).start()
    serving.exchange([Question(name, 0, _ask(name, name)) for name in backends])
    backends["policy"].reply(0)
    serving.exchange([])
    assert journal.spent("one identity") == Spent(6, 2)
    for backend in backends.values():  # and what is told of them only together
        backend.due = Spent(10, 0)
    serving.close()
    assert journal.spent("one identity") == Spent(26, 2)
