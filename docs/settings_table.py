"""A Config's settings as a Markdown table, for the generated pages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import get_args

from pydantic.fields import FieldInfo

from itune_core.api import ComponentConfig
from itune_core.api.fields import RUNTIME
from itune_core.cli.typenames import field_type


def settings_table(config: type[ComponentConfig] | None) -> Iterator[str]:
    """The table's lines and a blank one; one sentence where there is no setting."""
    rows = list(_fields(config)) if config else []
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
