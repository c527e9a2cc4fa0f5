"""Trees of messages as Open Assistant publishes them, and the base of the formatters that read them."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import Field

from itune_core.api import Drop, Failed, Row, RowError, Used, message, prompt
from itune_formatters.groups import GroupFormatter, Outcome
from itune_formatters.rest import rest

ROLES = {"prompter": "user", "assistant": "assistant"}
TREE = ("message_tree_id", "tree_state")
"""Fields that all messages of a tree share."""

READ = ("parent_id", "text", "role", "replies", *TREE)
"""Fields that need not be kept beside a turn: they are in the record otherwise."""

TYPES = {"deleted": bool, "review_result": bool, "review_count": int, "rank": int, "model_name": str}
"""What fields that are read must be, where they are not null."""

MOST = 2**31
"""No rank is higher; exports have them in 32 bits."""


@dataclass(eq=False)
class Node:
    """A message in its tree.

    Attributes:
        id, parent_id, role, text, rank, language: its fields; `role` as records have it, `rank` 0 for the best.
        extra: the other fields that are not null.
        tree: what is known of its tree, from the message's row.
        parent: the message it replies to, set by :func:`attach`.
        replies: the messages that reply to it, by id, set by :func:`attach`.
        left_out: why it is left out; None: nothing speaks against it.
        made: what else becomes of it.
    """

    id: str
    parent_id: str | None
    role: str
    text: str
    rank: int | None
    language: str | None
    extra: Mapping[str, Any]
    tree: Mapping[str, Any]
    parent: Node | None = None
    replies: list[Node] = field(default_factory=list)
    left_out: Drop | Failed | None = None
    made: list[Outcome] = field(default_factory=list)

    @property
    def outcomes(self) -> list[Outcome]:
        return [self.left_out] if self.left_out is not None else self.made

    @property
    def usable(self) -> list[Node]:
        """The replies that nothing speaks against."""
        return [reply for reply in self.replies if reply.left_out is None]

    def path(self) -> list[Node]:
        """The messages from the root to this one."""
        found = [self]
        while (parent := found[-1].parent) is not None:
            found.append(parent)
        return found[::-1]


class TreeFormatter(GroupFormatter):
    """What the formatters of message trees share: reading, and which messages may be used.

    A subclass defines :meth:`decide`.
    """

    class Config(GroupFormatter.Config):
        layout: Literal["table", "trees"] = Field(
            "table",
            description="table: a message a row, with `message_tree_id` and `parent_id`; trees: a tree a row, replies "
            "in `replies`, the root in `prompt` or the row itself.",
        )
        languages: list[str] | None = Field(
            None, min_length=1, description="Use messages in these languages (`lang`); unset: in all."
        )
        keep: list[Literal["deleted", "rejected", "unreviewed"]] = Field(
            [],
            description="Messages that are used although they were deleted, were rejected by reviewers, or have no "
            "verdict of reviewers.",
        )
        min_reviews: int = Field(0, ge=0, description="A message with fewer reviews counts as unreviewed.")

    def decide(self, order: Sequence[Node]) -> None:
        """Say what becomes of each message: set its `left_out` or `made`.

        Args:
            order: the messages of trees whose root may be used, parents first; some are left out already.
        """
        raise TypeError(f"{type(self).__name__} must define decide()")

    @property
    def grouped(self) -> bool:
        return self.config.layout == "table"

    def group(self, row: Row) -> str:
        if "replies" in row or isinstance(row.get("prompt"), Mapping):
            raise _wrong_layout("table", "trees", "a tree")
        return row.text("message_tree_id")

    def format_group(self, rows: Sequence[Row]) -> Sequence[Sequence[Outcome]]:
        if self.config.layout == "trees":
            return [self._tree(row) for row in rows]
        nodes: list[Node | Failed] = []
        for row in rows:
            try:
                nodes.append(read_node(row))
            except RowError as error:
                nodes.append(Failed.of(error))
        known = [node for node in nodes if isinstance(node, Node)]
        self._judge(known)
        return [node.outcomes if isinstance(node, Node) else [node] for node in nodes]

    def _tree(self, row: Row) -> list[Outcome]:
        wrapped = row.get("prompt") is not None
        if not wrapped and "replies" not in row:
            raise _wrong_layout("trees", "table", "one message")
        nodes = list(nested(row["prompt"] if wrapped else row))
        tree = {name: value for name, value in row.items() if name != "prompt"} if wrapped else _tree_fields(row)
        for node in nodes:
            node.tree = tree
        self._judge(nodes)
        for node in nodes:
            if isinstance(node.left_out, Failed):
                return [node.left_out]
        reasons = Counter(node.left_out.reason for node in nodes if isinstance(node.left_out, Drop))
        told = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
        made: list[Outcome] = [item for node in nodes for item in node.made if not isinstance(item, Used)]
        if made:
            return [*made, Used("messages-left-out", told)] if told else made
        first = nodes[0].left_out
        return [Drop(first.reason if isinstance(first, Drop) else "no-record", told)]

    def _judge(self, nodes: Sequence[Node]) -> None:
        for node in nodes:
            node.left_out = self._unfit(node)
        attach(nodes)
        self.decide(list(parents_first(node for node in nodes if node.parent is None and node.left_out is None)))

    def _unfit(self, node: Node) -> Drop | None:
        """Why a message may not be used, whatever stands around it."""
        config, extra = self.config, node.extra
        if config.languages is not None and node.language not in config.languages:
            return Drop("other-language", node.language or "none is told")
        verdict = extra.get("review_result")
        unreviewed = verdict is None or (extra.get("review_count") or 0) < config.min_reviews
        for name, applies in (
            ("deleted", extra.get("deleted") is True),
            ("rejected", verdict is False),
            ("unreviewed", unreviewed),
        ):
            if applies and name not in config.keep:
                return Drop(name)
        return None if node.text.strip() else Drop("empty-text")


def _wrong_layout(said: str, other: str, what: str) -> RowError:
    return RowError(
        f"layout is {said!r}, but the row is {what}", "E-FORMAT-042", fix=f"set layout: {other}, or read another file"
    )


def read_node(values: Mapping[str, Any]) -> Node:
    """The message that `values` holds.

    Raises:
        RowError: ``E-DATA-002``, ``E-DATA-003`` no `message_id` or `text`, or it is not text; ``E-FORMAT-040`` a role
            other than prompter and assistant; ``E-FORMAT-041`` another field has the wrong type; ``E-FORMAT-001``,
            ``E-DATA-010`` a record could not hold it.
    """
    row = Row(values, "")
    role, rank = row.text("role"), row.get("rank")
    if role not in ROLES:
        raise RowError(f"a message has the role {role!r}", "E-FORMAT-040", fix="roles are prompter and assistant")
    for name, kind in TYPES.items():
        if row.get(name) is not None and type(row[name]) is not kind:
            raise RowError(f"{name!r} is {row[name]!r}", "E-FORMAT-041", fix=f"it must be {kind.__name__} or null")
    if rank is not None and not 0 <= rank <= MOST:
        raise RowError(
            f"'rank' is {rank!r}", "E-FORMAT-041", fix="it must be 0 for the best reply, 1 for the next, ..."
        )
    node = Node(
        id=row.text("message_id"),
        parent_id=row.text("parent_id", "") or None,
        role=ROLES[role],
        text=row.text("text"),
        rank=rank,
        language=row.text("lang", "") or None,
        extra={name: value for name, value in values.items() if name not in READ and value is not None},
        tree=_tree_fields(values),
    )
    # What no record can hold fails here, where it is known which row is at fault.
    prompt([message("user", node.text)], language=node.language, **rest({"messages": node.extra, **node.tree}))
    return node


def _tree_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in TREE if values.get(name) is not None}


def nested(root: Any) -> Iterator[Node]:
    """The messages of a tree whose replies stand in each other, parents first; `parent_id` is set from the structure.

    Raises:
        RowError: as :func:`read_node`; ``E-FORMAT-041`` a node or its `replies` have the wrong type.
    """
    waiting: deque[tuple[Any, str | None]] = deque([(root, None)])
    while waiting:
        values, parent = waiting.popleft()
        if not isinstance(values, Mapping):
            raise RowError(f"a message is {type(values).__name__}", "E-FORMAT-041", fix="it must be an object")
        node = read_node({**values, "parent_id": parent})
        replies = values.get("replies") or []
        if not isinstance(replies, list):
            raise RowError(f"'replies' is {type(replies).__name__}", "E-FORMAT-041", fix="it must be a list or null")
        waiting.extend((reply, node.id) for reply in replies)
        yield node


def attach(nodes: Sequence[Node]) -> None:
    """Join messages to the ones they reply to, and leave out those whose place in the tree is not sound.

    ``no-parent``: the message it replies to is not there (or replies, in the end, to itself); ``turns-out-of-order``:
    it replies to a message of the same role, or begins a tree as the assistant; ``parent-left-out``: a message before
    it is left out. Two messages with one id both fail (``E-FORMAT-043``).
    """
    times = Counter(node.id for node in nodes)
    by_id = {node.id: node for node in nodes if times[node.id] == 1}
    for node in sorted(nodes, key=lambda node: node.id):
        if times[node.id] > 1:
            node.left_out = Failed("E-FORMAT-043", f"{times[node.id]} messages of one tree have the id {node.id!r}")
        elif node.parent_id is not None and node.parent_id in by_id:
            node.parent = by_id[node.parent_id]
            node.parent.replies.append(node)
    reached = set()
    for node in parents_first(node for node in nodes if node.parent is None):
        reached.add(node)
        if node.left_out is None:
            node.left_out = _misplaced(node)
    for node in nodes:
        if node not in reached and node.left_out is None:
            node.left_out = Drop("no-parent", "its parents go round in a circle")


def _misplaced(node: Node) -> Drop | None:
    parent = node.parent
    if parent is None:
        if node.parent_id is not None:
            return Drop("no-parent", f"no message {node.parent_id} to reply to")
        return None if node.role == "user" else Drop("turns-out-of-order", "the assistant begins")
    if parent.left_out is not None:
        return Drop("parent-left-out", parent.id)
    return Drop("turns-out-of-order", f"{node.role} after {parent.role}") if node.role == parent.role else None


def parents_first(roots: Iterable[Node]) -> Iterator[Node]:
    """The messages of the trees below `roots`, each after the one it replies to."""
    waiting = deque(roots)
    while waiting:
        node = waiting.popleft()
        yield node
        waiting.extend(node.replies)


def turn(node: Node, train: bool | None = None) -> dict[str, Any]:
    """The message as records have it."""
    return message(node.role, node.text, train=train)


def common(path: Sequence[Node], **more: Any) -> dict[str, Any]:
    """Common columns of a record of `path`: the language of its last turn, and ``meta`` with what is known of the tree,
    `more`, and the other fields of each turn by number, as ``formatters/messages`` keeps them."""
    extra = {str(number): dict(node.extra) for number, node in enumerate(path)}
    return {**rest({**path[-1].tree, "messages": extra, **more}), "language": path[-1].language}
