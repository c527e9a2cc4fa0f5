"""``from``: which data sets a step is given, and through which of its inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from itune_core.api.components import Component, Mixer
from itune_core.api.fields import Marker
from itune_core.api.records import Kind
from itune_core.recipe import errors
from itune_core.recipe.errors import Problems
from itune_core.recipe.names import listed, suggestion
from itune_core.recipe.nodes import Node
from itune_core.recipe.nodes import Path as TreePath
from itune_core.recipe.recipe import Part


@dataclass(frozen=True)
class Edge:
    """One reference from a step to a step or model, as it stands in the recipe.

    Attributes:
        target: name of the step or model.
        at, path: where it stands.
        gathers: whether it means all variants of the target together.
        input: the input it feeds; None: it stands in a setting, or the input is not known.
        output: the output it names; empty: the target's first.
        marker: for a setting, what it refers to (`MODEL_REF` or `STEP_REF`); None for `from`.
        place: for a setting, its place in the config.
    """

    target: str
    at: Node
    path: TreePath
    gathers: bool = False
    input: str | None = None
    output: str = ""
    marker: Marker | None = None
    place: TreePath = ()


def read_inputs(step: Part, label: str, component: type[Component] | None, problems: Problems) -> tuple[Edge, ...]:
    """The edges of a step's ``from``, in order; notes what does not suit the component's inputs.

    Args:
        step: the step, merged with its variant.
        label: the component's name for messages.
        component: None if it could not be loaded; the names are still read, so that they can be checked.
        problems: where mistakes are noted.
    """
    given = dict(_given(step, component, label, problems))
    if component is None:
        return tuple(edge for references in given.values() for edge in _edges(references, None, False))
    edges: list[Edge] = []
    for name, references in given.items():
        declared = component.inputs.get(name)
        if declared is None:
            _note_input(step, label, component, name, problems)
            edges += _edges(references, None, False)
            continue
        if len(references) > 1 and not declared.many:
            node, path = references[1]
            problems.add(
                errors.ONE_INPUT,
                f"the input {name!r} of {label} takes one data set, not {len(references)}",
                node,
                path,
                fix="mix them first, with a step that `uses: mixers/...`",
            )
        edges += _edges(references, name, declared.many)
    for name, declared in component.inputs.items():
        if declared.required and name not in given:
            first = name == next(iter(component.inputs))
            problems.add(
                errors.MISSING_INPUT,
                f"{label} requires the input {name!r}",
                step.inputs or step.node,
                step.where("from") if step.inputs else step.path,
                expected="a step that gives "
                + ("records" if set(declared.kinds) == set(Kind) else f"{listed(map(str, declared.kinds))} records"),
                fix="add `from: STEP`" if first else f"write `from: {{{name}: STEP, ...}}`",
            )
    _check_something_to_draw(step, label, component, given, problems)
    return tuple(edges)


def _check_something_to_draw(
    step: Part, label: str, component: type[Component], given: Mapping[str, object], problems: Problems
) -> None:
    """Note it if a mixer all of whose sources are optional is given none."""
    drawn = component.drawn_from() if issubclass(component, Mixer) else ()
    if drawn and not any(component.inputs[name].required or name in given for name in drawn):
        problems.add(
            errors.MISSING_INPUT,
            f"{label} has nothing to draw from",
            step.inputs or step.node,
            step.where("from") if step.inputs else step.path,
            expected=f"at least one of the inputs {listed(drawn)}",
            fix=f"write `from: {{{drawn[0]}: STEP, ...}}`",
        )


References = list[tuple[Node, TreePath]]


def _given(
    step: Part, component: type[Component] | None, label: str, problems: Problems
) -> Iterator[tuple[str, References]]:
    """Input name and the references it is given (none if they are not well formed, which is noted).

    A bare `from` is the first input, "" if there is none.
    """
    node, path = step.inputs, step.where("from")
    if node is None or node.value is None:
        return
    if isinstance(node.value, dict):
        for name, inner in node.value.items():
            yield name, _references(inner, (*path, name), problems)
    else:
        yield next(iter(component.inputs), "") if component else "", _references(node, path, problems)


def _references(node: Node, path: TreePath, problems: Problems) -> References:
    found: References = []
    items = [(item, (*path, index)) for index, item in enumerate(node.items)] if isinstance(node.value, list) else []
    for item, where in items if isinstance(node.value, list) else [(node, path)]:
        if isinstance(item.value, str):
            found.append((item, where))
        else:
            problems.add(
                errors.SHAPE,
                f"an input is {item.describe()}",
                item,
                where,
                expected="the name of a step, or STEP.OUTPUT",
            )
    if isinstance(node.value, list) and not node.value:
        problems.add(errors.SHAPE, "the list of inputs is empty", node, path, expected="at least one step")
    return found


def _edges(references: References, name: str | None, many: bool) -> Iterator[Edge]:
    for node, path in references:
        target, _, output = str(node.value).partition(".")
        yield Edge(target, node, path, gathers=many, input=name, output=output)


def _note_input(step: Part, label: str, component: type[Component], name: str, problems: Problems) -> None:
    node, path = step.inputs or step.node, step.where("from")
    if not component.inputs:
        problems.add(
            errors.UNKNOWN_INPUT,
            f"{label} takes no input",
            node,
            path,
            fix="remove `from`",
        )
        return
    problems.add(
        errors.UNKNOWN_INPUT,
        f"{label} has no input {name!r}",
        node.entries.get(name, node),
        (*path, name),
        expected=listed(component.inputs),
        fix=suggestion(name, component.inputs),
    )
