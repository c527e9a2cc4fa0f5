"""Open Assistant trees as conversations: the best answer to each question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from itune_core.api import Drop, Kind, Used, conversation
from itune_formatters.dialogue.message_trees import Node, TreeFormatter, common, turn


class OpenAssistant(TreeFormatter):
    """Open Assistant's message trees (oasst1, oasst2), one conversation for each path of best answers.

    Reads the table of messages, as on the Hugging Face hub, or the exported trees, see the setting `layout`. At each
    turn of the user the path follows the reply with the lowest `rank` of those that may be used; a reply without a rank
    only where it has no rival. At each turn of the assistant it follows every reply that has an answer itself, so that
    a tree gives one record for each last answer. `lang` of that answer is the record's language; all other fields of
    the messages stand in ``meta``, ``{"messages": {turn number: {...}}}``, those of the tree beside them.

    In a table each message is a row of its own: the last of a path gives the record, those before it are used. In
    ``layout: trees`` a tree is a row, and the ledger says how many of its messages were left out for which reason.

    Messages are left out, in either layout, as ``deleted``, ``rejected`` (`review_result` is false), ``unreviewed`` (it
    is null, or there are too few reviews), ``other-language``, ``empty-text``, ``no-parent`` (what they reply to is not
    in the files), ``turns-out-of-order``, ``parent-left-out``, ``not-best``, ``unranked`` (no rank, and rivals),
    ``unanswered`` (no reply to a question may be used). A tree without a record is dropped for the reason of its root.

    The rows of a tree may stand anywhere; memory is said in :mod:`itune_formatters.groups`.

    Source: arXiv:2304.07327, https://github.com/LAION-AI/Open-Assistant (oasst-data; Apache-2.0).
    """

    produces = Kind.CONVERSATION

    class Config(TreeFormatter.Config):
        shared_turns: Literal["always", "once"] = Field(
            "always",
            description="Answers that stand in several paths are trained on in each of them, or once: in the first "
            "path by message id.",
        )

    def decide(self, order: Sequence[Node]) -> None:
        for node in order:
            parent = node.parent
            if node.left_out is None and parent is not None and parent.left_out is not None:
                node.left_out = Drop("parent-left-out", parent.id)
            if node.left_out is None and node.role == "user":
                node.left_out = _follow_best(node)
        trained: set[Node] = set()
        for node in sorted(order, key=lambda node: node.id):
            if node.left_out is None and node.role == "assistant" and not node.usable:
                path = node.path()
                turns = [turn(step, False if step in trained else None) for step in path]
                if self.config.shared_turns == "once":
                    trained.update(step for step in path if step.role == "assistant")
                node.made = [conversation(turns, **common(path))]
                for step in path[:-1]:
                    step.made = [Used("earlier-turn", f"of the conversation that ends with {node.id}")]


def _follow_best(question: Node) -> Drop | None:
    """Leave out all replies but the best; if there is none, the reason to leave out the question itself."""
    rivals = question.usable
    ranked = [reply for reply in rivals if reply.rank is not None]
    best = min(ranked, key=lambda reply: (reply.rank, reply.id), default=None)
    if best is None and len(rivals) == 1:
        best = rivals[0]
    for reply in rivals:
        if reply is not best:
            reply.left_out = Drop("unranked") if reply.rank is None else Drop("not-best", f"rank {reply.rank}")
    return None if best is not None else Drop("unanswered")
