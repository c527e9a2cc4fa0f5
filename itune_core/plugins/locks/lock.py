"""What a lock says: ``pylock.itune.toml`` beside the recipe, a PEP 751 file that pip and uv install as it stands.

What itune adds stands in the ``tool.itune`` tables: per plugin its entry points and the digest of its wheel's RECORD,
so that installed files can be held against the wheel that was locked. Reading, verifying (:mod:`.drift`), writing
(:mod:`.locking`) and installing (:mod:`.syncing`) are four things.
"""

from __future__ import annotations

import hashlib
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from packaging.version import InvalidVersion, Version

from itune_core.api.errors import PluginError
from itune_core.plugins.catalog import CORE
from itune_core.plugins.markers import UNKNOWN_NAME
from itune_core.plugins.sources import modules

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
        sources: digest of the sources of such a one; None if it is the core, or publishes nothing and has no module
            that could be found by its name.
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


def beside(recipe: Path) -> Path:
    """Where the lock of a recipe stands, whether there is one or not. Recipes of one folder share it."""
    return recipe.parent / NAME


def find(recipe: Path) -> Lock | None:
    """The lock beside a recipe, or None.

    Raises:
        PluginError: as :func:`read`.
    """
    file = beside(recipe)
    # A link that leads nowhere is a lock that cannot be read: taken for none, it would let in what is not locked.
    return read(file) if os.path.lexists(file) else None


def none_beside(recipe: Path) -> PluginError:
    """The error of a command that needs a lock where there is none."""
    return PluginError(
        "E-LOCK-005", "there is no lock beside the recipe", where=str(beside(recipe)), fix=f"itune lock {recipe}"
    )


def read(file: Path) -> Lock:
    """Read a lock.

    Raises:
        PluginError: ``E-LOCK-002`` it cannot be read, says two things of one distribution, or does not say what a
            plugin is to be verified by; ``E-LOCK-003`` it is of a version that this itune does not know;
            ``E-LOCK-004`` it is for other versions of Python; ``E-LOCK-006`` it names sources that would have to be
            built.
    """
    from packaging.pylock import Pylock, PylockUnsupportedVersionError, PylockValidationError

    try:
        content = file.read_bytes()
        document = tomllib.loads(content.decode())
        pylock = Pylock.from_dict(document)
        applying = [package for package in pylock.packages if _applies(package)]
    except PylockUnsupportedVersionError as error:
        raise PluginError(
            "E-LOCK-003", f"{file.name} is of another version: {error}", where=str(file), fix=_AGAIN
        ) from error
    except RecursionError as error:
        raise no_lock(file, "it is nested too deeply") from error
    # ValueError: bytes that are no text, text that is no TOML, integers of thousands of digits, markers that compare
    # what cannot be compared
    except (OSError, ValueError, PylockValidationError) as error:
        raise no_lock(file, str(error)) from error
    ours = _ours(document)
    if ours.get("version") != FORMAT:
        raise PluginError(
            "E-LOCK-003",
            f"{file.name} is of another version: tool.itune.version is {ours.get('version')!r}, not {FORMAT}",
            where=str(file),
            fix=_AGAIN,
        )
    _check_python(file, pylock)
    packages: dict[str, Locked] = {}
    for package in applying:
        if package.name in packages:
            raise no_lock(file, f"it has {package.name} twice")
        _check_built(package, file)
        packages[package.name] = _locked(package, file)
    return Lock(file, hashlib.sha256(content).hexdigest(), packages, document)


_AGAIN = "itune lock RECIPE writes it anew; a version control system may have the one that was good"


def no_lock(file: Path, why: str) -> PluginError:
    """The error of a lock that cannot be used as one."""
    return PluginError("E-LOCK-002", f"{file.name} is no lock: {why}", where=str(file), fix=_AGAIN)


def is_wheel(source: Any) -> bool:
    """Whether what an ``archive`` of a lock names is a wheel.

    Args:
        source: its table, with ``url`` or ``path``; None is no wheel.
    """
    return bool(source) and (source.get("path") or urlsplit(source.get("url", "")).path).endswith(".whl")


def _applies(package: Any) -> bool:
    try:
        return package.marker is None or package.marker.evaluate(context="lock_file")
    except UNKNOWN_NAME as error:
        raise ValueError(f"the marker of {package.name} asks for {error}, which locks do not know") from error


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


_OBJECT = re.compile(r"\w+(\.\w+)*\s*:\s*\w+(\.\w+)*(\s*\[[^\]\n]*\])?")


def is_object(value: Any) -> bool:
    """Whether `value` names something that can be imported as an entry point: ``module.of.it:Attribute``."""
    return isinstance(value, str) and bool(_OBJECT.fullmatch(value)) and modules("", [value]) != ["__main__"]


def _locked(package: Any, file: Path) -> Locked:
    ours = _ours({"tool": package.tool})
    points, record, sources = ours.get("entry-points", {}), ours.get("record"), ours.get("sources")
    version = str(package.version or ours.get("version", ""))
    path = package.directory.path if package.directory else None
    if (
        not (isinstance(points, Mapping) and all(map(is_object, points.values())))
        or not all(digest is None or isinstance(digest, str) for digest in (record, sources))
        or not is_version(version)
        or "\0" in (path or "")
    ):
        raise no_lock(file, f"what it says of {package.name} is not of its form")
    if points and package.name != CORE and not (record if path is None else sources):
        # Its version alone would verify nothing, so a line taken out would let in whatever bears that version.
        missing = "record" if path is None else "sources"
        raise no_lock(file, f"{package.name} publishes plugins, and there is no tool.itune.{missing} to verify it by")
    return Locked(
        name=package.name,
        version=version,
        entry_points=points,
        record=record,
        checkout=Path(os.path.normpath(file.parent.absolute() / path)) if path is not None else None,
        sources=sources,
    )


def is_version(text: str) -> bool:
    """Whether it is a version as Python packages have them (PEP 440)."""
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True


def _check_built(package: Any, file: Path) -> None:
    """Refuse what an installer would build: that runs its code, with tools that no lock names."""
    archive = package.archive and {"path": package.archive.path, "url": package.archive.url or ""}
    if not (package.wheels or package.directory or is_wheel(archive)):
        wanted = f"{package.name}=={package.version}" if package.version else package.name
        raise PluginError(
            "E-LOCK-006",
            f"{file.name} has {package.name} as sources, and nothing is built from a lock",
            where=str(file),
            why="building runs code of the package, with tools that the lock does not name",
            fix=f"pip wheel --no-deps {wanted} -w wheels; then itune lock RECIPE --find-links wheels",
        )
