"""A Config's settings as a Markdown table, for the generated pages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from pydantic.fields import FieldInfo

from itune_core.api import ComponentConfig
from itune_core.api.fields import RUNTIME
from itune_core.cli.typenames import field_type, settings_of


def settings_table(config: type[ComponentConfig] | None, base: type[ComponentConfig] | None = None) -> Iterator[str]:
    """The table's lines and a blank one; one sentence where there is no setting.

    Args:
        config: the settings.
        base: whose fields are left out, those that `config` changes excepted.
    """
    known = {name: repr(field) for name, field in settings_of(base)} if base else {}
    rows = [(name, field) for name, field in settings_of(config) if known.get(name) != repr(field)] if config else []
    if not rows:
        yield from ("No settings of its own." if known else "No settings.", "")
        return
    yield from ("| setting | type | default | what it does |", "|---|---|---|---|")
    for name, field in rows:
        said = field.description or ""
        if RUNTIME in field.metadata:
            said += " Not in the artifact's key."
        cells = (f"`{name}`", field_type(field), _default(field), said)
        yield f"| {' | '.join(map(_cell, cells))} |"
    yield ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, ComponentConfig):
        return "as below"
    return "unset" if value is None else f"`{json.dumps(value, ensure_ascii=False, default=str)}`"


def _cell(text: str) -> str:
    return re.sub(r"(`[^`]*`)|([|<>*_])", lambda found: found[1] or f"\\{found[2]}", " ".join(text.split()))
