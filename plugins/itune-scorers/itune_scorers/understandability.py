"""Understandability, one of UniEval's dimensions of dialogue."""

from __future__ import annotations

from itune_core.api import Input, Kind
from itune_scorers.asking.yes_no import YesNo


class Understandability(YesNo):
    r"""How understandable a model finds the answer, read by itself: UniEval's ratio of yes to yes or no.

    Columns, settings and what `prompt` may use are those of `scorers/naturalness`:

    - ``score.<step>``: :math:`P(\text{Yes}) / (P(\text{Yes}) + P(\text{No}))`;
    - ``score.<step>.mass``: :math:`P(\text{Yes}) + P(\text{No})`.

    Source: arXiv:2210.07197; the question is this package's.
    """

    inputs = {"records": Input((Kind.CONVERSATION, Kind.FEEDBACK, Kind.TEXT))}
    template = "understandability"
