"""Kinds of record along the edges: what fits as it is, what the core casts, and what does not fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from itune_core.api.components import Component, Input, Mixer
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
    """One source of an input, with the kinds of its records and the cast on the way."""

    source: Source
    kinds: tuple[Kind, ...]
    cast: Kind | None

    @property
    def arrives(self) -> tuple[Kind, ...]:
        return (self.cast,) if self.cast else self.kinds


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


def handed_on(component: type[Component]) -> tuple[str, ...]:
    """The inputs whose records a component hands on, with their kind and columns, if it makes none of its own."""
    return component.drawn_from() if issubclass(component, Mixer) else tuple(component.inputs)[:1]


def _all(kinds: Sequence[Kind]) -> str:
    return " and ".join(kinds)


class Kinds:
    """The kinds of every variant's records, worked out from the sources down: one, except where a mixer brings several
    together."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems
        self.of: dict[str, tuple[Kind, ...]] = {}
        self.flows: dict[str, dict[str, tuple[Flow, ...]]] = {}

    def add(self, variant: Variant) -> None:
        """Work out one variant; all that it needs have been added before.

        What has an unknown kind (because of another mistake) is passed over.
        """
        component = variant.draft.component
        if component is None:
            return
        settings = variant.draft.settings
        inputs, produces = component.inputs, component.produces
        if settings and settings.valid:
            inputs, produces = component.inputs_for(settings.config), component.produces_for(settings.config)
        flows = {
            name: tuple(flow for source in sources if (flow := self._flow(variant, inputs[name], source)))
            for name, sources in variant.sources.items()
        }
        self.flows[variant.name] = flows
        if variant.draft.stage in NO_RECORDS:
            return
        if produces is not None:
            self.of[variant.name] = (produces,)
        elif component.inputs:
            handed = [flow for name in handed_on(component) for flow in flows.get(name, ())]
            if not (issubclass(component, Mixer) and component.mixes_kinds):
                self._check_one_kind(variant, handed)
            held = {kind for flow in handed for kind in flow.arrives}
            if len(held) > 1 and variant.draft.stage == "generators":
                self._note_kinds_to_make(variant, handed[0])
            elif held:
                self.of[variant.name] = tuple(kind for kind in Kind if kind in held)
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
        kinds = self.of.get(source.variant.name)
        if kinds is None:
            return None
        if len(kinds) > 1:
            return self._mixed_flow(variant, wanted, source, kinds)
        (kind,) = kinds
        arrives = cast_for(kind, wanted.kinds)
        if arrives is not None:
            return Flow(source, kinds, None if arrives is kind else arrives)
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

    def _mixed_flow(self, variant: Variant, wanted: Input, source: Source, kinds: tuple[Kind, ...]) -> Flow | None:
        """Records of several kinds: each must be taken as it is. A cast would change how many rows there are, and with
        them the shares that were mixed."""
        others = [kind for kind in kinds if kind not in wanted.kinds]
        if not others:
            return Flow(source, kinds, None)
        edge, castable = source.edge, [kind for kind in others if cast_for(kind, wanted.kinds)]
        self.problems.add(
            errors.KINDS,
            f"{edge.target!r} gives {_all(kinds)} records, and {variant.draft.label} does not take the "
            f"{_all(others)} records among them",
            edge.at,
            edge.path,
            expected=f"{listed(map(str, wanted.kinds))} records",
            fix=(f"{_all(castable)} records are cast before they are mixed, not after: give them to this "
                 "step by themselves" if castable else f"leave the {_all(others)} records out of the mix, "
                 f"or put a step before it that makes {wanted.kinds[0]} records of them"),
        )  # fmt: skip
        return None

    def _note_kinds_to_make(self, variant: Variant, flow: Flow) -> None:
        edge = flow.source.edge
        self.problems.add(
            errors.NO_KIND,
            f"{variant.draft.label} makes records of the kind that it is given, and {edge.target!r} gives "
            f"{_all(flow.arrives)} records",
            edge.at,
            edge.path,
            expected="records of one kind",
            fix="read from a step before they are mixed",
        )

    def _check_one_kind(self, variant: Variant, flows: Sequence[Flow]) -> None:
        for flow in flows[1:]:
            if flow.arrives != flows[0].arrives:
                edge, other = flow.source.edge, flows[0].source.edge.target
                mine, first = (_all(one.arrives) for one in (flow, flows[0]))
                self.problems.add(
                    errors.MIXED_KINDS,
                    f"{edge.target!r} gives {mine} records and {other!r} gives {first} records",
                    edge.at,
                    edge.path,
                    expected="records of one kind",
                    fix=f"{variant.draft.label} needs all of one kind: change one of them by a step of its own",
                )
