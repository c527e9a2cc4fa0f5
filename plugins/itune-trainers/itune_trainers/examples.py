"""From records to token rows, with an account of every record: trained on, cut, dropped, failed."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from itune_core.api import DataError, Drop, Failed, Message, Record, RowError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from itune_torch import Encoded
    from itune_trainers.token_cache import TokenCache

STOPS = frozenset({"E-TORCH-017", "E-TORCH-018", "E-TORCH-019"})
"""Too long under this policy, or nothing to train on: the recipe must say something else, so the step stops."""


@dataclass(frozen=True)
class Example:
    """What an objective gives one loss for.

    Attributes:
        id: of the record.
        rows: its token rows: one for a conversation, chosen and rejected for a pair.
        label: what the record says about them besides (how likely the preference is, say).
        scores: what the record says about each row; none if nothing.
        beside: rows that are run before the batch and without gradient, see :meth:`Algorithm.baseline`; with an id of
            their own.
    """

    id: str
    rows: tuple[Encoded, ...]
    label: float = 1.0
    scores: tuple[float, ...] = ()
    beside: Example | None = None

    @cached_property
    def key(self) -> bytes:
        """Digest over the token rows: all that a frozen model's values of them depend on. An id is not enough: records
        of two data sets may have the same."""
        digest = hashlib.blake2b(digest_size=16)
        for row in self.rows:
            digest.update(_written(row))
        return digest.digest()

    @property
    def tokens(self) -> int:
        """Tokens of all rows."""
        return sum(len(row.ids) for row in self.rows)

    @property
    def supervised(self) -> int:
        """Supervised tokens of all rows."""
        return sum(row.supervised for row in self.rows)


def _written(row: Encoded) -> bytes:
    trained = "".join(map(str, map(int, row.trained)))
    return f"{row.ids}{trained}".encode()


class OverLength(Exception):
    """A row is longer than allowed and the policy is to drop its record. Caught where records are encoded."""


@dataclass(frozen=True)
class Encoder:
    """Tokenises the parts of one record, under the recipe's length policy.

    Attributes:
        tokenizer: of the model that is trained.
        max_length: longest row, in tokens.
        overlength: what happens to a longer one.
        cache: keeps what was tokenised; None: nothing is kept.
        variables: what the tokenizer's chat template was given besides the turns, see :meth:`using`.
    """

    tokenizer: PreTrainedTokenizerBase
    max_length: int
    overlength: str
    cache: TokenCache | None = None
    variables: Mapping[str, str] = field(default_factory=dict)

    def using(self, **variables: str) -> Encoder:
        """This encoder, with the chat template's variables set."""
        from itune_torch import with_variables

        key = tuple(sorted(variables.items()))
        if key not in self._variants:
            tokenizer = with_variables(self.tokenizer, variables)
            self._variants[key] = replace(self, tokenizer=tokenizer, variables=variables)
        return self._variants[key]

    @cached_property
    def _variants(self) -> dict[tuple[tuple[str, str], ...], Encoder]:
        return {}

    @cached_property
    def control_tokens(self) -> tuple[str, ...]:
        """What the tokenizer reads as a control token wherever it stands."""
        return tuple(token.content for token in self.tokenizer.added_tokens_decoder.values() if token.special)

    def conversation(self, record: Record) -> Encoded:
        """The record's messages; the assistant's turns are trained, or those whose `train` flag says so."""
        from itune_torch import encode_conversation

        messages = record["messages"]
        self._refuse_control_tokens(messages)
        return self._row(messages, record, lambda policy: encode_conversation(self.tokenizer, messages, **policy))

    def completion(self, record: Record, column: str) -> Encoded:
        """The record's prompt and the completion in `column`, all of which is trained."""
        return self.answer(record, record[column])

    def answer(self, record: Record, completion: Sequence[Message]) -> Encoded:
        """The record's prompt and this completion, all of which is trained."""
        from itune_torch import encode_completion

        prompt = record["prompt"]
        self._refuse_control_tokens([*prompt, *completion])
        return self._row(
            [prompt, completion], record, lambda policy: encode_completion(self.tokenizer, prompt, completion, **policy)
        )

    def source_target(self, record: Record) -> Encoded:
        """The record's last message, the assistant's, for a decoder to learn; those before it for its encoder."""
        from itune_torch import encode_source_target

        *source, target = record["messages"]
        if target.get("train") is False or any(turn.get("train") for turn in source):
            raise RowError(
                "what is to be trained is not the last message alone",
                "E-TRAIN-061",
                why="the encoder reads all messages but the last, which is the one that the decoder writes",
                fix="set train on no turn, or make a conversation of every turn that is to be trained",
            )
        self._refuse_control_tokens([*source, target])
        return self._row(
            {"source": source, "target": target},
            record,
            lambda policy: encode_source_target(self.tokenizer, source, [target], **policy),
        )

    def text(self, record: Record) -> Encoded:
        """The record's text, every token trained."""
        from itune_torch import encode_text

        self._refuse_control_tokens([{"content": record["text"]}])
        text = record["text"]
        return self._row(text, record, lambda policy: encode_text(self.tokenizer, text, **policy))

    def _row(self, content: Any, record: Record, make: Callable[[dict[str, Any]], Encoded | None]) -> Encoded:
        """The row of some content, from the cache or made under the length policy."""
        policy = {"max_length": self.max_length, "overlength": self.overlength}

        def fresh() -> Encoded | None:
            return make({**policy, "row": record["id"]})

        key = [content, policy, self.variables] if self.variables else [content, policy]
        found = fresh() if self.cache is None else self.cache.row(key, fresh)
        if found is None:
            raise OverLength
        return found

    def _refuse_control_tokens(self, messages: Sequence[Message]) -> None:
        """A typed ``<|im_end|>`` would be tokenised as the real one, and train the model on turns nobody took."""
        for message in messages:
            for token in self.control_tokens:
                if token in (message["content"] or ""):
                    raise RowError(
                        f"the text holds the control token {token!r}",
                        "E-TRAIN-003",
                        why="the tokenizer would read it as the end or start of a turn, not as text",
                        fix="filter such rows out, or write the token differently",
                    )


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
                digest.update(_written(row))
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
