"""The key of an artifact: everything its content depends on, and nothing else.

Format version, component, code identity, versions that it says its output depends on, resolved config, content of
inputs, files and models, seed, and each wrapper around the stage. Never a name of a step or a model, never a path:
renaming and moving re-runs nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, NamedTuple

from packaging.utils import canonicalize_name

from itune_core.api.components import Component
from itune_core.api.fields import FUNCTION, INPUT_FILE, MODEL_REF, RUNTIME, SECRET, STEP_REF, marked
from itune_core.api.reading import find_files
from itune_core.engine import digest
from itune_core.plugins import functions
from itune_core.plugins.catalog import Entry
from itune_core.plugins.installed import Installed, installed
from itune_core.plugins.sources import modules, source_digest, source_files

FORMAT = 1
"""Raised when the engine changes what artifacts hold; every artifact is then made anew."""


def settings(config: Any, replace: Mapping[Any, Callable[[str], Any]] | None = None) -> dict[str, Any]:
    """A config as it stands in a key.

    Args:
        config: a component's validated config.
        replace: what to put in the place of a marked value, by marker. Runtime and secret fields are always left out.
    """
    replace = replace or {}
    values: dict[str, Any] = config.model_dump(mode="json")
    for item in marked(config):
        if item.marker in (RUNTIME, SECRET):
            _set(values, item.path, _Gone)
        elif item.marker in replace:
            _set(values, item.path, replace[item.marker](item.value))
    return values


def contents(file: Callable[[Path], str]) -> Callable[[str], list[str]]:
    """What stands in a key for the path of an input file, folder or glob: the digest that `file` gives of each."""
    return lambda path: [file(found) for found in find_files([path])]


NOT_INSTALLED = "not installed"
"""Stands for the version of what is not."""


class _Gone:
    """Marks a value to be left out."""


def _set(values: Any, path: str, value: Any) -> None:
    *outer, last = [int(part) if part.isdigit() else part for part in re.findall(r"[^.\[\]]+", path)]
    for part in outer:
        values = values[part]
    if value is _Gone:
        del values[last]
    else:
        values[last] = value


def key_parts(
    component: Component,
    entry: Entry,
    *,
    inputs: Mapping[str, Sequence[Mapping[str, Any]]],
    file: Callable[[Path], str],
    model: Callable[[str], str],
    step: Callable[[str], str],
    seed: int,
    wrappers: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """The parts of a key; :func:`~itune_core.engine.digest.of_value` of them is the key.

    Args:
        component: the component with its settled config.
        entry: where it was found.
        inputs: digests of the data sets of each input, with those of the columns that the component reads.
        file, model, step: digest of an input file, identity of a model, digest of a step.
        seed: of the step.
        wrappers: name, code identity and settings of each extension that wraps the stage.
    """
    return {
        "format": FORMAT,
        "component": entry.label,
        "code": code_identity(entry),
        **dependencies(component),
        "config": settings(
            component.config,
            {INPUT_FILE: contents(file), MODEL_REF: model, STEP_REF: step, FUNCTION: function_identity},
        ),
        "inputs": inputs,
        "seed": seed,
        "wrappers": list(wrappers),
    }


@cache
def code_identity(entry: Entry) -> str:
    """What pins the code of a component: ``dist==version``, or a digest of the sources where they can be edited."""
    package = entry.value.partition(":")[0].partition(".")[0]
    url = distribution(entry.distribution).read_text("direct_url.json")
    if not (url and json.loads(url).get("dir_info", {}).get("editable")):
        return f"{entry.distribution}=={entry.version}"
    sources = {name: digest.of_file(path) for name, path in source_files(package)}
    return f"{entry.distribution} editable {digest.of_value(sources)}"


def dependencies(component: Any) -> dict[str, dict[str, str]]:
    """What pins the distributions that the output of a component, or of an extension, depends on.

    Returns:
        ``{"depends_on": {name: version}}``, the name in its normal spelling; ``{}`` of what names none.
    """
    names = sorted(map(canonicalize_name, component.depends_on())) if hasattr(component, "depends_on") else ()
    here = installed() if names else {}
    found: dict[str, str] = {name: _version(here[name]) if name in here else NOT_INSTALLED for name in names}
    return {"depends_on": found} if found else {}


@cache
def _version(one: Installed) -> str:
    """Its version; where it can be edited, with a digest of its sources."""
    if one.checkout is None:
        return one.version
    points = one.metadata().entry_points
    return f"{one.version} editable {source_digest(modules(one.name, [point.value for point in points]))}"


def function_identity(value: str) -> str:
    """What pins a function that a setting names: its name, and the code of the distribution that brings it."""
    return f"{value} of {code_identity(functions.find(value))}"


class Change(NamedTuple):
    """One place where two sets of key parts (or environments) differ; None stands for what is not there."""

    path: str
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.path}: {json.dumps(self.old)} -> {json.dumps(self.new)}"


def changes(old: Any, new: Any, path: str = "") -> Iterator[Change]:
    """Where two values differ, as deep inside as it can be told: mappings by key, lists of one length by place."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in sorted(old.keys() | new.keys()):
            yield from changes(old.get(name), new.get(name), f"{path}.{name}" if path else str(name))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for place, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from changes(before, after, f"{path}[{place}]")
    elif old != new:
        yield Change(path, old, new)


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Where two sets of key parts differ, as ``path: old -> new`` lines."""
    return [str(change) for change in changes(old, new)]
