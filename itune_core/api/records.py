"""Record kinds: one fixed schema literal each, and :class:`Record` for one row.

Column names are TRL's, so that TRL reads our data sets unchanged. The schema is always passed to `datasets` as explicit
features, never inferred: inferred structs of two sources differ in their null columns and refuse to be concatenated.
A kind evolves by appending nullable columns under a new :data:`SCHEMA_VERSION`; old artifacts are cast on read.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from itune_core.api.errors import RowError

if TYPE_CHECKING:
    import datasets

SCHEMA_VERSION = 1


class Kind(StrEnum):
    """What a record is an example of."""

    CONVERSATION = "conversation"
    PROMPT = "prompt"
    PREFERENCE = "preference"
    RANKING = "ranking"
    FEEDBACK = "feedback"
    TEXT = "text"


Type = str | dict[str, "Type"] | list["Type"]
"""A column type: an Arrow type's name, a struct of them, or ``[type]`` for a list."""

MESSAGE: dict[str, Type] = {
    "role": "string",
    "content": "string",
    "name": "string",
    "tool_calls": "string",  # JSON text: its shape differs from tool to tool, a struct would not
    "train": "bool",  # null: the trainer's default (assistant turns)
}
MESSAGES: list[Type] = [MESSAGE]

COMMON: dict[str, Type] = {
    "id": "string",
    "kind": "string",
    "source": "string",
    "task": "string",
    "category": "string",
    "language": "string",
    "license": "string",
    "references": ["string"],
    "rationale": "string",
    "parents": ["string"],
    "meta": "string",  # JSON text
}

LISTS = tuple(name for name, column in COMMON.items() if isinstance(column, list))

CONTENT: dict[Kind, dict[str, Type]] = {
    Kind.CONVERSATION: {"messages": MESSAGES},
    Kind.PROMPT: {"prompt": MESSAGES},
    Kind.PREFERENCE: {
        "prompt": MESSAGES,
        "chosen": MESSAGES,
        "rejected": MESSAGES,
        "probability": "float64",  # that `chosen` is the better one; null = 1
        "margin": "float64",
    },
    Kind.RANKING: {
        "prompt": MESSAGES,
        "candidates": [{"completion": MESSAGES, "model": "string", "score": "float64"}],
    },
    Kind.FEEDBACK: {"prompt": MESSAGES, "completion": MESSAGES, "label": "bool", "value": "float64"},
    Kind.TEXT: {"text": "string"},
}

SCHEMAS: dict[Kind, dict[str, Type]] = {kind: {**COMMON, **columns} for kind, columns in CONTENT.items()}


def features(*kinds: Kind) -> datasets.Features:
    """The schema of a kind as `datasets.Features`, to be passed wherever a data set of records is made.

    Of several kinds: the columns of all of them, each once, as a mix of them has them.
    """
    import datasets

    def convert(column: Type) -> Any:
        if isinstance(column, str):
            return datasets.Value(column)
        if isinstance(column, list):
            return datasets.List(convert(column[0]))
        return {name: convert(inner) for name, inner in column.items()}

    columns = {name: column for kind in kinds for name, column in SCHEMAS[kind].items()}
    return datasets.Features({name: convert(column) for name, column in columns.items()})


def spelt(kinds: Sequence[Kind]) -> str:
    """Kinds in one word, as digests, manifests and runs have them: ``conversation``, of a mix ``conversation+text``."""
    return "+".join(kinds)


def spelt_kinds(word: str | None) -> tuple[Kind, ...]:
    """The kinds that :func:`spelt` made a word of; none of an empty one."""
    return tuple(map(Kind, word.split("+"))) if word else ()


class Record(Mapping[str, Any]):
    """One row of a data set, read-only: a mapping from column name to value.

    Holds every column of its kind's schema, and the score columns that were joined to it.
    """

    __slots__ = ("_values", "kind")

    def __init__(self, kind: Kind, values: Mapping[str, Any]) -> None:
        self.kind = kind
        self._values = values

    def __getitem__(self, column: str) -> Any:
        return self._values[column]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Record({self.kind.value}, id={self._values.get('id')!r})"

    def take(self, columns: Sequence[str]) -> dict[str, Any]:
        """These columns and their values."""
        values = self._values
        return {name: values[name] for name in columns}

    def replace(self, **columns: Any) -> Record:
        """A copy with some columns set; the original is untouched."""
        unknown = columns.keys() - SCHEMAS[self.kind].keys()
        if unknown:
            raise TypeError(f"a {self.kind.value} record has no column {sorted(unknown)}")
        return Record(self.kind, {**self._values, **columns})


