"""How good an answer is, rated by a model: DEITA's quality."""

from __future__ import annotations

from itune_core.api import Input, Kind
from itune_scorers.asking.digits import Rated


class Quality(Rated):
    """How good a model finds the assistant's answers, from 1 to 6: DEITA's quality.

    As `scorers/complexity`, with the answer: each turn of the user is rated with what the assistant said to it, without
    what was said before. Columns:

    - ``score.<step>``: the mean over the turns;
    - ``score.<step>.mass``: the probability that the model begins with one of the six digits, the least of all turns;
    - ``score.<step>.turns``: how many turns were rated.

    A digit of which the model says nothing is a failure (``E-SCORE-025``), never a middling 3. A `prompt` may use
    ``query``, the text of the user's turn, and ``response``, that of the answer to it.

    Source: arXiv:2312.15685; the question is this package's.
    """

    inputs = {"records": Input((Kind.CONVERSATION, Kind.FEEDBACK))}
    template = "quality"
    gives = frozenset({"query", "response"})
