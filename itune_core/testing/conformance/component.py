"""What holds for everything that can be published: found, let in, imported, configured, copied."""

from __future__ import annotations

import inspect
import json
import pickle
import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from itune_core.api.errors import ItuneError, PluginError
from itune_core.plugins import policy
from itune_core.testing.subject import Subject
from itune_core.testing.verdict import fail

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
TIMES_BARE = 3.0
"""Importing a component's module may take so many times the CPU time that Python and the core's interface take."""

SOURCE = re.compile(r"\bSource:|\barXiv[: ]\d{4}\.\d{4,5}|https?://|\bdoi:", re.IGNORECASE)
"""How a docstring names where its method comes from. A method of one's own: ``Source: this package.``"""

SENTENCE = re.compile(r"\S+ .*?[.!?:;](\s|$)")

IMPORT, HOOK = ("E-PLUGIN-02",), tuple(f"E-PLUGIN-0{number}" for number in (35, 36, 37, 38, 39, *range(40, 46)))
"""Codes of what the loader says of an import, and of hooks."""


class Conformance:
    """Tests of one published component. Subclass the class of its stage, not this one.

    Attributes:
        component: its label, as a recipe names it. It must be installed (``pip install -e .`` will do).
        config: settings to try it with; a mapping, a property, or a method that takes a folder for the files it names.
    """

    stage: ClassVar[str]
    component: ClassVar[str]
    config: Any = {}
    reply: Any = None

    subject_type: ClassVar[type[Subject]] = Subject

    @pytest.fixture(scope="class")
    @classmethod
    def subject(cls, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Subject:
        """The component under test."""
        return cls.subject_type(cls(), tmp_path_factory.mktemp("kit"), request.getfixturevalue)

    def test_it_is_published_once(self, subject: Subject) -> None:
        """One installed distribution publishes that name, in that stage."""
        if subject.label.partition("/")[0] != self.stage:
            fail(f"{subject.label} is not of the stage {self.stage}", fix=f'component = "{self.stage}/NAME"')
        if subject.not_found:
            _told(subject.not_found)
        if not NAME.fullmatch(subject.entry.name):
            fail(
                f"{subject.entry.name!r} is not a good name",
                fix="use small letters, digits and single hyphens, beginning with a letter: exact-duplicates",
            )

    def test_it_says_which_cores_it_works_with(self, subject: Subject) -> None:
        """Its distribution bounds itune-core from above, this core is within, and a project may let it in."""
        try:
            policy.check(subject.entry, subject.policy)
        except PluginError as error:
            _told(error)

    def test_it_can_be_imported(self, subject: Subject) -> None:
        """Its module imports: it does not raise, assert or end the process, and has what the entry point names."""
        _refused(subject, lambda code: code.startswith(IMPORT))

    def test_its_hooks_are_in_order(self, subject: Subject) -> None:
        """The stage's hook is implemented once, decorated, with the hook's own arguments."""
        _refused(subject, lambda code: code in HOOK)

    def test_it_keeps_its_contract(self, subject: Subject) -> None:
        """It is a class of its stage, with a docstring, a frozen Config, and well-formed inputs and outputs."""
        _refused(subject, lambda code: code >= "E-PLUGIN-03" and code not in HOOK)

    def test_its_import_is_light(self, subject: Subject) -> None:
        """Listing, checking and planning import it, so no costly library may come with it."""
        heavy = subject.imported.heavy
        if heavy:
            fail(
                f"importing {subject.entry.value} imports {', '.join(heavy)}",
                why="checking a recipe imports every component it names, and would take seconds",
                fix=f"write `import {heavy[0]}` inside the methods that use it",
            )

    def test_its_import_is_fast(self, subject: Subject) -> None:
        """In CPU time, which other programs do not lengthen as they do the time on the clock."""
        found = subject.imported
        if found.heavy:
            pytest.skip("see test_its_import_is_light, which tells why it is slow")
        if found.bare + found.seconds > TIMES_BARE * found.bare:
            fail(
                f"importing {subject.entry.value} takes {found.seconds:.2f} s of CPU time, "
                f"{found.seconds / found.bare:.1f} times what Python and itune_core.api take together",
                fix="python -X importtime shows what is slow; import it inside the methods that use it",
            )

    def test_importing_it_writes_nothing(self, subject: Subject) -> None:
        """No file in the working folder, the home folder or the temporary folder."""
        if subject.imported.files:
            fail(
                f"importing {subject.entry.value} writes {', '.join(subject.imported.files)}",
                why="checking a recipe must leave no trace",
                fix="write when a hook is called, to context.scratch",
            )

    def test_its_docstring_says_what_it_does_and_where_it_is_from(self, subject: Subject) -> None:
        """A first sentence that ends, and the source of the method."""
        text = inspect.cleandoc(subject.loaded.__doc__)
        first = text.partition("\n\n")[0].replace("\n", " ")
        if not SENTENCE.match(first):
            fail(
                f"its docstring does not begin with a sentence: {first[:60]!r}",
                fix="begin with what it does, as itune plugins show should print it, and end with a full stop",
            )
        if not SOURCE.search(text):
            fail(
                "its docstring does not say where the method is from",
                why="who compares runs must know what was computed",
                fix="add `Source: ` and a paper (arXiv:2305.18290), an address, or `this package`",
            )

    def test_every_setting_is_described(self, subject: Subject) -> None:
        """Also those of models inside its Config."""
        schema = _schema(subject)
        bare = [
            f"{owner}.{name}"
            for owner, properties in (
                ("Config", schema.get("properties", {})),
                *((name, found.get("properties", {})) for name, found in schema.get("$defs", {}).items()),
            )
            for name, about in properties.items()
            if not about.get("description", "").strip()
        ]
        if bare:
            fail(f"settings without a description: {', '.join(bare)}", fix='Field(..., description="...")')

    def test_its_defaults_are_valid(self, subject: Subject) -> None:
        """With the author's `config` and all else at its default, the settings validate, and stay what they are."""
        config = _configured(subject)
        if config is not None and type(config).model_validate_json(config.model_dump_json()) != config:
            fail(
                "its settings change when they are written down and read again",
                why="a run's record keeps them as JSON",
                fix="use types that pydantic writes and reads back",
            )

    def test_an_unknown_setting_is_refused(self, subject: Subject) -> None:
        """A misspelt key is an error, never ignored."""
        from pydantic import ValidationError

        if not hasattr(subject.loaded, "Config"):
            return
        _configured(subject)
        try:
            subject.configure({"no_such_setting": 1})
        except ValidationError as error:
            if any(
                item["type"] == "extra_forbidden" and item["loc"] == ("no_such_setting",) for item in error.errors()
            ):
                return
        fail(
            "its Config takes a setting that it does not have",
            why="a misspelt setting would be ignored without a word",
            fix="leave extra of model_config at forbid, and let validators pass unknown keys on",
        )

    def test_its_settings_print_as_json_schema(self, subject: Subject) -> None:
        """As ``itune plugins schema`` prints them."""
        if hasattr(subject.loaded, "Config"):
            json.dumps(_schema(subject))

    def test_what_its_output_depends_on_is_declared(self, subject: Subject) -> None:
        """What it names in `depends_on`, with the author's `config`, are dependencies of its distribution or of one of
        its extras."""
        _configured(subject)
        component = subject.make()
        named = component.depends_on() if hasattr(component, "depends_on") else ()
        declared = {canonicalize_name(Requirement(line).name) for line in subject.entry.requires}
        foreign = sorted({name for name in named if canonicalize_name(name) not in declared})
        if foreign:
            fail(
                f"its output depends on {', '.join(foreign)}, which {subject.entry.distribution} does not declare",
                why="nothing would install it, and an artifact's key would say for ever that it is not installed",
                fix="add it to the dependencies, or to an extra, in pyproject.toml: by its distribution's name, which "
                "need not be that of its module",
            )

    def test_it_pickles(self, subject: Subject) -> None:
        """Executors send it to other processes."""
        _configured(subject)
        component = subject.make()
        try:
            copy = pickle.loads(pickle.dumps(component))
        # Whatever an attribute raises when it is copied: AttributeError, TypeError, PicklingError, its own.
        except Exception as error:
            fail(
                f"it cannot be sent to another process: {type(error).__name__}: {error}",
                fix="keep open files, models and lambdas out of its attributes; make them in the method that uses them",
                cause=error,
            )
        if getattr(copy, "config", None) != getattr(component, "config", None):
            fail("its settings are lost when it is sent to another process", fix="do not override __reduce__")

    def test_two_of_it_are_two(self, subject: Subject) -> None:
        """Two steps with the same settings are two steps: components are told apart by identity."""
        _configured(subject)
        one, other = subject.make(), subject.make()
        if one == other or type(one).__hash__ is not object.__hash__:
            fail(
                "two of it with the same settings count as equal, or have no hash",
                why="pluggy and every set or dictionary of components would take two steps for one",
                fix="define neither __eq__ nor __hash__, and do not make it a dataclass",
            )


def after_all_trials(test: Callable[..., None]) -> Callable[..., None]:
    """A test that looks at what all trials of its class have left; the kit's pytest plugin puts it last."""
    test.looks_at_all_trials = True  # type: ignore[attr-defined]
    return test


FOR_AUTHORS: Mapping[str, str] = {
    "E-PLUGIN-022": "the traceback shows where the module raises when it is imported; do that work in a method",
    "E-PLUGIN-023": "a module must not end the process it is imported into: raise in a method what stands in the way",
    "E-RUN-012": "give what the hook of its stage asks for: docs/stages.md",
}
"""What a component's own author can do about errors whose advice is for its users: report it."""


def for_its_author(error: ItuneError) -> str:
    """The advice of `error`, as it is for who can mend the component."""
    return FOR_AUTHORS.get(error.code, error.fix or "")


def _told(error: PluginError) -> None:
    """Fail with what an error of the plugin system says."""
    fail(f"{error.code}: {error.what}", why=error.why or "", fix=for_its_author(error), cause=error.__cause__)


def _refused(subject: Subject, about: Callable[[str], bool]) -> None:
    """Fail if the loader refuses the component with a code that the test is about; skip if with an earlier one."""
    refusal = subject.refusal
    if refusal is not None and about(refusal.code):
        _told(refusal)
    if refusal is not None:
        pytest.skip(f"it does not load ({refusal.code}): see the other tests")


def _configured(subject: Subject) -> Any:
    from pydantic import ValidationError

    try:
        return subject.configure()
    except ValidationError as error:
        first = error.errors()[0]
        fail(
            f"config = {subject.settings!r} is not valid: {'.'.join(map(str, first['loc']))}: {first['msg']}",
            fix="give every setting that has no default, and mend defaults that do not validate",
        )


def _schema(subject: Subject) -> Mapping[str, Any]:
    config = getattr(subject.loaded, "Config", None)
    schema: Mapping[str, Any] = {} if config is None else config.model_json_schema()
    return schema
