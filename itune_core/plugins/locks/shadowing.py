"""Would importing a locked plugin give the locked files? Told by Python's own finder, without importing anything.

A folder that comes first on ``sys.path``, a package beside a module of the same name, an ``__init__.py`` in what was a
namespace: each takes the place of files that are as they should be.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib.machinery import PathFinder, all_suffixes
from pathlib import Path

from itune_core.plugins.installed import Installed

_SUFFIXES = tuple(sorted(all_suffixes(), key=len, reverse=True))

_OF_PROJECTS = frozenset({"conftest", "docs", "examples", "setup", "test", "tests"})
"""What nearly every project has, and some libraries install by mistake: nobody means to import theirs."""


def hidden(
    distribution: Installed, files: Iterable[str], values: Iterable[str], locked: Callable[[Path], bool]
) -> Iterator[tuple[str, Path]]:
    """Modules of a distribution that something else takes the place of, each with the file that would be imported.

    Args:
        distribution: whose.
        files: its files, relative to its site folder.
        values: its entry points' values, ``module:attribute``.
        locked: whether another locked distribution brought a file; it may be the parent package of this one, or what
            an entry point names. Asked for few files, so it may be slow.
    """
    own = frozenset(files)
    mine = _modules(own)
    named = {value.partition(":")[0].strip() for value in values}
    seen: set[str] = set()
    for module in sorted(mine | {name for name in named if _is_name(name)}):
        for name, origin in _would_import(module):
            if name in seen:
                continue
            seen.add(name)
            if not _is_of(origin, distribution.site, own) and (name in mine or not locked(origin)):
                yield name, origin


def covered(site: Path) -> Iterator[tuple[str, Path]]:
    """Top-level modules in `site` that a folder earlier on ``sys.path`` hides, each with what would be imported.

    The standard library is no such folder: it comes first by right. No list of files is read, so that this is cheap
    enough for libraries, which have many.
    """
    library = Path(os.__file__).parent
    names: set[str] = set()
    for folder in (Path(part or ".") for part in sys.path):
        if folder == site:
            break
        if folder not in (library, library / "lib-dynload"):
            names |= _listed(folder)
    for name in sorted(names & _listed(site) - _OF_PROJECTS) if names else ():
        for _, origin in _would_import(name):
            if not origin.resolve().is_relative_to(site.resolve()):
                yield name, origin


def belongs(module: str, files: Iterable[str]) -> bool:
    """Whether a top-level module is among `files`, which are relative to a site folder."""
    return any(path.startswith((f"{module}/", f"{module}.")) for path in files)


def _listed(folder: Path) -> set[str]:
    """Names in a folder that may be those of modules."""
    try:
        names = {name.partition(".")[0] for name in os.listdir(folder)}
    except OSError:  # a zip, or a folder that is not there
        return set()
    return {name for name in names if name.isidentifier()}


def _modules(files: frozenset[str]) -> set[str]:
    """The outermost packages that are no namespaces, and the modules that lie in none."""
    found = {}
    for path in files:
        *folders, name = path.split("/")
        stem = next((name.removesuffix(suffix) for suffix in _SUFFIXES if name.endswith(suffix)), "")
        parts = (*folders, *([stem] if stem != "__init__" else []))
        if parts and _is_name(".".join(parts)):
            found[parts] = stem == "__init__"
    packages = {parts for parts, package in found.items() if package}
    outermost = (parts for parts in found if not any(parts[:depth] in packages for depth in range(1, len(parts))))
    return {".".join(parts) for parts in outermost}


def _is_name(module: str) -> bool:
    return all(part.isidentifier() for part in module.split("."))


def _would_import(module: str) -> Iterator[tuple[str, Path]]:
    """The files that importing `module` runs, parents first, and the names they run as; a namespace has none."""
    places, name = None, ""
    for part in module.split("."):
        name = f"{name}.{part}" if name else part
        spec = PathFinder.find_spec(part, places)  # by its last name: a whole one wants its parent imported
        if spec is None:
            return
        if spec.has_location and spec.origin:
            yield name, Path(spec.origin)
            if spec.submodule_search_locations is None:
                return
            places = list(spec.submodule_search_locations)
        else:  # a namespace: its folders are all that there are
            places = [inner for place in places or sys.path if os.path.isdir(inner := os.path.join(place, part))]


def _is_of(origin: Path, site: Path, files: frozenset[str]) -> bool:
    """Whether a file is one of `files`, however the folder is spelled."""
    for path, folder in ((origin, site), (origin.parent.resolve() / origin.name, site.resolve())):
        if path.is_relative_to(folder) and path.relative_to(folder).as_posix() in files:
            return True
    return False
