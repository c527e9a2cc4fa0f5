"""Serving a model that is asked concurrently: replies are kept as they come, and none is lost however a step ends."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing, nullcontext
from pathlib import Path
from threading import Timer
from typing import Literal

import pytest

from itune_core.api import (
    Answer,
    AnswerRewards,
    Ask,
    Backend,
    Completion,
    ComponentConfig,
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
from itune_core.engine import serving as serving_module
from itune_core.engine.asking import Question, drive
from itune_core.engine.errors import RunError
from itune_core.engine.journal import Journal
from itune_core.engine.opened import Served
from itune_core.engine.serving import Serving


class Server(Backend):
    """Answers when it is told to. Every answer costs three tokens read and one written.

    Args:
        unsent: numbers of requests that stay in its queue.
        config: settings.
    """

    needs_weights = False
    concurrent = True

    def __init__(self, unsent: Collection[int] = (), config: ComponentConfig | None = None) -> None:
        super().__init__(config)
        self.unsent = unsent
        self.requests: list[tuple[Request, int]] = []
        self.futures: list[Future[Reply | Failed]] = []
        self.due = Spent()
        self.opened = self.drained = self.closed = 0

    def open(self, source: object) -> None:
        self.opened += 1

    def drain(self) -> None:
        self.drained += 1
        for number in self.unsent:
            self.futures[number].cancel()

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


class Keyless(Server):
    """Has no key where it looks for one."""

    def open(self, source: object) -> None:
        raise ModelError("E-MODEL-099", "no key")


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    opened = Journal(tmp_path / "journal.sqlite")
    yield opened
    opened.close()


def _serving(journal: Journal, said: list[str] | None = None, **backends: Backend) -> Serving:
    say = [].append if said is None else said.append
    return Serving(
        lambda name: Served(backends[name], None, f"id of {name}"), journal, lambda *place: place[-1] + 1, say
    )


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
    server = Server(unsent=[0])
    asked = [Question(key, 0, _ask(key)) for key in "abc"]
    serving = _serving(journal, server=server)
    Timer(0.05, server.reply, [2]).start()
    serving.exchange(asked)
    server.reply(1)  # comes in unseen, while the step is closed
    serving.close()
    assert (server.drained, server.closed) == (1, 1)
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


def test_an_error_of_one_request_ends_the_step_after_what_is_under_way_is_kept(journal: Journal) -> None:
    server = Server()
    serving = _serving(journal, server=server)
    spent = ModelError("E-MODEL-099", "the money is spent")
    asked = [Question(key, 0, _ask(key)) for key in "abc"]
    Timer(0.05, lambda: server.futures[1].set_exception(spent)).start()
    Timer(0.10, server.reply, [2]).start()
    Timer(0.15, server.reply, [0]).start()
    with closing(serving), pytest.raises(ModelError, match="the money is spent"):
        serving.exchange(asked)
    again = Server()
    assert _texts(_serving(journal, server=again).exchange(asked)) == {"a": "A", "c": "C"}
    assert len(again.requests) == 1


def _asks(key: str) -> Generator[Ask, Answer, str]:
    return (yield _ask(key)).text


def _component_raises(serving: Serving) -> None:
    for finished in drive(((key, _asks(key)) for key in "abcde"), serving.exchange):
        raise ZeroDivisionError(finished.result)


def _component_has_enough(serving: Serving) -> None:
    next(drive(((key, _asks(key)) for key in "abcde"), serving.exchange))


def _other_server_raises(serving: Serving) -> None:
    serving.exchange([Question(key, 0, _ask(key)) for key in "abcde"])
    serving.exchange([Question("f", 0, _ask("f", "refusing"))])


def _other_server_cannot_be_opened(serving: Serving) -> None:
    serving.exchange([Question(key, 0, _ask(key)) for key in "abcde"])
    serving.exchange([Question("f", 0, _ask("f", "keyless"))])


def _interrupted(serving: Serving) -> None:
    serving.exchange([Question(key, 0, _ask(key)) for key in "abcde"])
    Timer(0.05, _interrupt).start()
    serving.exchange([])


@pytest.fixture(autouse=True)
def _interruptible() -> Iterator[None]:
    """Ctrl-C counts, also where the tests were begun in a shell's background, which has them ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def _interrupt() -> None:
    """What Ctrl-C does."""
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


@pytest.mark.parametrize(
    ("ends", "error"),
    [
        (_component_raises, ZeroDivisionError),
        (_component_has_enough, None),
        (_other_server_raises, ModelError),
        (_other_server_cannot_be_opened, ModelError),
        (_interrupted, KeyboardInterrupt),
    ],
)
def test_however_a_step_ends_what_was_sent_is_waited_for_and_kept(
    journal: Journal,
    monkeypatch: pytest.MonkeyPatch,
    ends: Callable[[Serving], None],
    error: type[BaseException] | None,
) -> None:
    """Of five requests one is answered before the end, two after it; two are still in the queue."""
    monkeypatch.setattr(serving_module, "BRIEF", 0.1)
    server, refusing = Server(unsent=[3, 4]), Server()
    refused: Future[Reply | Failed] = Future()
    refused.set_exception(ModelError("E-MODEL-099", "a wrong key"))
    refusing.submit = lambda request, seed: refused  # type: ignore[method-assign]
    said: list[str] = []
    serving = _serving(journal, said, server=server, refusing=refusing, keyless=Keyless())
    Timer(0.05, server.reply, [0]).start()
    Timer(0.15, server.reply, [1]).start()
    Timer(0.50, server.reply, [2]).start()
    with pytest.raises(error) if error else nullcontext(), closing(serving):
        ends(serving)
    assert (server.drained, server.closed) == (1, 1)
    assert len(said) == 1
    assert re.search("waiting for answers on their way.*: [12]; Ctrl-C", said[0])
    again = Server()
    assert _texts(_serving(journal, server=again).exchange([Question(key, 0, _ask(key)) for key in "abcde"])) == {
        key: key.upper() for key in "abc"
    }
    assert journal.spent("id of server") == Spent(9, 3)


