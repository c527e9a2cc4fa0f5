"""Write ``docs/components.md`` and ``docs/components``, all first-party components, from their classes.

The components must be installed. They are loaded as a recipe loads them: found by entry points, held to the contract.
Each is shown in a recipe that is as short as can be, and that has been compiled. ``--check`` compares the pages.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docstrings import markdown, summary
from generated import write_or_check
from settings_table import settings_table
from smallest_recipe import smallest_recipe

from itune_core.api import ComponentConfig, Kind
from itune_core.api.hookspecs import RESOURCES, STAGES
from itune_core.plugins import catalog, loader
from itune_core.plugins.catalog import Entry
from itune_core.plugins.contract import STAGE_BASES
from itune_core.plugins.policy import Policy
from itune_core.plugins.session import LIFECYCLE_HOOKS, check_extension

ROOT = Path(__file__).resolve().parents[1]
OURS = frozenset(path.parent.name for path in ROOT.glob("plugins/*/pyproject.toml"))
NOTE = "<!-- Written by docs/components_page.py from the components' classes. Change those, then run it. -->"


def pages() -> dict[str, str]:
    """Every page's Markdown by its path under ``docs``."""
    found = {stage: [entry for entry in catalog.entries(stage) if entry.distribution in OURS]
             for stage in (*STAGES, *RESOURCES)}  # fmt: skip
    loaded = {
        stage: [(entry, loader.load(entry, Policy())) for entry in found[stage]] for stage in found if found[stage]
    }
    written = {"components.md": _text(_index(loaded))}
    for stage, components in loaded.items():
        written[f"components/{stage}.md"] = _text(_stage(stage, components))
    return written


def _text(lines: Iterator[str]) -> str:
    return "\n".join(lines).rstrip() + "\n"


def _index(loaded: dict[str, list[tuple[Entry, type[Any]]]]) -> Iterator[str]:
    yield from (
        "# Components",
        "",
        NOTE,
        "",
        "What the first-party plugins ship, stage by stage. `itune plugins show STAGE/NAME` prints the same of any",
        "installed component, and `itune plugins schema STAGE/NAME` its settings as a JSON schema.",
        "",
    )
    for stage, components in loaded.items():
        yield from (f"## [{stage}](components/{stage}.md)", "", "| component | what it does |", "|---|---|")
        for entry, component in components:
            said = summary(component).replace("|", "&#124;")
            yield f"| [`{entry.label}`](components/{stage}.md#{_anchor(entry)}) | {said} |"
        yield ""
    yield from ("```{toctree}", ":hidden:", "", *(f"components/{stage}" for stage in loaded), "```")


def _anchor(entry: Entry) -> str:
    """What a forge and MyST both make of the heading."""
    return entry.label.replace("/", "")


def _stage(stage: str, components: list[tuple[Entry, type[Any]]]) -> Iterator[str]:
    owners = ", ".join(f"`{owner}`" for owner in sorted({entry.distribution for entry, _ in components}))
    yield from (f"# {stage}", "", NOTE, "", f"From {owners}. [The contract of the stage](../stages.md#{stage}).", "")
    for entry, component in components:
        yield from (f"## {entry.label}", "", markdown(inspect.cleandoc(component.__doc__ or "")), "")
        yield from (_hooks(component) if stage == "extensions" else _ports(component))
        yield from _settings(stage, getattr(component, "Config", None))
        yield from ("A smallest recipe with it:", "", "```yaml", smallest_recipe(entry, component).rstrip(), "```", "")


def _settings(stage: str, config: type[ComponentConfig] | None) -> Iterator[str]:
    """The settings of a component's own; those that its whole stage has stand with the stage."""
    base = STAGE_BASES[stage].Config if stage in STAGE_BASES else None
    if config is None or base is None or not base.model_fields or not issubclass(config, base):
        yield from settings_table(config)
        return
    yield from settings_table(config, base)
    names = ", ".join(f"`{name}`" for name in base.model_fields)
    yield from (f"And [what all {stage} have](../stages.md#{stage}): {names}.", "")


def _ports(component: type[Any]) -> Iterator[str]:
    """What a component takes and gives."""
    lines = []
    for name, taken in component.inputs.items():
        kinds = "records of any kind" if set(taken.kinds) == set(Kind) else f"{' or '.join(taken.kinds)} records"
        notes = [note for note, holds in (("several data sets", taken.many), ("optional", not taken.required)) if holds]
        lines.append(f"- Input `{name}`: {kinds}{f' ({chr(44).join(notes)})' if notes else ''}")
    made = {"trainers": "a model", "evaluators": "figures"}.get(component.stage)
    made = made or (f"{component.produces} records" if component.produces else "records of the input's kind")
    if component.stage == "scorers":
        columns = ", ".join(f"`score.<step>{part and '.'}{part}`" for part in component.columns)
        lines.append(f"- Gives columns: {columns}")
    elif component.outputs:
        names = ", ".join(f"`{name}`" for name in component.outputs)
        lines.append(f"- Output{'s' if len(component.outputs) > 1 else ''} {names}: {made}")
    if lines:
        yield from (*lines, "")


def _hooks(extension: type[Any]) -> Iterator[str]:
    """What an extension wraps or watches."""
    hooks = [found.hook for found in check_extension(extension)]
    for word, names in (
        ("Wraps", [hook for hook in hooks if hook not in LIFECYCLE_HOOKS]),
        ("Watches", [hook for hook in hooks if hook in LIFECYCLE_HOOKS]),
    ):
        if names:
            yield f"- {word}: {', '.join(f'`{name}`' for name in sorted(names))}"
    yield ""


if __name__ == "__main__":
    sys.exit(write_or_check("components_page.py", pages(), folders=["components"]))
