"""Variants: what lies downstream of a variant is one too, unless it gathers all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from itune_core.recipe.drafts import Draft
from itune_core.recipe.inputs import Edge
from itune_core.recipe.links import Drafts
from itune_core.recipe.matrix import Choice, choices
from itune_core.recipe.nodes import Path as TreePath
from itune_core.recipe.recipe import Axis


@dataclass(frozen=True)
class Source:
    """A variant whose records feed an input, and the edge that says so."""

    variant: Variant
    edge: Edge

    @property
    def output(self) -> str:
        component = self.variant.draft.component
        return self.edge.output or (component.outputs[0] if component else "")


@dataclass(frozen=True)
class Variant:
    """A step along all axes that it varies along: one node of the plan.

    Attributes:
        name: the step's name, or ``step[axis=value]``.
        choice: value of each axis.
        draft: the step along its own axes.
        sources: what feeds each input, in order.
        targets: for each setting that refers to a step or model, the variants it means.
    """

    name: str
    choice: Choice
    draft: Draft
    sources: Mapping[str, tuple[Source, ...]]
    targets: Mapping[TreePath, tuple[str, ...]]


def expand(
    order: Sequence[str], drafts: Drafts, own: Mapping[str, tuple[str, ...]], matrix: Mapping[str, Axis]
) -> list[Variant]:
    """Every variant of every step in `order`, so that each comes after all that it needs.

    Args:
        order: steps, each after those it needs.
        drafts: each step along its own axes.
        own: those axes.
        matrix: the matrix.
    """
    axes: dict[str, tuple[str, ...]] = {}
    made: dict[str, list[Variant]] = {}
    for name in order:
        inherited = {
            axis
            for draft in drafts[name]
            for edge in draft.edges
            if not edge.gathers
            for axis in axes.get(edge.target, ())
        }
        axes[name] = tuple(axis for axis in matrix if axis in own[name] or axis in inherited)
        made[name] = [_variant(name, choice, drafts[name], made) for choice in choices(axes[name], matrix)]
    return [variant for name in order for variant in made[name]]


def _variant(name: str, choice: Choice, drafts: Sequence[Draft], made: Mapping[str, Sequence[Variant]]) -> Variant:
    draft = next(draft for draft in drafts if _agree(draft.choice, choice))
    sources: dict[str, tuple[Source, ...]] = {}
    targets: dict[TreePath, tuple[str, ...]] = {}
    for edge in draft.edges:
        meant = [variant for variant in made.get(edge.target, ()) if _agree(variant.choice, choice)]
        if edge.marker is not None:
            targets[edge.place] = tuple(variant.name for variant in meant) or (edge.target,)
        elif edge.input is not None:
            sources[edge.input] = (*sources.get(edge.input, ()), *(Source(variant, edge) for variant in meant))
    label = ",".join(f"{axis}={value}" for axis, value in choice.items())
    return Variant(f"{name}[{label}]" if label else name, choice, draft, sources, targets)


def _agree(one: Choice, other: Choice) -> bool:
    return all(other.get(axis, value) == value for axis, value in one.items())
