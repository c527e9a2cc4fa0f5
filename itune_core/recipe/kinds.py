"""Kinds of record along the edges: what fits as it is, what the core casts, and what does not fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from itune_core.api.components import Input
from itune_core.api.records import Kind
from itune_core.recipe import errors
from itune_core.recipe.errors import Problems
from itune_core.recipe.expand import Source, Variant
from itune_core.recipe.names import listed

CASTS: Mapping[Kind, tuple[Kind, ...]] = {
    Kind.CONVERSATION: (Kind.PROMPT,),
    Kind.PREFERENCE: (Kind.RANKING, Kind.FEEDBACK),
    Kind.RANKING: (Kind.PROMPT,),
}
"""What the core turns each kind into without being asked. Every other change of kind is a step of its own."""

NO_RECORDS = ("trainers", "evaluators")


@dataclass(frozen=True)
class Flow:
    """One source of an input, with the kind of its records and the cast on the way."""

    source: Source
    kind: Kind
    cast: Kind | None

    @property
    def arrives(self) -> Kind:
        return self.cast or self.kind


def cast_for(kind: Kind, wanted: Sequence[Kind]) -> Kind | None:
    """The kind that records of `kind` are cast to for an input of `wanted` kinds; `kind` itself if it is one of them.

    None if there is no way. Of several ways, the one that the input names first.
    """
    if kind in wanted:
        return kind
    return next((other for other in wanted if other in CASTS.get(kind, ())), None)


def wanted_kinds(wanted: Input) -> str:
    """What an input takes, in words."""
    if set(wanted.kinds) == set(Kind):
        return "records of any kind"
    castable = [kind for kind, turns in CASTS.items() if kind not in wanted.kinds and set(turns) & set(wanted.kinds)]
    also = f", or {listed(map(str, castable))} records, which are cast to them" if castable else ""
    return f"{listed(map(str, wanted.kinds))} records{also}"


class Kinds:
    """The kind of every variant's records, worked out from the sources down."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems
        self.of: dict[str, Kind] = {}
        self.flows: dict[str, dict[str, tuple[Flow, ...]]] = {}

    def add(self, variant: Variant) -> None:
        """Work out one variant; all that it needs have been added before.

        What has an unknown kind (because of another mistake) is passed over.
        """
        component = variant.draft.component
        if component is None:
            return
        flows = {
            name: tuple(flow for source in sources if (flow := self._flow(variant, component.inputs[name], source)))
            for name, sources in variant.sources.items()
        }
        self.flows[variant.name] = flows
        if variant.draft.stage in NO_RECORDS:
            return
        if component.produces is not None:
            self.of[variant.name] = component.produces
        elif component.inputs:
            first = flows.get(next(iter(component.inputs)), ())
            self._check_one_kind(variant, first)
            if first:
                self.of[variant.name] = first[0].arrives
        else:
            part = variant.draft.part
            self.problems.add(
                errors.NO_KIND,
                f"{variant.draft.label} has no input and does not say which kind of record it makes",
                part.uses or part.node,
                part.where("uses"),
                fix="its author must set `produces`",
            )

    def _flow(self, variant: Variant, wanted: Input, source: Source) -> Flow | None:
        kind = self.of.get(source.variant.name)
        if kind is None:
            return None
        arrives = cast_for(kind, wanted.kinds)
        if arrives is not None:
            return Flow(source, kind, None if arrives is kind else arrives)
        edge = source.edge
        turns = CASTS.get(kind, ())
        self.problems.add(
            errors.KINDS,
            f"{edge.target!r} gives {kind} records, which {variant.draft.label} does not take",
            edge.at,
            edge.path,
            expected=wanted_kinds(wanted),
            fix=(f"{kind} records are cast only to {listed(map(str, turns))}" if turns
                 else f"{kind} records are never cast") + f"; put a step between that makes {wanted.kinds[0]} records",
        )  # fmt: skip
        return None

    def _check_one_kind(self, variant: Variant, flows: Sequence[Flow]) -> None:
        for flow in flows[1:]:
            if flow.arrives is not flows[0].arrives:
                edge, first, other = flow.source.edge, flows[0].arrives, flows[0].source.edge.target
                self.problems.add(
                    errors.MIXED_KINDS,
                    f"{edge.target!r} gives {flow.arrives} records and {other!r} gives {first} records",
                    edge.at,
                    edge.path,
                    expected="records of one kind",
                    fix=f"{variant.draft.label} needs all of one kind: change one of them by a step of its own",
                )
