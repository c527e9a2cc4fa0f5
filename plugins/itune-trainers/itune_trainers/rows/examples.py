"""From records to examples, with an account of every record: trained on, cut, dropped, failed."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from itune_core.api import DataError, Drop, Failed, Record, RowError
from itune_trainers.rows.encoder import OverLength
from itune_trainers.rows.example import Example, written

STOPS = frozenset({"E-TORCH-017", "E-TORCH-018", "E-TORCH-019"})
"""Too long under this policy, or nothing to train on: the recipe must say something else, so the step stops."""


@dataclass
class Examples:
    """The examples of one data set.

    Attributes:
        kept: what is trained on, in the order of the records.
        numbers: of those records, in the data set.
        dropped: the other records, by id, and why.
        cut: tokens removed from a record's rows, by id; only records that lost any.
        ends_cut: how many rows lost trained tokens at their end, and with them the token that ends the answer.
        merged: how many tokens span a boundary of trained and untrained text.
    """

    kept: list[Example] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    dropped: dict[str, Drop | Failed] = field(default_factory=dict)
    cut: dict[str, int] = field(default_factory=dict)
    ends_cut: int = 0
    merged: int = 0

    @property
    def run(self) -> list[Example]:
        """All that is run through the model: what is trained on, then what stands beside it."""
        return [*self.kept, *(example.beside for example in self.kept if example.beside is not None)]

    @property
    def digest(self) -> str:
        """Digest over what the model gets to see: token ids, what of them is trained, labels, order."""
        digest = hashlib.blake2b(digest_size=16)
        for example in self.kept:
            for row in (*example.rows, *(example.beside.rows if example.beside else ())):
                digest.update(written(row))
            digest.update(f"|{example.label}{example.scores or ''};".encode())
        return digest.hexdigest()

    def metrics(self) -> dict[str, Any]:
        """Counts for the step's metrics."""
        supervised = [example.supervised for example in self.kept]
        return {
            "records": len(self.kept),
            "tokens": sum(example.tokens for example in self.kept),
            "supervised_tokens": sum(supervised),
            "supervised_tokens_min": min(supervised),
            "truncated_records": len(self.cut),
            "truncated_tokens": sum(self.cut.values()),
            "truncated_answers": self.ends_cut,
            "boundary_tokens": self.merged,
        }


def encode(records: Iterable[Record], make: Callable[[Record], Example], name: str) -> Examples:
    """Encode every record.

    A record that cannot be encoded is failed and counted; a row that is too long under the policy ``error``, or that
    has nothing to train on, stops the step: the recipe can say what to do about those.

    Args:
        records: of one data set.
        make: encodes one.
        name: of the input, for errors.

    Raises:
        DataError: ``E-TRAIN-001`` with every such row counted and the first named; ``E-TRAIN-002`` if no record is
            left.
    """
    made = Examples()
    stops: list[tuple[str, RowError]] = []
    for number, record in enumerate(records):
        try:
            example = make(record)
        except OverLength:
            made.dropped[record["id"]] = Drop("over-length")
        except RowError as error:
            made.dropped[record["id"]] = Failed.of(error)
            if error.code in STOPS:
                stops.append((record["id"], error))
        else:
            made.kept.append(example)
            made.numbers.append(number)
            cut = sum(row.cut for row in example.rows)
            if cut:
                made.cut[example.id] = cut
            made.ends_cut += sum(row.lost_end for row in example.rows)
            made.merged += sum(row.merged for row in example.rows)
    if stops:
        raise _stop(stops, name)
    if not made.kept:
        raise DataError(
            "E-TRAIN-002",
            f"no record of {name!r} is left to train on",
            why=_reasons(made.dropped) or "the data set is empty",
            fix="look at the step's ledger, and at the steps before it",
        )
    return made


def _stop(stops: list[tuple[str, RowError]], name: str) -> DataError:
    first, error = stops[0]
    others = f", and {len(stops) - 1} more" if len(stops) > 1 else ""
    return DataError(
        "E-TRAIN-001",
        f"record {first}{others} of {name!r} cannot be trained on: {error.what}",
        where=", ".join(row for row, _ in stops[:5]),
        why=error.why,
        fix=error.fix,
    )


def _reasons(dropped: Mapping[str, Drop | Failed]) -> str:
    counts = Counter(item.reason if isinstance(item, Drop) else item.message for item in dropped.values())
    return "; ".join(f"{count} x {reason}" for reason, count in counts.most_common(3))
