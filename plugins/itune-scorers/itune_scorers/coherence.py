"""Coherence, one of UniEval's dimensions of dialogue."""

from __future__ import annotations

from itune_core.api import Input, Kind
from itune_scorers.asking.yes_no import YesNo


class Coherence(YesNo):
    r"""How well a model finds that the answer follows from the turns before it: UniEval's ratio of yes to yes or no.

    Columns and settings are those of `scorers/naturalness`; here the model also reads all turns before the answer, and
    a `prompt` may use ``response`` and ``prompt``, a list of turns with ``role`` and ``content``.

    - ``score.<step>``: :math:`P(\text{Yes}) / (P(\text{Yes}) + P(\text{No}))`;
    - ``score.<step>.mass``: :math:`P(\text{Yes}) + P(\text{No})`.

    A record without a turn before its answer fails (``E-SCORE-020``).

    Source: arXiv:2210.07197; the question is this package's.
    """

    inputs = {"records": Input((Kind.CONVERSATION, Kind.FEEDBACK))}
    template = "coherence"
    gives = frozenset({"prompt", "response"})
