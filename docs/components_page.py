"""Write ``docs/components.md``, the page of all first-party components, from their classes; ``--check`` compares it.

The components must be installed. They are loaded as a recipe loads them: found by entry points, held to the contract.
"""

from __future__ import annotations

import argparse
import inspect
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from docstrings import markdown
from pydantic.fields import FieldInfo

from itune_core.api import ComponentConfig, Kind
from itune_core.api.fields import RUNTIME
from itune_core.api.hookspecs import STAGES
from itune_core.cli.typenames import field_type
from itune_core.plugins import catalog, loader
from itune_core.plugins.policy import Policy

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "components.md"
OURS = frozenset(path.parent.name for path in ROOT.glob("plugins/*/pyproject.toml"))

SECTIONS = (*STAGES, "backends")


def page() -> str:
    """The page's Markdown."""
    lines = [
        "# Components",
        "",
        "<!-- Written by docs/components_page.py from the components' classes. Change those, then run it. -->",
        "",
        "What the first-party plugins ship, stage by stage. `itune plugins show STAGE/NAME` prints the same of any",
        "installed component, and `itune plugins schema STAGE/NAME` its settings as a JSON schema.",
        "",
    ]
    for stage in SECTIONS:
        entries = [entry for entry in catalog.entries(stage) if entry.distribution in OURS]
        if not entries:
            continue
        owners = sorted({entry.distribution for entry in entries})
        lines += [f"## {stage}", "", f"From {', '.join(f'`{owner}`' for owner in owners)}.", ""]
        for entry in entries:
            component = loader.load(entry, Policy())
            lines += [f"### {entry.label}", "", markdown(inspect.cleandoc(component.__doc__ or "")), ""]
            lines += [*_ports(component), *_settings(component.Config)]
    return "\n".join(lines).rstrip() + "\n"


def _ports(component: type[Any]) -> Iterator[str]:
    """What a component takes and gives."""
    lines = []
    for name, taken in component.inputs.items():
        kinds = "any kind" if set(taken.kinds) == set(Kind) else " or ".join(taken.kinds)
        notes = [note for note, holds in (("several data sets", taken.many), ("optional", not taken.required)) if holds]
        lines.append(f"- Input `{name}`: {kinds}{f' ({chr(44).join(notes)})' if notes else ''}")
    if component.produces is not None:
        lines.append(f"- Makes: {component.produces}")
    if len(component.outputs) > 1:
        lines.append(f"- Outputs: {', '.join(f'`{name}`' for name in component.outputs)}")
    if lines:
        yield from (*lines, "")


def _settings(config: type[ComponentConfig]) -> Iterator[str]:
    rows = list(_fields(config))
    if not rows:
        yield from ("No settings.", "")
        return
    yield from ("| setting | type | default | what it does |", "|---|---|---|---|")
    for name, field in rows:
        said = field.description or ""
        if RUNTIME in field.metadata:
            said += " Not in the artifact's key."
        cells = (f"`{name}`", field_type(field), _default(field), said)
        yield f"| {' | '.join(map(_cell, cells))} |"
    yield ""


def _fields(config: type[ComponentConfig], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every setting by its path; those of a nested group after the group."""
    for name, field in config.model_fields.items():
        yield f"{prefix}{name}", field
        for inner in (field.annotation, *get_args(field.annotation)):
            if isinstance(inner, type) and issubclass(inner, ComponentConfig):
                yield from _fields(inner, f"{prefix}{name}.")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    return "unset" if value is None else f"`{json.dumps(value, ensure_ascii=False, default=str)}`"


def _cell(text: str) -> str:
    return re.sub(r"(`[^`]*`)|([|<>*_])", lambda found: found[1] or f"\\{found[2]}", " ".join(text.split()))


def main() -> int:
    """Write the page, or check it. Returns the process' exit code."""
    parser = argparse.ArgumentParser(description="Write docs/components.md from the installed first-party components.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the page is not up to date")
    check = parser.parse_args().check
    text = page()
    if not check:
        PAGE.write_text(text, "utf-8")
    elif not PAGE.exists() or PAGE.read_text("utf-8") != text:
        print("docs/components.md is out of date: python docs/components_page.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
