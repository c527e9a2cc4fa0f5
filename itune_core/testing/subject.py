"""What a conformance class is about: the component it names, found, loaded and tried; each once."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest

from itune_core.api.components import Component
from itune_core.api.errors import PluginError
from itune_core.api.fields import INPUT_FILE, MODEL_REF, RUNTIME, Marked, marked
from itune_core.api.models import Architecture, ModelSource
from itune_core.plugins import catalog, loader
from itune_core.plugins.catalog import Entry
from itune_core.plugins.policy import Policy
from itune_core.testing.probe import Import, probe
from itune_core.testing.verdict import fail

SEED = 7
MISSING = "no-such-folder/no-such-file"
"""A path at which there is nothing."""
FOLDERS: Mapping[Architecture, str] = {"causal": "tiny_folder", "seq2seq": "tiny_seq2seq_folder"}
"""The fixture that has a two-layer model's folder, by what the model computes."""


class Subject:
    """The component under test. A property that depends on what failed before skips, and says which test tells why.

    Args:
        case: an instance of the author's class.
        folder: everything is written below it.
        fixture: a pytest fixture by name.
    """

    def __init__(self, case: Any, folder: Path, fixture: Callable[[str], Any]) -> None:
        self.case, self.folder, self.fixture = case, folder, fixture
        self._numbers = itertools.count()

    @property
    def label(self) -> str:
        label: str | None = getattr(self.case, "component", None)
        if label is None:
            fail(
                f"{type(self.case).__name__} names no component",
                fix=f'component = "{self.case.stage}/NAME", as a recipe names it',
            )
        return label

    def place(self, name: str) -> Path:
        """A path below the subject's folder that nobody has used."""
        return self.folder / f"{next(self._numbers)}-{name}"

    @cached_property
    def _found(self) -> Entry | PluginError:
        try:
            return catalog.find(*catalog.parse(self.label))
        except PluginError as error:
            return error

    @property
    def entry(self) -> Entry:
        if isinstance(self._found, PluginError):
            pytest.skip("it is not found: see test_it_is_published_once")
        return self._found

    @property
    def not_found(self) -> PluginError | None:
        return self._found if isinstance(self._found, PluginError) else None

    @property
    def policy(self) -> Policy:
        """A project that lets in this distribution and no other third party's."""
        return Policy(allow=frozenset({self.entry.distribution}))

    @cached_property
    def _loading(self) -> type[Any] | PluginError:
        try:
            return loader.load(self.entry, self.policy)
        except PluginError as error:
            return error

    @property
    def refusal(self) -> PluginError | None:
        """Why the loader refuses it."""
        return self._loading if isinstance(self._loading, PluginError) else None

    @property
    def loaded(self) -> Any:
        """The class."""
        if isinstance(self._loading, PluginError):
            pytest.skip(f"it does not load ({self._loading.code}): see the tests that failed before")
        return self._loading

    @property
    def imported(self) -> Import:
        """What importing its module does, in a process of its own."""
        assert self.loaded
        return probe(self.entry.value.partition(":")[0].strip())

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The author's `config`: a mapping, or what a method of that name makes of a folder."""
        given = self.case.config
        if callable(given):
            folder = self.place("config")
            folder.mkdir(parents=True)
            given = given(folder)
        return dict(given)

    def configure(self, changes: Mapping[str, Any] = {}) -> Any:
        """A validated config; None if the class has none."""
        config = getattr(self.loaded, "Config", None)
        return None if config is None else config(**{**self.settings, **changes})

    def make(self, changes: Mapping[str, Any] = {}) -> Component:
        """A new instance, its config settled on this machine."""
        from itune_core.engine.facts import MachineFacts

        config = self.configure(changes)
        if config is None:
            return self.loaded()  # type: ignore[no-any-return]
        component = self.loaded(config)
        if not isinstance(component, Component):
            return component  # type: ignore[no-any-return]
        return self.loaded(component.settle(MachineFacts(self.folder / "machine.json")))  # type: ignore[no-any-return]

    def runtime_changes(self) -> list[dict[str, Any]]:
        """Other ways to do the same work: settings of its ``Config`` that are ``Runtime``, each at other values.

        A bool is turned. A whole number becomes 1 (2, if it is 1), and so does what is unset and may be a whole number.
        Of a ``Literal`` each other value is taken. Not tried: other texts, fractions, settings inside settings, and
        values that the ``Config`` refuses.
        """
        config = self.configure()
        return [
            {name: value}
            for name, field in (type(config).model_fields if config is not None else {}).items()
            if RUNTIME in field.metadata
            for value in _other_values(field.annotation, getattr(config, name))
            if self.valid({name: value}) is not None
        ]

    def valid(self, changes: Mapping[str, Any]) -> Any:
        """The config with these changes; None if it refuses them (a number that must be larger, say)."""
        from pydantic import ValidationError

        try:
            return self.configure(changes)
        except ValidationError:
            return None

    @property
    def files(self) -> dict[str, bool]:
        """The ``InputFile`` settings that could name one file that is missing; whether the author set them."""
        config = self.configure()
        found = {}
        for name in type(config).model_fields if config is not None else ():
            changed = self.valid({name: MISSING})
            if changed is not None and any(_names_missing(item, name) for item in marked(changed)):
                found[name] = getattr(config, name) is not None
        return found

    @cached_property
    def asks(self) -> bool:
        """Whether its settings name a model."""
        return any(item.marker is MODEL_REF for item in marked(self.configure()))

    @cached_property
    def reply(self) -> Any:
        """What answers its requests: the author's `reply`, else the two-layer model; None if it names no model."""
        given = self.case.reply
        return given if given is not None else self.fixture("tiny") if self.asks else None

    @cached_property
    def models(self) -> dict[str, ModelSource]:
        """The sources of the models it names: all are the two-layer model of the architecture that it trains."""
        if not self.asks or self.case.reply is not None:
            return {}
        architecture: Architecture = getattr(self.case, "architecture", "causal")
        folder = self.fixture(FOLDERS[architecture])
        names = [item.value for item in marked(self.configure()) if item.marker is MODEL_REF]
        source = ModelSource(folder, "transformers", "tiny", str(folder), architecture=architecture)
        return dict.fromkeys(names, source)


def _names_missing(item: Marked, setting: str) -> bool:
    return item.marker is INPUT_FILE and item.path == setting and item.value == MISSING


def _other_values(annotation: Any, value: Any) -> list[Any]:
    """Values to try in the place of `value`; see :meth:`Subject.runtime_changes`."""
    types = _alternatives(annotation)
    listed = [choice for each in types if get_origin(each) is Literal for choice in get_args(each)]
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int) and value not in listed:
        return [1 if value != 1 else 2]
    return ([1] if value is None and int in types else []) + [choice for choice in listed if choice != value]


def _alternatives(annotation: Any) -> list[Any]:
    """The members of a union, or the type itself; what is annotated stands for what it annotates."""
    if get_origin(annotation) is Annotated:
        return _alternatives(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [each for member in get_args(annotation) for each in _alternatives(member)]
    return [annotation]
