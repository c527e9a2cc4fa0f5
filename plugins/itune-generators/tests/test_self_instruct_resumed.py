"""A bootstrap that is killed, or loses a request, goes on where it was: nothing is asked twice, and the result is the
undisturbed one."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import datasets
import pytest

from itune_core.api import (
    Answer,
    Ask,
    Backend,
    Completion,
    Failed,
    Kind,
    ModelError,
    derive_seed,
    features,
    message,
    prompt,
)
from itune_core.api.context import Finished
from itune_core.engine.asking import drive
from itune_core.engine.journal import Journal
from itune_core.engine.opened import Served
from itune_core.engine.serving import Serving
from itune_core.testing import BenchContext
from itune_core.testing.comparing import plain
from itune_generators.self_instruct import SelfInstruct

WORDS = ["river", "moon", "ladder", "bread", "winter", "window", "garden", "letter", "music", "island", "teacher"]
WORDS += ["engine", "forest", "silver", "market"]

Drawn = tuple[str, int]
"""What was asked, and the seed of the draw."""


class Mortal(Backend):
    """Writes tasks out of a few words, as its seed says; is killed after so many draws.

    Args:
        lives: draws before it dies; None: it does not.
        asked: what it has answered.
        loses: which of the draws it is asked for, from 0, come to nothing.
    """

    needs_weights = False

    def __init__(self, lives: int | None, asked: Counter[Drawn], loses: frozenset[int] = frozenset()) -> None:
        super().__init__(None)
        self.lives, self.asked, self.loses, self.draws = lives, asked, loses, 0

    def open(self, source: object) -> None: ...

    def close(self) -> None: ...

    def generate(self, requests: Sequence[tuple[Ask, Sequence[int]]]) -> Iterable[Answer | Failed]:
        for ask, (seed,) in requests:
            if self.lives == 0:
                raise KeyboardInterrupt
            self.lives = self.lives and self.lives - 1
            self.draws += 1
            if self.draws - 1 in self.loses:
                yield Failed("E-BACKEND-026", "no usable answer in 5 tries: 503", transient=True)
                continue
            text = "\n".join(turn["content"] for turn in ask.messages)
            self.asked[text, seed] += 1
            yield Answer([Completion(self._written(ask, text, seed), "stop", 10, 5)])

    def _written(self, ask: Ask, text: str, seed: int) -> str:
        draw = random.Random(seed)
        if ask.temperature:
            tasks = (" ".join(draw.choices(WORDS, k=6)) for _ in range(8))
            return "\n".join(f"{number}. {task}" for number, task in enumerate(tasks, 9))
        if ask.max_tokens == 8:
            return "yes" if text.count("e") % 3 == 0 else "no"
        return "Example 1\nOutput: " + text[-30:] if "Example" in text else "Class label: one\nClass label: two"


class Journaled(BenchContext):
    """A bench whose answers come from a journal where they can, by the engine's own serving."""

    def __init__(self, folder: Path, backend: Backend) -> None:
        super().__init__(folder)
        self.journal = Journal(folder / "journal.sqlite")
        self.serving = Serving(
            lambda _: Served(backend, None, "mortal"), self.journal, lambda *place: derive_seed(0, *place)
        )

    def converse(self, dialogues: Iterable[tuple[str, Generator[Any, Any, Any]]]) -> Iterator[Finished]:
        return drive(dialogues, self.serving.exchange)


def bootstrap(folder: Path, lives: int | None, asked: Counter[Drawn], loses: frozenset[int] = frozenset()) -> list[Any]:
    folder.mkdir(exist_ok=True)
    rows = [
        {**prompt([message("user", f"Task number {number} of the {word}.")]), "id": f"s{number}"}
        for number, word in enumerate(WORDS)
    ]
    seeds = datasets.Dataset.from_list(rows, features=features(Kind.PROMPT))
    context = Journaled(folder, Mortal(lives, asked, loses))
    component = SelfInstruct(SelfInstruct.Config(model="mortal", instructions=60, at_once=3))
    try:
        made = list(component.itune_generate(inputs={"records": seeds}, context=context))
    finally:
        context.journal.close()
    return plain(made)  # type: ignore[no-any-return]


def test_killed_ten_times_nothing_is_asked_twice(tmp_path: Path, calm: tuple[list[Any], Counter[Drawn]]) -> None:
    undisturbed, once = calm
    assert sum("created" in item for _, item in undisturbed) >= 60
    asked: Counter[Drawn] = Counter()
    lives = random.Random(3)
    for _ in range(10):
        with pytest.raises(KeyboardInterrupt):
            bootstrap(tmp_path / "killed", lives.randrange(1, 13), asked)
    assert bootstrap(tmp_path / "killed", None, asked) == undisturbed
    assert asked == once
    assert set(asked.values()) == {1}


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Any], Counter[Drawn]]:
    """What nobody disturbed, and what it was asked."""
    asked: Counter[Drawn] = Counter()
    return bootstrap(tmp_path_factory.mktemp("calm"), None, asked), asked


@pytest.mark.parametrize("lost", ["task", "classification", "instance", "two tasks"])
def test_a_lost_request_is_asked_again_and_no_other(
    tmp_path: Path, calm: tuple[list[Any], Counter[Drawn]], lost: str
) -> None:
    undisturbed, asked = calm
    tasks = sum("Write 8 more" in text for text, _ in asked)
    of_each = (asked.total() - tasks) // 2
    loses, rest = {
        "task": ({1}, asked.total() - 2),  # the others of its round are two
        "two tasks": ({1, 2}, asked.total() - 1),
        "classification": ({tasks + 4}, 1 + of_each),
        "instance": ({asked.total() - 3}, 1),
    }[lost]
    first: Counter[Drawn] = Counter()
    with pytest.raises(ModelError, match=rf"E-GEN-022: {len(loses)} of \d+ requests[\s\S]*503[\s\S]*run again"):
        bootstrap(tmp_path / "lossy", None, first, frozenset(loses))
    second: Counter[Drawn] = Counter()
    assert bootstrap(tmp_path / "lossy", None, second) == undisturbed
    assert second.total() == rest
    assert first + second == asked


def test_another_parser_reads_old_answers_without_a_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal holds what the model wrote, not what was read out of it."""
    first: Counter[Drawn] = Counter()
    before = bootstrap(tmp_path / "one", None, first)
    again: Counter[Drawn] = Counter()
    monkeypatch.setattr("itune_generators.bootstrapping.completing.input_first", lambda text, marks: [])
    after = bootstrap(tmp_path / "one", None, again)
    assert not again
    assert before != after
