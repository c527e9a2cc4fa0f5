"""The base of formatters that compare the ranked replies to one question."""

from __future__ import annotations

from collections.abc import Sequence

from itune_core.api import Drop, Record, Used
from itune_formatters.dialogue.message_trees import Node, TreeFormatter


class SiblingFormatter(TreeFormatter):
    """Every question of a tree with the replies that have a rank; the turns before it are the context.

    A subclass defines :meth:`compare`.
    """

    def compare(self, path: Sequence[Node], ranked: Sequence[Node]) -> tuple[list[Record], set[Node]]:
        """The records of a question, and which of its replies went into one.

        Args:
            path: from the root to the question.
            ranked: at least two replies, best first; of equal ranks the smaller id first.
        """
        raise TypeError(f"{type(self).__name__} must define compare()")

    def decide(self, order: Sequence[Node]) -> None:
        context: set[Node] = set()
        candidates: set[Node] = set()
        reasons: dict[Node, Drop] = {}
        for node in order:
            if node.left_out is not None or node.role != "user":
                continue
            ranked = sorted(
                (reply for reply in node.usable if reply.rank is not None), key=lambda reply: (reply.rank, reply.id)
            )
            reasons.update((reply, Drop("unranked")) for reply in node.usable if reply.rank is None)
            reasons.update((reply, Drop("no-rival", f"rank {reply.rank}")) for reply in ranked)
            reasons[node] = Drop("too-few-ranked", f"{len(ranked)} replies")
            if len(ranked) > 1:
                path = node.path()
                made, used = self.compare(path, ranked)
                reasons.update((reply, Drop("not-paired", f"rank {reply.rank}")) for reply in ranked)
                reasons[node] = Drop("nothing-to-compare", "equal ranks, or equal texts")
                node.made = list(made)
                if made:
                    candidates |= used
                    context.update(path[:-1])
        for node in order:
            if node.left_out is None and not node.made:
                if node in candidates:
                    node.made = [Used("candidate", f"in a record of the question {node.parent_id}")]
                elif node in context:
                    node.made = [Used("earlier-turn", "before a question whose replies are compared")]
                else:
                    node.left_out = reasons[node]
