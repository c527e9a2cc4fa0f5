"""Answers to other questions: what KTO measures the model's distance from its reference on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from itune_core.api import DataError
from itune_trainers.rows.example import Example


def with_mismatched(examples: Sequence[Example], max_length: int) -> list[Example]:
    """Each example with a row beside it: its own prompt, and the completion of an example with another prompt.

    The examples are laid in a circle, those of one prompt side by side, and each takes the completion that stands m
    places before its own, m the number of examples of the most frequent prompt. Of prompts that all differ that is the
    one just before; of pairs that were cast to feedback, a good answer takes a good one and a bad one a bad one. Every
    completion is used once.

    Args:
        examples: of one row each, in which what follows the first trained token is the completion.
        max_length: a longer row loses the end of its completion, as in TRL; one token of it always fits.

    Raises:
        DataError: ``E-TRAIN-070`` more than half of the examples have the same prompt.
    """
    alike: dict[tuple[int, ...], list[Example]] = defaultdict(list)
    for example in examples:
        alike[_prompt(example)].append(example)
    circle = [example for group in alike.values() for example in group]
    most = max(map(len, alike.values()))
    if 2 * most > len(circle):
        raise DataError(
            "E-TRAIN-070",
            f"{most} of {len(circle)} examples have the same prompt, so there are not enough answers to other prompts",
            why="the loss compares with answers that do not belong to their prompts",
            fix="give records with other prompts, or use trainers/apo-zero or trainers/dpo, which need none",
        )
    taken = {example.id: _beside(example, circle[place - most], max_length) for place, example in enumerate(circle)}
    return [replace(example, beside=taken[example.id]) for example in examples]


def _prompt(example: Example) -> tuple[int, ...]:
    (row,) = example.rows
    return tuple(row.ids[: row.trained.index(True)])


def _beside(example: Example, other: Example, max_length: int) -> Example:
    from itune_torch import Encoded

    prompt = _prompt(example)
    completion = other.rows[0].ids[len(_prompt(other)) :][: max_length - len(prompt)]
    row = Encoded([*prompt, *completion], [False] * len(prompt) + [True] * len(completion))
    # No record's id holds this character.
    return Example(f"{example.id}\0{other.id}", (row,))
