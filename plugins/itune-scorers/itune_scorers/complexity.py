"""How complex a question is, rated by a model: DEITA's complexity."""

from __future__ import annotations

from itune_core.api import Input, Kind
from itune_scorers.asking.digits import Rated


class Complexity(Rated):
    r"""How complex a model finds what the user asks, from 1 to 6: DEITA's complexity.

    Nothing is generated: of the tokens of the six digits, at the place where the answer would begin, the expected value
    is taken, :math:`\sum_d d\, P(d) / \sum_d P(d)`. Each turn of the user is rated by itself, without what was said
    before. Columns:

    - ``score.<step>``: the mean over the user's turns;
    - ``score.<step>.mass``: the probability that the answer begins with one of the six, the least of all turns. Where
      it is near 0 the model does not rate at all;
    - ``score.<step>.turns``: how many turns were rated.

    A digit of which the model says nothing is a failure (``E-SCORE-025``), never a middling 3. DEITA trains a model to
    rate, on questions that were made more and more complex; any model that follows instructions stands in for it. Give
    the wording that a rating model was trained with as `prompt`, which may use ``query``, the text of the user's turn.

    Source: arXiv:2312.15685; the question is this package's.
    """

    inputs = {"records": Input(tuple(kind for kind in Kind if kind is not Kind.TEXT))}
    template = "complexity"
    gives = frozenset({"query"})
