"""How far a record is from its neighbours: diversity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import Field

from itune_core.api import Context, DataError, Failed, Inputs, Scorer, hookimpl
from itune_scorers.vectors.embedding import EmbeddingConfig, gathered
from itune_scorers.vectors.neighbours import need_faiss, nth_distances


class Knn(Scorer):
    r"""The distance from a record to its i-th nearest neighbour among the embedded records; larger is more unusual.

    With unit vectors :math:`u` of the records' texts, the distance is Euclidean, between 0 and 2, and rises and falls
    with the cosine:

    .. math:: \lVert u - v \rVert = \sqrt{2 - 2 \, u \cdot v}

    One column:

    - ``score.<step>``: the distance to the `neighbour`-th nearest other record.

    Another record with the same text is a neighbour at distance 0. All records of the data set count, whatever a later
    step drops, so that a value means something only beside those of the same data set. Up to 50,000 records the search
    is exact and the order of records plays no part; more are searched with FAISS
    (``pip install 'itune-scorers[faiss]'``, else ``E-SCORE-042``), which misses few neighbours. Memory: the vectors, 4
    bytes a coordinate, and some 50 MB; with FAISS the vectors twice and its graph.

    A record without the text that is to be embedded fails (``E-DATA-037``, ``E-DATA-038``), and so does one that the
    model cannot embed; neither is anybody's neighbour. Too few records are an error (``E-SCORE-041``).

    Source: InstructMining, arXiv:2307.06290, which takes the sixth neighbour and a SentenceBERT space.
    """

    class Config(EmbeddingConfig):
        neighbour: int = Field(6, ge=1, description="Which nearest neighbour's distance it is, counted from 1.")

    def depends_on(self) -> Sequence[str]:
        """FAISS: only the rows say whether there are so many that it is needed."""
        return ("faiss-cpu",)

    @hookimpl
    def itune_score(self, inputs: Inputs, context: Context) -> Iterator[Mapping[str, Any] | Failed]:
        """All rows are embedded, then compared.

        Raises:
            DataError: ``E-SCORE-041`` no record has so many neighbours.
            PluginError: ``E-SCORE-042`` FAISS is needed and not installed.
        """
        rows = inputs["records"]
        need_faiss(len(rows))
        vectors, failed = gathered(rows, self.config, context)
        if len(rows) > 0 and len(vectors) <= self.config.neighbour:
            first = next(iter(failed.values()), None)
            raise DataError(
                "E-SCORE-041",
                f"{len(vectors)} records are embedded, and each needs {self.config.neighbour} others",
                why=f"{len(failed)} could not be embedded, the first since: {first.message}" if first else None,
                fix="lower neighbour, or give more records",
            )
        distances = iter(nth_distances(vectors, self.config.neighbour) if len(vectors) else ())
        for number in range(len(rows)):
            yield failed[number] if number in failed else {"": float(next(distances))}