def test_who_interrupts_the_waiting_has_what_came_in_until_then(journal: Journal) -> None:
    server = Server()
    serving = _serving(journal, server=server)
    Timer(0.05, server.reply, [0]).start()
    asked = [Question(key, 0, _ask(key)) for key in "abc"]
    serving.exchange(asked)
    Timer(0.10, server.reply, [1]).start()
    Timer(0.20, _interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        serving.close()
    assert server.closed == 1
    assert _texts(_serving(journal, server=Server()).exchange(asked)) == {"a": "A", "b": "B"}


def test_an_interruption_while_answers_are_written_loses_none(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server()
    serving = _serving(journal, server=server)
    asked = [Question(key, 0, _ask(key)) for key in "ab"]
    Timer(0.05, lambda: [server.reply(number) for number in range(2)]).start()
    monkeypatch.setattr(journal, "put", lambda *_: _interrupt())
    with pytest.raises(KeyboardInterrupt):
        serving.exchange(asked)
    monkeypatch.undo()
    serving.close()
    assert _texts(_serving(journal, server=Server()).exchange(asked)) == {"a": "A", "b": "B"}
    assert journal.spent("id of server") == Spent(6, 2)


def test_dialogues_that_were_given_up_do_not_disturb_those_that_follow(journal: Journal) -> None:
    server = Server()
    serving = _serving(journal, server=server)
    Timer(0.05, server.reply, [0]).start()
    first = drive(((key, _asks(key)) for key in "ab"), serving.exchange)
    assert next(first).result == "A"
    first.close()
    Timer(0.05, server.reply, [1]).start()
    Timer(0.10, server.reply, [2]).start()
    assert [finished.result for finished in drive([("c", _asks("c"))], serving.exchange)] == ["C"]
    assert _texts(_serving(journal, server=Server()).exchange([Question("b", 0, _ask("b"))])) == {"b": "B"}


def test_an_interruption_before_anybody_listens_to_a_request_does_not_hang_the_end(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server()
    serving = _serving(journal, server=server)
    monkeypatch.setattr(Future, "add_done_callback", lambda *_: _interrupt())
    with pytest.raises(KeyboardInterrupt):
        serving.exchange([Question("a", 0, _ask("a"))])
    monkeypatch.undo()
    Timer(0.05, server.reply, [0]).start()
    serving.close()
    assert _texts(_serving(journal, server=Server()).exchange([Question("a", 0, _ask("a"))])) == {"a": "A"}


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


class Settings(ComponentConfig):
    """How a server is asked, which its identity does not say."""

    most: int = 1
    key: Literal["a", "b"] = "a"


def test_two_names_of_one_model_share_its_server_and_its_budget(journal: Journal) -> None:
    """A policy and a judge, say: within a step there is one account, so there is one that looks at it."""
    backends = {name: Server(config=Settings(most=2)) for name in ("policy", "judge")}
    serving = Serving(lambda name: Served(backends[name], None, "one identity"), journal, lambda *place: 1)
    policy, judge = backends.values()
    Timer(0.05, policy.reply, [1]).start()
    assert _texts(serving.exchange([Question(name, 0, _ask(name, name)) for name in backends])) == {"judge": "JUDGE"}
    policy.reply(0)
    serving.exchange([])
    assert journal.spent("one identity") == Spent(6, 2)
    assert serving.figures()["requests"] == 2
    policy.due = Spent(10, 0)  # what is told of only when all is over
    serving.close()
    assert journal.spent("one identity") == Spent(16, 2)
    assert [(each.opened, each.closed) for each in (policy, judge)] == [(1, 1), (0, 0)]


def test_one_server_is_not_asked_in_two_ways(journal: Journal) -> None:
    backends = {"policy": Server(config=Settings(most=2)), "judge": Server(config=Settings(key="b"))}
    serving = Serving(lambda name: Served(backends[name], None, "one identity"), journal, lambda *place: 1)
    with pytest.raises(RunError, match=r"E-RUN-022.*'policy' and 'judge' are one.*: most, key"):
        serving.exchange([Question(name, 0, _ask(name, name)) for name in backends])


def test_two_names_of_one_model_in_this_process_are_one_in_memory(journal: Journal) -> None:
    backends = {"policy": Local(), "judge": Local()}
    serving = Serving(lambda name: Served(backends[name], None, "one identity"), journal, lambda *place: 1)
    done = serving.exchange([Question(name, 0, _ask(name, name)) for name in backends])
    assert _texts(done) == {"policy": "local", "judge": "local"}
    assert [backend.batches for backend in backends.values()] == [[2], []]
