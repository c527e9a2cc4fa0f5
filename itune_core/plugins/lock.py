"""What a lock says: ``pylock.itune.toml`` beside the recipe, a PEP 751 file that pip and uv install as it stands.

What itune adds stands in the ``tool.itune`` tables: per plugin its entry points and the digest of its wheel's RECORD,
so that installed files can be held against the wheel that was locked. Reading, verifying (:mod:`.drift`), writing
(:mod:`.locking`) and installing (:mod:`.syncing`) are four things.
"""

from __future__ import annotations

import hashlib
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from itune_core.api.errors import PluginError

NAME = "pylock.itune.toml"
FORMAT = 1
"""Of our own tables. Raised when an older itune would misunderstand them."""


@dataclass(frozen=True)
class Locked:
    """One distribution of a lock.

    Attributes:
        name: in its normal spelling.
        version: its version.
        entry_points: label (``filters/pii``) to value (``acme_pii:Pii``) of what it publishes for itune.
        record: digest of its wheel's RECORD (:func:`itune_core.plugins.records.digest`); None where the version is
            all that is verified: libraries that have nothing to do with itune, and the core.
        checkout: folder of its sources, if it is installed to be edited; such an entry is for development only.
        sources: digest of the sources of such a one; None if it is the core.
    """

    name: str
    version: str
    entry_points: Mapping[str, str] = field(default_factory=dict)
    record: str | None = None
    checkout: Path | None = None
    sources: str | None = None

    @property
    def modules(self) -> list[str]:
        """Top-level modules that its entry points name; the one that bears its name if it publishes nothing."""
        return modules(self.name, self.entry_points.values())


@dataclass(frozen=True)
class Lock:
    """A lock, as far as it applies to this environment.

    Attributes:
        file: where it stands.
        sha256: of the file.
        packages: by normal name; those whose marker does not apply here are left out.
        document: the whole file, as TOML values.
    """

    file: Path
    sha256: str
    packages: Mapping[str, Locked]
    document: Mapping[str, Any] = field(repr=False, compare=False)

    @property
    def distributions(self) -> frozenset[str]:
        """Names of the distributions that publish plugins."""
        return frozenset(name for name, package in self.packages.items() if package.entry_points)

    @property
    def development(self) -> list[str]:
        """Names of the distributions that are locked as a checkout."""
        return sorted(name for name, package in self.packages.items() if package.checkout)


def modules(distribution: str, values: Iterable[str]) -> list[str]:
    """Top-level modules of entry points' `values`; the one that bears the distribution's name if there are none."""
    named = {value.partition(":")[0].partition(".")[0].strip() for value in values}
    return sorted(named) or [distribution.replace("-", "_")]


def beside(recipe: Path) -> Path:
    """Where the lock of a recipe stands, whether there is one or not. Recipes of one folder share it."""
    return recipe.parent / NAME


def find(recipe: Path) -> Lock | None:
    """The lock beside a recipe, or None.

    Raises:
        PluginError: as :func:`read`.
    """
    file = beside(recipe)
    return read(file) if file.exists() else None


def none_beside(recipe: Path) -> PluginError:
    """The error of a command that needs a lock where there is none."""
    return PluginError(
        "E-LOCK-005", "there is no lock beside the recipe", where=str(beside(recipe)), fix=f"itune lock {recipe}"
    )


def read(file: Path) -> Lock:
    """Read a lock.

    Raises:
        PluginError: ``E-LOCK-002`` it cannot be read or says two things of one distribution; ``E-LOCK-003`` it is of a
            version that this itune does not know; ``E-LOCK-004`` it is for other versions of Python.
    """
    from packaging.pylock import Package, Pylock, PylockUnsupportedVersionError, PylockValidationError

    content = file.read_bytes()
    try:
        document = tomllib.loads(content.decode())
        pylock = Pylock.from_dict(document)
        ours = _ours(document)
    except PylockUnsupportedVersionError as error:
        raise PluginError(
            "E-LOCK-003", f"{file.name} is of another version: {error}", where=str(file), fix=_AGAIN
        ) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, PylockValidationError) as error:
        raise PluginError("E-LOCK-002", f"{file.name} is no lock: {error}", where=str(file), fix=_AGAIN) from error
    if ours.get("version") != FORMAT:
        raise PluginError(
            "E-LOCK-003",
            f"{file.name} is of another version: tool.itune.version is {ours.get('version')!r}, not {FORMAT}",
            where=str(file),
            fix=_AGAIN,
        )
    _check_python(file, pylock)

    def applies(package: Package) -> bool:
        return package.marker is None or package.marker.evaluate(context="lock_file")

    packages: dict[str, Locked] = {}
    for package in filter(applies, pylock.packages):
        if package.name in packages:
            raise PluginError(
                "E-LOCK-002", f"{file.name} is no lock: it has {package.name} twice", where=str(file), fix=_AGAIN
            )
        packages[package.name] = _locked(package, file)
    return Lock(file, hashlib.sha256(content).hexdigest(), packages, document)


_AGAIN = "itune lock RECIPE writes it anew; a version control system may have the one that was good"


def _ours(table: Mapping[str, Any]) -> Mapping[str, Any]:
    ours = (table.get("tool") or {}).get("itune") or {}
    return ours if isinstance(ours, Mapping) else {}


def _check_python(file: Path, pylock: Any) -> None:
    import platform

    wanted = pylock.requires_python
    if wanted is not None and not wanted.contains(platform.python_version(), prereleases=True):
        raise PluginError(
            "E-LOCK-004",
            f"{file.name} is for Python {wanted}, and this is {platform.python_version()}",
            where=str(file),
            fix="use that Python, or make a lock for this one: itune lock RECIPE",
        )


def _locked(package: Any, file: Path) -> Locked:
    ours = _ours({"tool": package.tool})
    points = ours.get("entry-points", {})
    values = points.values() if isinstance(points, Mapping) else [None]
    texts = [ours.get("record", ""), ours.get("sources", ""), *values]
    if not all(isinstance(text, str) for text in texts):
        raise PluginError(
            "E-LOCK-002",
            f"{file.name} is no lock: what it says of {package.name} under tool.itune is not of its form",
            where=str(file),
            fix=_AGAIN,
        )
    folder = package.directory and Path(os.path.normpath(file.parent.absolute() / package.directory.path))
    return Locked(
        name=package.name,
        version=str(package.version or ours.get("version", "")),
        entry_points=points,
        record=ours.get("record"),
        checkout=folder,
        sources=ours.get("sources"),
    )
