"""What a template of somebody else may be made of, and where its work is charged: the parsed template, rewritten."""

from __future__ import annotations

from typing import cast

from jinja2 import nodes
from jinja2.visitor import NodeTransformer

ALLOWED: tuple[type[nodes.Node], ...] = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.Const, nodes.Name, nodes.NSRef, nodes.Getattr),
    *(nodes.Getitem, nodes.Slice, nodes.Filter, nodes.Test, nodes.Call, nodes.Keyword, nodes.Pair, nodes.List),
    *(nodes.Tuple, nodes.Dict, nodes.CondExpr, nodes.And, nodes.Or, nodes.Not, nodes.Neg, nodes.Pos, nodes.Add),
    *(nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Pow, nodes.Concat, nodes.Compare),
    *(nodes.Operand, nodes.For, nodes.If, nodes.Assign, nodes.AssignBlock, nodes.With),
)
"""What a template may be made of."""

OPTIONS = "answer_choices"
"""The variable that holds the answers to choose from. Neither it nor a list in a template is looked into by a negative
number that stands in the row: that is how a label says that there is none."""

LOOPED, WEIGHED, SOUGHT, CONCATENATED, OPTION = (
    *("itune looped", "itune weighed", "itune sought", "itune concatenated", "itune option"),
)
"""Filters that are put into a parsed template; no template can name them, for their names hold a space."""


class Metering(NodeTransformer):
    """Puts the filters that charge into a template, and an empty text where an `if` expression has no `else`."""

    def visit_TemplateData(self, node: nodes.TemplateData) -> nodes.Node:
        return nodes.Const(node.data, lineno=node.lineno)  # constants are charged when they are written, data is not

    def visit_For(self, node: nodes.For) -> nodes.Node:
        self.generic_visit(node)
        node.iter = _filtered(node.iter, LOOPED)
        return node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:
        self.generic_visit(node)
        node.expr = _filtered(node.expr, WEIGHED)
        for operand in node.ops:
            operand.expr = _filtered(operand.expr, SOUGHT if operand.op in ("in", "notin") else WEIGHED)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _filtered(nodes.List(node.nodes, lineno=node.lineno), CONCATENATED)

    def visit_CondExpr(self, node: nodes.CondExpr) -> nodes.Node:
        self.generic_visit(node)
        if node.expr2 is None:
            node.expr2 = nodes.Const("", lineno=node.lineno)
        return node

    def visit_List(self, node: nodes.List) -> nodes.Node:
        self.generic_visit(node)
        return _filtered(node, WEIGHED)

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:
        self.generic_visit(node)
        return _filtered(node, WEIGHED)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:
        self.generic_visit(node)
        return _filtered(node, WEIGHED) if node.ctx == "load" else node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:
        chooses = isinstance(node.node, (nodes.List, nodes.Tuple)) or (
            isinstance(node.node, nodes.Name) and node.node.name == OPTIONS
        )
        literal = _is_literal(node.arg)
        self.generic_visit(node)
        if isinstance(node.arg, nodes.Slice):
            return _filtered(node, WEIGHED)
        if chooses and not literal:
            node.arg = _filtered(node.arg, OPTION)
        return node


def _filtered(node: nodes.Node, name: str) -> nodes.Filter:
    return nodes.Filter(cast("nodes.Expr", node), name, [], [], None, None, lineno=node.lineno)


def _is_literal(node: nodes.Expr) -> bool:
    return isinstance(node.node if isinstance(node, nodes.Neg) else node, nodes.Const)
