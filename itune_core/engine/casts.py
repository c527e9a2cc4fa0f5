"""The changes of kind that the core makes without being asked. Every other change is a step.

======================  =====================================================================
conversation to prompt  the last answer moves to `references`
preference to ranking   two candidates, scores 1 and 0
preference to feedback  two records, `<id>/chosen` good and `<id>/rejected` not
ranking to prompt       the candidates are left behind
======================  =====================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from itune_core.api.records import COMMON, Kind, Record

Row = Mapping[str, Any]


def _common(row: Row) -> dict[str, Any]:
    return {name: row[name] for name in COMMON if name not in ("id", "kind")}


def _record(kind: Kind, row: Row, suffix: str = "", **content: Any) -> dict[str, Any]:
    return {**_common(row), "id": f"{row['id']}{suffix}", "kind": kind.value, **content}


def _conversation_to_prompt(row: Row) -> Iterator[dict[str, Any]]:
    *turns, answer = row["messages"]
    record = _record(Kind.PROMPT, row, prompt=turns)
    record["references"] = [answer["content"], *record["references"]]
    yield record


def _preference_to_ranking(row: Row) -> Iterator[dict[str, Any]]:
    candidates = [
        {"completion": row[side], "model": None, "score": score} for side, score in (("chosen", 1.0), ("rejected", 0.0))
    ]
    yield _record(Kind.RANKING, row, prompt=row["prompt"], candidates=candidates)


def _preference_to_feedback(row: Row) -> Iterator[dict[str, Any]]:
    for side, label in (("chosen", True), ("rejected", False)):
        yield _record(
            Kind.FEEDBACK, row, f"/{side}", prompt=row["prompt"], completion=row[side], label=label, value=None
        )


def _ranking_to_prompt(row: Row) -> Iterator[dict[str, Any]]:
    yield _record(Kind.PROMPT, row, prompt=row["prompt"])


_CASTS: dict[tuple[Kind, Kind], tuple[int, Callable[[Row], Iterator[dict[str, Any]]]]] = {
    (Kind.CONVERSATION, Kind.PROMPT): (1, _conversation_to_prompt),
    (Kind.PREFERENCE, Kind.RANKING): (1, _preference_to_ranking),
    (Kind.PREFERENCE, Kind.FEEDBACK): (2, _preference_to_feedback),
    (Kind.RANKING, Kind.PROMPT): (1, _ranking_to_prompt),
}


def factor(source: Kind, target: Kind) -> int:
    """How many records of kind `target` a record of kind `source` becomes."""
    return 1 if source == target else _CASTS[source, target][0]


def cast(rows: Iterable[Record], source: Kind, target: Kind) -> Iterator[dict[str, Any]]:
    """Rows of kind `target`, :func:`factor` of them for each of `rows`, in order."""
    convert = _CASTS[source, target][1]
    for row in rows:
        yield from convert(row)
