"""Records as TRL reads them: the columns that a trainer of its own looks at, and the record's id to keep the books."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from itune_core.api import DataError, Failed, Kind, Record, RowError, parts, records

if TYPE_CHECKING:
    from datasets import Dataset

KINDS: Mapping[str, tuple[Kind, ...]] = {
    "sft": (Kind.CONVERSATION, Kind.TEXT),
    "dpo": (Kind.PREFERENCE,),
    "kto": (Kind.FEEDBACK,),
    "reward": (Kind.PREFERENCE,),
    "grpo": (Kind.PROMPT,),
    "rloo": (Kind.PROMPT,),
    "distillation": (Kind.PROMPT,),
}
"""What each trainer learns from."""


def rows_for(trainer: str, given: Dataset, completions: bool, name: str) -> tuple[Dataset, dict[str, Failed]]:
    """The rows for `trainer`, in memory, and the records that none could be made of.

    Args:
        trainer: as in the recipe.
        given: records of the kinds in :data:`KINDS`.
        completions: give conversations as prompt and completion (the last turn), not as one list of messages.
        name: of the input, for errors.

    Raises:
        DataError: ``E-TRAIN-042`` no record is left; ``E-TRAIN-046`` TRL cannot follow the mix.
    """
    from datasets import Dataset

    _check_mix(given, name)
    make = _conversation_as_pair if completions and trainer == "sft" else _MAKERS[trainer]
    made: list[dict[str, Any]] = []
    failed: dict[str, Failed] = {}
    for record in records(given):
        try:
            made.append(make(record))
        except RowError as error:
            failed[record["id"]] = Failed.of(error)
    if not made:
        raise DataError(
            "E-TRAIN-042",
            f"no record of {name!r} is left to train on",
            why=next((failure.message for failure in failed.values()), "the data set is empty"),
            fix="look at the step's ledger, and at the steps before it",
        )
    if trainer == "reward":
        _settle_margins(made, name)
    return Dataset.from_list(made), failed


def _check_mix(given: Dataset, name: str) -> None:
    kinds = sorted(set(given["kind"]))
    if len(kinds) > 1:
        raise DataError(
            "E-TRAIN-046",
            f"{name!r} holds {' and '.join(kinds)} records, and TRL reads rows of one form only",
            fix="train on them one after the other, or use trainers/sft, which takes both",
        )
    for column in ("phase", "epoch"):
        if column in given.column_names and any(given[column]):
            raise DataError(
                "E-TRAIN-046",
                f"{name!r} is a mix in several {column}s, and TRL shuffles all rows together",
                fix="mix without phases and epochs, or use a trainer of itune's own, which follows them",
            )


def _turns(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """The turns of one column.

    Raises:
        RowError: ``E-TRAIN-045`` a turn says something that TRL would pass over.
    """
    for message in messages:
        if message["train"] is not None or message["tool_calls"] is not None:
            what = "whether it is trained on" if message["train"] is not None else "tool calls"
            raise RowError(
                f"a turn says {what}, which TRL cannot be told",
                "E-TRAIN-045",
                fix="use trainers/sft for such conversations",
            )
    return [{"role": message["role"], "content": message["content"]} for message in messages]


def _whole(record: Record) -> dict[str, Any]:
    if record.kind is Kind.TEXT:
        return {"id": record["id"], "text": record["text"]}
    return {"id": record["id"], "messages": _turns(record["messages"])}


def _conversation_as_pair(record: Record) -> dict[str, Any]:
    if record.kind is Kind.TEXT:
        return _whole(record)
    prompt, (completion,) = parts(record)
    return {"id": record["id"], "prompt": _turns(prompt), "completion": _turns(completion)}


def _pair(record: Record) -> dict[str, Any]:
    return {"id": record["id"], **{column: _turns(record[column]) for column in ("prompt", "chosen", "rejected")}}


def _rated(record: Record) -> dict[str, Any]:
    if record["label"] is None:
        raise RowError(
            "the record does not say whether its answer was liked: it has no label",
            "E-TRAIN-071",
            why="TRL would take it for one that was not",
            fix="set its label, or filter such records out",
        )
    sides = {column: _turns(record[column]) for column in ("prompt", "completion")}
    return {"id": record["id"], **sides, "label": record["label"]}


def _prompt(record: Record) -> dict[str, Any]:
    # Without the id: these trainers hand every further column to the reward.
    return {"prompt": _turns(record["prompt"])}


_MAKERS: Mapping[str, Callable[[Record], dict[str, Any]]] = {
    "sft": _whole,
    "dpo": _pair,
    "kto": _rated,
    "reward": lambda record: {**_pair(record), "margin": record["margin"]},
    "grpo": _prompt,
    "rloo": _prompt,
    "distillation": _prompt,
}


def _settle_margins(rows: list[dict[str, Any]], name: str) -> None:
    """Leave the column out where no record has a margin; TRL would take it for a number."""
    without = [row["id"] for row in rows if row["margin"] is None]
    if without and len(without) < len(rows):
        raise DataError(
            "E-TRAIN-046",
            f"{len(without)} of {len(rows)} records of {name!r} have no margin, and TRL wants one of all or of none",
            where=", ".join(without[:5]),
            fix="drop those records, or the margins, in a step before",
        )
    if without:
        for row in rows:
            del row["margin"]