def _check_text(what: str, value: object) -> None:
    if not isinstance(value, str):
        raise RowError(f"{what} must be text, not {type(value).__name__}", "E-DATA-010")
    if "\x00" in value:
        raise RowError(f"{what} holds a NUL character", "E-DATA-010")
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:  # half of a surrogate pair, as broken JSON escapes give
            raise RowError(f"{what} holds half of a character at {error.start}", "E-DATA-010") from error


def message(
    role: str, content: str, *, name: str | None = None, tool_calls: str | None = None, train: bool | None = None
) -> dict[str, Any]:
    """One turn of a conversation, with every field of the schema present.

    Raises:
        RowError: ``E-DATA-010`` if a field is not text (`train`: not a bool), or holds a NUL character or half of a
            surrogate pair.
    """
    _check_text("role of a message", role)
    _check_text("content of a message", content)
    if name is not None:
        _check_text("name of a message", name)
    if tool_calls is not None:
        _check_text("tool_calls of a message", tool_calls)
    if train is not None and not isinstance(train, bool):
        raise RowError(f"train of a message must be true, false or null, not {train!r}", "E-DATA-010")
    return {"role": role, "content": content, "name": name, "tool_calls": tool_calls, "train": train}


def _build(kind: Kind, content: dict[str, Any], common: Mapping[str, Any]) -> Record:
    unknown = common.keys() - COMMON.keys()
    if unknown:
        raise TypeError(f"no such common column: {sorted(unknown)}; there are {sorted(COMMON)}")
    values: dict[str, Any] = dict.fromkeys(SCHEMAS[kind])
    values.update(common)
    values.update(content)
    values["kind"] = kind.value
    for name, value in common.items():
        if name not in LISTS:
            _text_or_none(name, value)
    for name in LISTS:
        values[name] = _texts(name, values[name])
    return Record(kind, values)


def _texts(name: str, values: Sequence[str] | None) -> list[str]:
    if not values:
        return []
    if isinstance(values, str):  # a sequence of characters, but never what was meant
        raise RowError(f"{name} must be a list of texts, not one text", "E-DATA-010")
    for value in values:
        _check_text(f"an item of {name}", value)
    return list(values)


def _text_or_none(name: str, value: str | None) -> str | None:
    if value is not None:
        _check_text(name, value)
    return value


def _number(name: str, value: float | None) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise RowError(f"{name} must be a number, not {type(value).__name__}", "E-DATA-013")
    if not -sys.float_info.max <= value <= sys.float_info.max:
        raise RowError(f"{name} must be a finite number", "E-DATA-013")
    return float(value)


def _turns(column: str, messages: Any, last: str | None = None) -> list[dict[str, Any]]:
    # Nothing is taken for granted: what a formatter passes on may come from a row as it is.
    if isinstance(messages, str) or not isinstance(messages, Sequence):
        raise RowError(f"{column} must be a list of messages, not {type(messages).__name__}", "E-DATA-010")
    turns = []
    for turn in messages:
        if type(turn) is not dict and not isinstance(turn, Mapping):  # asking for Mapping costs more than all else
            raise RowError(f"{column} holds something that is not a message", "E-DATA-010")
        get = turn.get
        turns.append(
            message(
                get("role"),  # type: ignore[arg-type]  # checked there
                get("content"),  # type: ignore[arg-type]
                name=get("name"),
                tool_calls=get("tool_calls"),
                train=get("train"),
            )
        )
    if not turns:
        raise RowError(f"{column} has no message", "E-DATA-011")
    if last is not None and turns[-1]["role"] != last:
        raise RowError(f"{column} must end with a turn of the {last}, not of {turns[-1]['role']!r}", "E-DATA-011")
    if last == "assistant" and not turns[-1]["content"].strip() and not turns[-1]["tool_calls"]:
        raise RowError(f"the last turn of {column} is empty", "E-DATA-012")
    return turns


def conversation(messages: Sequence[Mapping[str, Any]], **common: Any) -> Record:
    """A dialogue to learn from; ends with an assistant turn that says something.

    Args:
        messages: turns made by :func:`message`, in order.
        **common: any column of :data:`COMMON` except ``id`` and ``kind``, which the core sets.

    Raises:
        RowError: ``E-DATA-010`` a turn is not well formed; ``E-DATA-011`` no turn, or the last is not the
            assistant's; ``E-DATA-012`` the last turn is empty.
    """
    return _build(Kind.CONVERSATION, {"messages": _turns("messages", messages, "assistant")}, common)


