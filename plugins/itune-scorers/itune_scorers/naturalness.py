"""Naturalness, one of UniEval's dimensions of dialogue."""

from __future__ import annotations

from itune_core.api import Input, Kind
from itune_scorers.asking.yes_no import YesNo


class Naturalness(YesNo):
    r"""How natural a model finds the answer, read by itself: UniEval's ratio of yes to yes or no.

    The model is asked a question that it is to answer with yes or no; nothing is generated. Columns:

    - ``score.<step>``: :math:`P(\text{Yes}) / (P(\text{Yes}) + P(\text{No}))`, each of the first token of the answer;
    - ``score.<step>.mass``: :math:`P(\text{Yes}) + P(\text{No})`. Where it is near 0 the model would have said
      something else, and the ratio says little.

    UniEval's own model is an encoder-decoder that was trained on its own wording: give that with `prompt`. Any other
    model that follows instructions stands in for it; values of different models or wordings are not comparable. A
    `prompt` may use ``response``. Of text, all of it is the answer.

    Source: arXiv:2210.07197; the question is this package's.
    """

    inputs = {"records": Input((Kind.CONVERSATION, Kind.FEEDBACK, Kind.TEXT))}
    template = "naturalness"
