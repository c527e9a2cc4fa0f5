"""The growing pool of Self-Instruct: seeds, and the instructions that were accepted."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from itune_core.api import Drop
from itune_filters import RougePool, tokens

Tokens = Literal["rouge", "words", "characters"]


@dataclass(frozen=True)
class Task:
    """An instruction of the pool.

    Attributes:
        text: on one line.
        seed: the id of the record that it is the instruction of; None: a model wrote it.
        parents: ids of the seeds that the model was shown when it wrote it.
    """

    text: str
    seed: str | None = None
    parents: tuple[str, ...] = ()


class Pool:
    """Seeds and accepted instructions, in the order they came in.

    Args:
        threshold: ROUGE-L F above which an instruction is too like one of the pool.
        unit: what is compared, see ``filters/novelty``.

    Attributes:
        seeds, made: the two halves.
    """

    def __init__(self, threshold: float, unit: Tokens) -> None:
        self.seeds: list[Task] = []
        self.made: list[Task] = []
        self._threshold, self._unit = threshold, unit
        self._compared: Any = RougePool(threshold)
        self._texts: list[str] = []
        self._known: set[str] = set()

    def __contains__(self, text: str) -> bool:
        return text in self._known

    def add(self, task: Task) -> None:
        """Take `task` in.

        Raises:
            RowError: ``E-FILTER-050`` it cannot be compared with others.
        """
        self._compared.add(tokens(task.text, self._unit))
        self._texts.append(task.text)
        self._known.add(task.text)
        (self.made if task.seed is None else self.seeds).append(task)

    def fault(self, text: str) -> Drop | None:
        """``not-novel`` if ROUGE-L with a text of the pool is above the threshold, which itself passes.

        Raises:
            RowError: ``E-FILTER-050`` it cannot be compared with others.
        """
        near = self._compared.nearest(tokens(text, self._unit))
        if near is None or near.rouge_l <= self._threshold:
            return None
        return Drop("not-novel", f"ROUGE-L {near.rouge_l:.3f} with {self._texts[near.number][:80]!r}")

    def draw(self, rng: random.Random, seeds: int, made: int) -> list[Task]:
        """Tasks to show, in random order: so many of each half; a missing made one is replaced by a seed."""
        drawn = rng.sample(self.made, min(made, len(self.made)))
        drawn += rng.sample(self.seeds, min(seeds + made - len(drawn), len(self.seeds)))
        rng.shuffle(drawn)
        return drawn


def parents(shown: Sequence[Task]) -> tuple[str, ...]:
    """The ids of the seeds among the tasks that were shown, in that order."""
    return tuple(task.seed for task in shown if task.seed is not None)
