"""One name, and what follows from it: a distribution, a package, a module, a class, a label."""

from __future__ import annotations

import builtins
import keyword
import re
from dataclasses import dataclass

from packaging.utils import canonicalize_name

import itune_core.api
from itune_core.plugins import catalog
from itune_core.plugins.catalog import CORE
from itune_core.plugins.policy import FIRST_PARTY
from itune_core.scaffold.errors import ScaffoldError
from itune_core.scaffold.stages import STAGES

NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
LONGEST = 30
"""Most characters of a name: lines that hold it stay within the line length of the generated project."""

PREFIX = "itune-"
LIBRARIES = (CORE, "itune-torch")
"""First-party distributions without components, which the policy therefore does not list."""

TEMPLATE_CLASSES = frozenset(
    {
        "AdamW",
        "Answers",
        "Any",
        "BenchContext",
        "Callable",
        "Counter",
        "Encoded",
        "Field",
        "Generator",
        "Iterable",
        "Iterator",
        "Literal",
        "Mapping",
        "PairObjective",
        "Pairs",
        "Path",
        "PyGenerator",
        "ReferenceSettings",
        "Sequence",
        "Tensor",
        "ThreadPoolExecutor",
    }
)
"""Names that the templates import besides those of the API; a class called so would hide what it needs itself."""


@dataclass(frozen=True)
class Names:
    """What a component is called, wherever it is named.

    Attributes:
        template: what was asked for: a stage, ``filters``, or ``objectives``, which are trainers.
        name: what a recipe says after the slash: ``my-filter``.
    """

    template: str
    name: str

    @property
    def stage(self) -> str:
        """Of what it is a component: ``filters``; of an objective ``trainers``."""
        known = STAGES.get(self.template)
        return known.group if known and known.group else self.template

    @property
    def label(self) -> str:
        """``filters/my-filter``."""
        return f"{self.stage}/{self.name}"

    @property
    def distribution(self) -> str:
        """``itune-my-filter``."""
        return f"{PREFIX}{self.name}"

    @property
    def package(self) -> str:
        """``itune_my_filter``."""
        return self.distribution.replace("-", "_")

    @property
    def module(self) -> str:
        """``my_filter``."""
        return self.name.replace("-", "_")

    @property
    def class_name(self) -> str:
        """``MyFilter``."""
        return "".join(part.capitalize() for part in self.name.split("-"))

    @property
    def area(self) -> str:
        """``MYFILTER``: the middle of its error codes, ``E-MYFILTER-nnn``."""
        return re.sub(r"[^A-Z]", "", self.name.upper())


def choose(template: str, name: str) -> Names:
    """The names of a new component, if they are good ones and free.

    Args:
        template: what it is to be: a stage, or ``objectives``.
        name: what a recipe is to say after the slash.

    Raises:
        PluginError: ``E-PLUGIN-003`` there is no such stage.
        ScaffoldError: ``E-SCAFFOLD-001`` the name is not well formed; ``E-SCAFFOLD-002`` Python or the template uses
            it; ``E-SCAFFOLD-003`` it would be called as one of itune's own distributions; ``E-SCAFFOLD-004`` another
            distribution here publishes it.
    """
    names = Names(template, name)
    published = catalog.entries(names.stage)  # also says whether there is such a stage
    _check_form(names)
    _check_free_in_python(names)
    if names.distribution in {*FIRST_PARTY, *LIBRARIES}:
        raise ScaffoldError(
            "E-SCAFFOLD-003",
            f"{names.distribution} is one of itune's own distributions",
            fix=_try(template, f"my-{name}"),
        )
    for entry in published:
        if entry.name == name and canonicalize_name(entry.distribution) != names.distribution:
            raise ScaffoldError(
                "E-SCAFFOLD-004",
                f"{names.label} is published by {entry.owner}",
                where=entry.location,
                why="a recipe that says it would not say whose it means",
                fix=_try(template, f"my-{name}"),
            )
    return names


def _check_form(names: Names) -> None:
    name = names.name
    if name.startswith(PREFIX):
        raise ScaffoldError(
            "E-SCAFFOLD-001",
            f"{name!r} begins with {PREFIX}, which the distribution's name begins with anyway",
            fix=_try(names.template, _proposal(name.removeprefix(PREFIX))),
        )
    if not NAME.fullmatch(name) or len(name) > LONGEST:
        raise ScaffoldError(
            "E-SCAFFOLD-001",
            f"{name!r} cannot be a component's name",
            why=f"a name is at most {LONGEST} lower-case letters, digits and single hyphens, and begins with a letter",
            fix=_try(names.template, _proposal(name)),
        )


def _check_free_in_python(names: Names) -> None:
    used = None
    if keyword.iskeyword(names.module):
        used = f"{names.module} is a keyword of Python and cannot be a module"
    elif names.class_name in {*itune_core.api.__all__, *TEMPLATE_CLASSES, *dir(builtins)}:
        used = f"its class would be called {names.class_name}, and hide what the module uses under that name"
    elif names.module == "conformance":
        used = "its tests would stand in test_conformance.py, as those of the conformance kit do"
    if used:
        raise ScaffoldError(
            "E-SCAFFOLD-002", f"{names.name!r} is taken", why=used, fix=_try(names.template, f"my-{names.name}")
        )


def _proposal(text: str) -> str:
    """The nearest well-formed name."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", text).lower()
    slug = re.sub(r"[^a-z0-9]+", "-", words).strip("-")[:LONGEST].strip("-")
    return slug if NAME.fullmatch(slug) else f"my-{slug}".strip("-")[:LONGEST].strip("-")


def _try(template: str, name: str) -> str:
    return f"itune plugins new {template} {name[:LONGEST].strip('-')}"
