"""Open Assistant trees as preferences: pairs of replies to one question, by the rank that people gave them."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from itune_core.api import Kind, Record, Row, preference
from itune_formatters.dialogue.message_trees import Node, common, turn
from itune_formatters.dialogue.sibling_trees import SiblingFormatter
from itune_formatters.preferences.pairing import PAIRING, Pairing, pair


class OpenAssistantPairs(SiblingFormatter):
    """Open Assistant's message trees (oasst1, oasst2), one preference for each pair of ranked replies.

    Reads what ``formatters/openassistant`` reads, and takes questions and their replies as
    ``formatters/openassistant-ranking`` does. Replies that are the same text make no pair. ``margin`` is the distance
    of the two ranks. All other fields of the messages stand in ``meta``: of the prompt's under ``messages`` by turn
    number, of the two replies' under ``chosen`` and ``rejected``.

    In a table the question's row gives the records; the replies in them and the turns before are used. Messages are
    left out as there, and as ``not-paired`` (a reply that the setting `pairs` passes over) and ``nothing-to-compare``
    (a question whose replies have equal ranks or equal texts).

    Source: arXiv:2304.07327, https://github.com/LAION-AI/Open-Assistant (oasst-data; Apache-2.0); adjacent pairs as in
    https://github.com/ContextualAI/HALOs.
    """

    produces = Kind.PREFERENCE

    class Config(SiblingFormatter.Config):
        pairs: Pairing = Field("adjacent", description=PAIRING)

    def compare(self, path: Sequence[Node], ranked: Sequence[Node]) -> tuple[list[Record], set[Node]]:
        prompt = [turn(node) for node in path]
        made: list[Record] = []
        used: set[Node] = set()
        ranks = [float(-(reply.rank or 0)) for reply in ranked]
        rng = self.rng(Row({"message_id": path[-1].id}, ""), "pairs")
        for better, worse in pair(ranks, self.config.pairs, rng):
            chosen, rejected = ranked[better], ranked[worse]
            if chosen.text == rejected.text:
                continue
            about = common(path, chosen=dict(chosen.extra), rejected=dict(rejected.extra))
            margin = ranks[better] - ranks[worse]
            made.append(preference(prompt, [turn(chosen)], [turn(rejected)], margin=margin, **about))
            used |= {chosen, rejected}
        return made, used
