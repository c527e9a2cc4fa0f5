"""The rows that a self-test trains on: a few facts that every model can learn, as records of any kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from itune_core.api import Kind, ModelError, Record, conversation, features, feedback, message, preference, ranking

if TYPE_CHECKING:
    from itune_trainers.objective import Objective

TURNS = (
    ("Which tree keeps its needles in winter?", "The spruce does."),
    ("And which one loses them?", "The larch, late in autumn."),
    ("Name a bird that cannot fly.", "An ostrich; it runs instead."),
    ("How many legs has a spider?", "It has eight."),
)


def messages(turns: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    return [turn for ask, say in turns for turn in (message("user", ask), message("assistant", say))]


def rows_for(objective: Objective) -> Any:
    """Four rows of a kind that the trainer takes."""
    import datasets

    kinds = [kind for kind in objective.inputs["train"].kinds if kind in _MAKE]
    if not kinds:
        raise ModelError(
            "E-TRAIN-082",
            f"{type(objective).__name__} takes no kind of record that can be made up here",
            fix=f"choose a trainer of {', '.join(_MAKE)} records",
        )
    made = [dict(_MAKE[kinds[0]](place).replace(id=f"row-{place}")) for place in range(len(TURNS))]
    return datasets.Dataset.from_list(made, features=features(kinds[0]))


def _sides(place: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    ask, say = TURNS[place]
    other = TURNS[(place + 1) % len(TURNS)][1]
    return [message("user", ask)], [message("assistant", say)], [message("assistant", other)]


def _pair(place: int) -> Record:
    return preference(*_sides(place))


def _list(place: int) -> Record:
    asked, good, bad = _sides(place)
    return ranking(
        asked,
        [
            {"completion": good, "model": None, "score": 1.0},
            {"completion": bad, "model": None, "score": 0.0},
        ],
    )


def _verdict(place: int) -> Record:
    asked, good, bad = _sides(place)
    return feedback(asked, bad if place % 2 else good, label=place % 2 == 0)


_MAKE: dict[Kind, Callable[[int], Record]] = {
    Kind.CONVERSATION: lambda place: conversation(messages([TURNS[place]])),
    Kind.PREFERENCE: _pair,
    Kind.RANKING: _list,
    Kind.FEEDBACK: _verdict,
}
