"""Drop records that are too like a seed or an earlier record: the novelty rule of Self-Instruct."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain
from sys import intern
from typing import Literal

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
    Part,
    Record,
    RowError,
    contents,
    hookimpl,
)
from itune_filters.likeness.rouge_pool import RougePool
from itune_filters.likeness.texts import texts_of
from itune_filters.likeness.tokens import Unit, tokens

_STRIDE = 1000


class Novelty(Filter):
    r"""Keep a record if it is unlike every seed and every record kept before it, by ROUGE-L.

    The records are taken in the order of the data set. One is kept, and from then on compared with, if its ROUGE-L F
    (no stemmer) with each text of the pool is below `threshold`. The pool begins with the optional input `seeds`, all
    of which are in it; they are not judged. Of texts of m and n tokens whose longest common subsequence has LCS tokens

    .. math:: F = \frac{2\,LCS}{m + n}

    The answer is exact: that of comparing with the whole pool. With ``tokens: rouge`` it is, to the last bit, that of
    the ``rouge-score`` package, which reads a to z and 0 to 9 only. A text most letters of which are outside of these
    fails (``E-FILTER-050``) instead of being compared by what is left of it, and so does a text without any letter or
    digit. ``words`` and ``characters`` read all scripts; for Chinese, Japanese and Korean take one of them.

    A record is compared by its prompt unless `on` says otherwise, without system turns: where rows come with an input
    beneath the instruction, by both. Of every kept record a string is held, one character a token.

    Dropped: ``not-novel``, with the value and the id of the text of the pool that it is most like, the first of equals.
    A record that lacks the part fails (``E-DATA-037``). A seed that cannot be compared is an error
    (``E-FILTER-052``), and so are more different tokens than can be told apart (``E-FILTER-051``).

    Source: Self-Instruct, arXiv:2212.10560, which keeps what is below 0.7; its code also keeps 0.7 itself.
    """

    inputs = {"records": Input(), "seeds": Input(required=False)}

    class Config(ComponentConfig):
        threshold: float = Field(0.7, gt=0, le=1, description="ROUGE-L F from which on a record is dropped.")
        on: Part = Field("prompt", description="What is compared: prompt and answers, the prompt, or the answers.")
        tokens: Literal["rouge"] | Unit = Field(
            "rouge",
            description="What texts are made of: `rouge`, runs of a-z and 0-9; `words` of any script, where each "
            "character of a script without spaces is one; or `characters`, letters and digits.",
        )

    @hookimpl
    def itune_filter(self, inputs: Inputs, context: Context) -> Iterator[Keep | Drop | Failed]:
        # The hook itself: a verdict depends on all records before this one.
        rows, seeds = inputs["records"], inputs.get("seeds")
        names = [] if seeds is None else [f"seed {name}" for name in seeds["id"][:]]
        planted = [] if seeds is None else [self._of_seed(record) for record in texts_of(seeds)]
        read = [self._of_record(record) for record in texts_of(rows)]
        texts = chain(planted, (text for text in read if not isinstance(text, Failed)))
        pool = RougePool(self.config.threshold, Counter(chain.from_iterable(texts)))
        for text in planted:
            pool.add(text)
        for number, (name, given) in enumerate(zip(rows["id"][:], read, strict=True), 1):
            if number % _STRIDE == 0:
                context.progress(number, len(read), kept=len(pool) - len(planted))
            if isinstance(given, Failed):
                yield given
            elif near := pool.nearest(given):
                yield Drop("not-novel", f"ROUGE-L {near.rouge_l:.3f} with {names[near.number]}")
            else:
                pool.add(given)
                names.append(name)
                yield Keep()

    def _tokens(self, record: Record) -> list[str]:
        # Interned: a token that comes a thousand times is held once.
        return [intern(token) for token in tokens("\n".join(contents(record, self.config.on)), self.config.tokens)]

    def _of_record(self, record: Record) -> list[str] | Failed:
        try:
            return self._tokens(record)
        except RowError as error:
            return Failed.of(error)

    def _of_seed(self, record: Record) -> list[str]:
        try:
            return self._tokens(record)
        except RowError as error:
            raise DataError(
                "E-FILTER-052",
                "a seed cannot be compared with",
                where=f"seed {record['id']}",
                why=f"{error.code}: {error.what}",
                fix=error.fix or "leave it out of the seeds",
            ) from error
