"""How like a target a record is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from itune_core.api import Context, DataError, Failed, Input, Inputs, Scorer, hookimpl
from itune_scorers.vectors.embedding import EmbeddingConfig, gathered, vectors


class Similarity(Scorer):
    r"""How like the records of a target a record is: the cosine of their embedded texts.

    With unit vectors :math:`u` of the record's text and :math:`v` of those of the target, the columns, between -1 and
    1, are:

    - ``score.<step>.max``: :math:`\max_v u \cdot v`, to the most similar record of the target;
    - ``score.<step>.mean``: :math:`\operatorname{mean}_v u \cdot v`, to all of them.

    `on` and `first_characters` hold for both sides. A record that stands in the target too is 1 from itself: keep the
    two apart. `target` is only read.

    A record without the text that is to be embedded fails (``E-DATA-037``, ``E-DATA-038``), and so does one that the
    model cannot embed. In the target either is an error (``E-SCORE-044``), since every value would depend on what is
    missing; so is a target without records (``E-SCORE-043``).

    Source: this package; selection by similarity to a target: arXiv:2404.16418.
    """

    inputs = {"records": Input(), "target": Input()}
    columns = {"max": "float64", "mean": "float64"}

    class Config(EmbeddingConfig):
        """No settings beside these."""

    @hookimpl
    def itune_score(self, inputs: Inputs, context: Context) -> Iterator[Mapping[str, Any] | Failed]:
        """The target is embedded first.

        Raises:
            DataError: ``E-SCORE-043`` the target has no records; ``E-SCORE-044`` one of them cannot be embedded.
        """
        import numpy as np

        rows = inputs["target"]
        if not len(rows):
            raise DataError(
                "E-SCORE-043",
                "the target has no records, so that nothing can be like it",
                fix="look at what the steps before dropped (itune ledger)",
            )
        target, failed = gathered(rows, self.config, context)
        for number, failure in failed.items():
            raise DataError(
                "E-SCORE-044",
                "a record of the target cannot be embedded",
                where=f"record {rows['id'][number]}",
                why=f"{failure.code}: {failure.message}",
                fix="set first_characters if it is too long, or filter such records out before this step",
            )
        middle = target.mean(axis=0, dtype=np.float64)
        for found in vectors(inputs["records"], self.config, context):
            if isinstance(found, Failed):
                yield found
            else:
                yield {"max": _cosine((target @ found).max()), "mean": _cosine(middle @ found)}


def _cosine(value: float) -> float:
    """Of a vector with itself, rounding would make it 1.0000001."""
    return min(1.0, max(-1.0, float(value)))
