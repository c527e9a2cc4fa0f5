"""Score columns: whoever reads one stands downstream of the step that gives it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from itune_core.api.components import Component, Scorer
from itune_core.recipe import errors
from itune_core.recipe.errors import Problems
from itune_core.recipe.expand import Source, Variant
from itune_core.recipe.kinds import handed_on
from itune_core.recipe.names import listed, suggestion
from itune_core.recipe.settings import Settings

PREFIX = "score."


def column(step: str, part: str) -> str:
    """The name of a score column; a scorer's unnamed part is called after the step alone."""
    return f"{PREFIX}{step}.{part}" if part else f"{PREFIX}{step}"


def check_columns(variants: Sequence[Variant], problems: Problems) -> None:
    """Note every reader of a score column that one of its inputs does not have.

    Filters and scorers hand on the columns of their first input, mixers those of all inputs that they draw from;
    formatters and generators make new records, which have none.
    """
    columns: dict[str, frozenset[str]] = {}
    for variant in variants:
        component = variant.draft.component
        if component is None:
            continue
        sources = [source for name in handed_on(component) for source in variant.sources.get(name, ())]
        if any(source.variant.name not in columns for source in sources):
            continue  # another mistake upstream: what is handed on is not known
        _check_reader(variant, component, columns, problems)
        given = frozenset().union(*(columns[source.variant.name] for source in sources))
        made = frozenset(column(variant.draft.part.name, part) for part in _parts(component, variant.draft.settings))
        columns[variant.name] = frozenset() if variant.draft.stage in ("formatters", "generators") else given | made


def _parts(component: type[Component], settings: Settings | None) -> Iterable[str]:
    """The columns that a scorer gives; all it may give, where its settings are not known for a mistake in them."""
    if not issubclass(component, Scorer):
        return ()
    return component.columns if settings is None or not settings.valid else component.columns_for(settings.config)


def _check_reader(
    variant: Variant, component: type[Component], columns: dict[str, frozenset[str]], problems: Problems
) -> None:
    draft = variant.draft
    if component.reads is Component.reads or draft.settings is None or not draft.settings.valid:
        return
    wanted = [name for name in component(draft.settings.config).reads() if name.startswith(PREFIX)]
    scored = {name for name, spec in component.inputs.items() if spec.scored}
    for source in (source for name, sources in variant.sources.items() if name in scored for source in sources):
        for name in wanted:
            if name not in columns.get(source.variant.name, {name}):
                _note(name, source, variant, columns, problems)


def _note(name: str, source: Source, variant: Variant, columns: dict[str, frozenset[str]], problems: Problems) -> None:
    there = sorted(columns.get(source.variant.name, ()))
    giver = next((step for step, names in columns.items() if name in names and step != variant.name), None)
    problems.add(
        errors.NO_COLUMN,
        f"{variant.draft.label} reads the column {name!r}, which {source.edge.target!r} does not have",
        source.edge.at,
        source.edge.path,
        expected=listed(there, "a step downstream of a scorer; this one has no score columns"),
        fix=suggestion(name, there, f"read from {giver!r}, or from a step after it" if giver else None),
    )