def prompt(messages: Sequence[Mapping[str, Any]], **common: Any) -> Record:
    """A question without an answer; ends with a user turn. Raises as :func:`conversation`."""
    return _build(Kind.PROMPT, {"prompt": _turns("prompt", messages, "user")}, common)


def preference(
    prompt: Sequence[Mapping[str, Any]],
    chosen: Sequence[Mapping[str, Any]],
    rejected: Sequence[Mapping[str, Any]],
    *,
    probability: float | None = None,
    margin: float | None = None,
    **common: Any,
) -> Record:
    """Two completions of one prompt, the first preferred.

    Args:
        prompt: the turns both share; ends with a user turn.
        chosen: the better completion: one or more turns, ending with the assistant's.
        rejected: the other one, likewise.
        probability: how likely `chosen` is the better one, in [0, 1]; None means 1.
        margin: by how much it is better, in the annotator's unit.

    Raises:
        RowError: as :func:`conversation`; ``E-DATA-013`` if a number is not one, or probability is outside [0, 1].
    """
    probability = _number("probability", probability)
    if probability is not None and not 0 <= probability <= 1:
        raise RowError(f"probability must be in [0, 1], not {probability}", "E-DATA-013")
    content = {
        "prompt": _turns("prompt", prompt, "user"),
        "chosen": _turns("chosen", chosen, "assistant"),
        "rejected": _turns("rejected", rejected, "assistant"),
        "probability": probability,
        "margin": _number("margin", margin),
    }
    return _build(Kind.PREFERENCE, content, common)


def ranking(prompt: Sequence[Mapping[str, Any]], candidates: Sequence[Mapping[str, Any]], **common: Any) -> Record:
    """Several completions of one prompt.

    Args:
        prompt: ends with a user turn.
        candidates: ``{"completion": messages, "model": name or None, "score": number or None}``; higher is better.

    Raises:
        RowError: as :func:`conversation`; ``E-DATA-013`` if a score is not a number.
    """
    rows = [
        {
            "completion": _turns("completion", candidate.get("completion"), "assistant"),
            "model": _text_or_none("model", candidate.get("model")),
            "score": _number("score", candidate.get("score")),
        }
        for candidate in candidates
    ]
    return _build(Kind.RANKING, {"prompt": _turns("prompt", prompt, "user"), "candidates": rows}, common)


def feedback(
    prompt: Sequence[Mapping[str, Any]],
    completion: Sequence[Mapping[str, Any]],
    *,
    label: bool | None = None,
    value: float | None = None,
    **common: Any,
) -> Record:
    """One completion and what was thought of it: `label` (good or not), `value` (a number), or both.

    Raises:
        RowError: as :func:`conversation`; ``E-DATA-013`` if `label` is not a bool or `value` not a number.
    """
    if label is not None and not isinstance(label, bool):
        raise RowError(f"label must be true, false or null, not {label!r}", "E-DATA-013")
    content = {
        "prompt": _turns("prompt", prompt, "user"),
        "completion": _turns("completion", completion, "assistant"),
        "label": label,
        "value": _number("value", value),
    }
    return _build(Kind.FEEDBACK, content, common)


def text(content: str, **common: Any) -> Record:
    """Plain text, every token of which is trained on.

    Raises:
        RowError: ``E-DATA-010`` if it is not text or holds a NUL character; ``E-DATA-012`` if it is blank.
    """
    _check_text("text", content)
    if not content.strip():
        raise RowError("text is blank", "E-DATA-012")
    return _build(Kind.TEXT, {"text": content}, common)


def example(kind: Kind) -> Record:
    """A small valid record of `kind`, for tests and documentation."""
    ask = [message("user", "Name a prime number.")]
    good, bad = [message("assistant", "Seven.")], [message("assistant", "Eight.")]
    builders = {
        Kind.CONVERSATION: lambda: conversation([*ask, *good]),
        Kind.PROMPT: lambda: prompt(ask),
        Kind.PREFERENCE: lambda: preference(ask, good, bad),
        Kind.RANKING: lambda: ranking(
            ask, [{"completion": good, "score": 1.0}, {"completion": bad, "score": 0.0}], references=["Seven."]
        ),
        Kind.FEEDBACK: lambda: feedback(ask, good, label=True),
        Kind.TEXT: lambda: text("Seven is a prime number."),
    }
    return builders[kind]()


def records(rows: datasets.Dataset) -> Iterator[Record]:
    """Iterate a data set as :class:`Record`, in order, reading Arrow batches (fast, constant memory)."""
    for batch in rows.with_format("arrow").iter(batch_size=1000):
        for values in batch.to_pylist():
            yield Record(Kind(values["kind"]), values)
