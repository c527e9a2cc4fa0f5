"""Drop records that overlap evaluation sets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from pydantic import Field

from itune_core.api import (
    ComponentConfig,
    Context,
    DataError,
    Drop,
    Failed,
    Filter,
    Input,
    Inputs,
    Keep,
    ModelRef,
    Part,
    Record,
    RowError,
    embedded,
    hookimpl,
    records,
)
from itune_filters.likeness.overlap import Ngrams, Turn, turns
from itune_filters.likeness.tokens import Unit

_STRIDE = 1000
_SHOWN = 60
"""Most characters of a shared text that a detail quotes."""

Item = TypeVar("Item")


class Decontaminate(Filter):
    r"""Drop records that share text with rows of evaluation sets, so that what is measured was not trained on.

    `against` takes the evaluation sets, any number and of any kind. Of both sides the prompt is compared, or what `on`
    says; system turns never are. A record is dropped if

    - a turn of it has a run of `size` words in common with a turn of an evaluation row. A question (the first turn of a
      prompt) of fewer words is compared as a whole. A shorter answer or later turn is not: "Yes." is in every set;
    - `model` is set, and the cosine of its embedding to that of an evaluation row reaches `cosine`. What was found by
      words already is not embedded.

    Case, punctuation and white space do not count. Scripts without spaces are read character by character; where that
    makes 13 too short or too long for a language, set `size`, or ``unit: characters``. A prompt that every row of an
    evaluation set is wrapped in would be found in all rows that are wrapped in it: compare sets without a frame.

    The first shared run is named, with the first evaluation row that has it; of embeddings the nearest row. That row is
    named by id and, if it has one, its source.

    Dropped: ``ngram-overlap``, ``embedding-overlap``. A record that lacks the part fails (``E-DATA-037``), and so
    does one that is blank (``E-DATA-038``) or cannot be embedded, with the model's error. It is an error if an
    evaluation row lacks the part (``E-FILTER-053``), if the sets hold nothing that can be compared (``E-FILTER-054``),
    or if one of their rows cannot be embedded (``E-FILTER-055``).

    Source: 13-grams, GPT-3, arXiv:2005.14165; embeddings, which also find what was rephrased or translated,
    arXiv:2311.04850.
    """

    inputs = {"records": Input(), "against": Input(many=True)}

    class Config(ComponentConfig):
        on: Part = Field("prompt", description="What is compared, on both sides: prompt and answers, or one of them.")
        size: int = Field(13, ge=1, description="Words (or characters) in a row that are an overlap.")
        unit: Unit = Field("words", description="What `size` counts.")
        model: ModelRef | None = Field(None, description="An embedding model; unset: only words are compared.")
        cosine: float = Field(0.9, gt=0, le=1, description="Cosine of two embeddings from which on they overlap.")
        first_characters: int | None = Field(
            None,
            ge=1,
            description="Embed only the first so many characters; unset: all, and a text that is longer than the model "
            "reads fails.",
        )

    @hookimpl
    def itune_filter(self, inputs: Inputs, context: Context) -> Iterator[Keep | Drop | Failed]:
        # The hook itself: decide() is not given the other input.
        evaluation = [record for rows in inputs["against"] for record in records(rows)]
        ngrams = Ngrams(self.config.size, [self._of_evaluation(record) for record in evaluation])
        if not (len(ngrams) or (self.config.model and evaluation)):
            raise DataError(
                "E-FILTER-054",
                f"nothing in the evaluation sets can be compared: {len(evaluation)} rows, none with an n-gram",
                fix="look at what the steps before dropped (itune ledger); or lower size, or set model",
            )
        found = self._by_words(inputs["records"], ngrams, evaluation)
        if self.config.model is None:
            yield from found
        else:
            yield from self._by_meaning(self.config.model, inputs["records"], list(found), evaluation, context)

    def _of_evaluation(self, record: Record) -> list[Turn]:
        try:
            return turns(record, self.config.on, self.config.unit)
        except RowError as error:
            raise DataError(
                "E-FILTER-053",
                f"an evaluation row has nothing to compare: {error.what}",
                where=f"evaluation row {_named(record)}",
                fix="set `on` to a part that the evaluation sets have",
            ) from error

    def _by_words(self, rows: Any, ngrams: Ngrams, evaluation: Sequence[Record]) -> Iterator[Keep | Drop | Failed]:
        for some in _batches(records(rows)):
            read: list[list[Turn] | Failed] = [self._of_record(record) for record in some]
            overlaps = ngrams.overlaps([[] if isinstance(turns, Failed) else turns for turns in read])
            for turns_, overlap in zip(read, overlaps, strict=True):
                if isinstance(turns_, Failed):
                    yield turns_
                elif overlap is None:
                    yield Keep()
                else:
                    between = " " if self.config.unit == "words" else ""
                    shared = between.join(overlap.tokens)
                    quoted = shared if len(shared) <= _SHOWN else f"{shared[:_SHOWN]}…"
                    of = _named(evaluation[overlap.row])
                    yield Drop("ngram-overlap", f'{len(overlap.tokens)} {self.config.unit} of {of}: "{quoted}"')

    def _of_record(self, record: Record) -> list[Turn] | Failed:
        try:
            return turns(record, self.config.on, self.config.unit)
        except RowError as error:
            return Failed.of(error)

    def _by_meaning(
        self,
        model: str,
        rows: Any,
        verdicts: Sequence[Keep | Drop | Failed],
        evaluation: Sequence[Record],
        context: Context,
    ) -> Iterator[Keep | Drop | Failed]:
        """The verdicts, each ``Keep`` decided by embeddings."""
        import numpy as np

        known = self._vectors_of_evaluation(model, evaluation, context)
        open_ = (record for record, verdict in zip(records(rows), verdicts, strict=True) if verdict == Keep())
        replies = self._embedded(model, open_, context)
        for some in _batches(iter(verdicts)):
            answers = list(islice(replies, sum(verdict == Keep() for verdict in some)))
            vectors = [answer for answer in answers if not isinstance(answer, Failed)]
            cosines = iter(np.array(vectors).reshape(-1, known.shape[1]) @ known.T)
            decided = (
                answer if isinstance(answer, Failed) else self._judged(next(cosines), evaluation) for answer in answers
            )
            for verdict in some:
                yield next(decided) if verdict == Keep() else verdict

    def _vectors_of_evaluation(self, model: str, evaluation: Sequence[Record], context: Context) -> Any:
        import numpy as np

        vectors = []
        for record, reply in zip(evaluation, self._embedded(model, evaluation, context), strict=True):
            if isinstance(reply, Failed):
                raise DataError(
                    "E-FILTER-055",
                    "an evaluation row cannot be embedded",
                    where=f"evaluation row {_named(record)}",
                    why=f"{reply.code}: {reply.message}",
                    fix="if it is too long, set first_characters, or use an embedding model that reads longer texts",
                )
            vectors.append(reply)
        return np.array(vectors)

    def _embedded(self, model: str, rows: Iterable[Record], context: Context) -> Iterator[Any]:
        on, first_characters = self.config.on, self.config.first_characters
        return embedded(rows, context, model=model, on=on, first_characters=first_characters)

    def _judged(self, cosines: Any, evaluation: Sequence[Record]) -> Keep | Drop:
        nearest = int(cosines.argmax())
        if cosines[nearest] < self.config.cosine:
            return Keep()
        return Drop("embedding-overlap", f"cosine {cosines[nearest]:.3f} with {_named(evaluation[nearest])}")


def _named(record: Record) -> str:
    return f"{record['id']} ({record['source']})" if record["source"] else str(record["id"])


def _batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    iterator = iter(items)
    while some := list(islice(iterator, _STRIDE)):
        yield some
