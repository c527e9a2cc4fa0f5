"""Open Assistant trees as rankings: the replies to each question, by the rank that people gave them."""

from __future__ import annotations

from collections.abc import Sequence

from itune_core.api import Kind, Record, ranking
from itune_formatters.dialogue.message_trees import Node, common, turn
from itune_formatters.dialogue.sibling_trees import SiblingFormatter


class OpenAssistantRanking(SiblingFormatter):
    """Open Assistant's message trees (oasst1, oasst2), one ranking for each question with ranked replies.

    Reads what ``formatters/openassistant`` reads. The prompt is the path from the root to a question, which may run
    through answers that are not the best. Candidates are the replies that may be used and have a rank, best first; the
    score is the rank below zero (0 the best, -1 the next), which is comparable among the replies to one question only.
    All other fields of the messages stand in ``meta``: of the prompt's under ``messages`` by turn number, of the
    candidates' under ``candidates`` by position.

    In a table the question's row gives the record; its candidates and the turns before it are used. Messages are left
    out as ``formatters/openassistant`` does, and as ``too-few-ranked`` (a question with fewer than two such replies,
    that is no context either), ``no-rival`` (a reply with a rank and no other to compare it with) and ``unranked``.

    Source: arXiv:2304.07327, https://github.com/LAION-AI/Open-Assistant (oasst-data; Apache-2.0).
    """

    produces = Kind.RANKING

    def compare(self, path: Sequence[Node], ranked: Sequence[Node]) -> tuple[list[Record], set[Node]]:
        candidates = [
            {"completion": [turn(reply)], "model": reply.extra.get("model_name"), "score": float(-(reply.rank or 0))}
            for reply in ranked
        ]
        about = common(path, candidates={str(number): dict(reply.extra) for number, reply in enumerate(ranked)})
        return [ranking([turn(node) for node in path], candidates, **about)], set(ranked)
