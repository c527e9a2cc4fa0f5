"""Lock: what is installed now, as a ``pylock.itune.toml`` that another machine and another year can install again.

The packages come from the resolver of pip or uv, held to the versions that are installed, so that the lock mirrors what
was just run; their hashes come from the index, never from what lies in the environment. Each plugin's wheel is then
unpacked into an empty folder (its hash is checked, nothing of it is run) and its RECORD digested.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from urllib.request import url2pathname
from zipfile import ZipFile

from packaging.requirements import Requirement
from packaging.tags import Tag, sys_tags
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version

from itune_core import __version__
from itune_core.api.errors import PluginError
from itune_core.plugins import records
from itune_core.plugins.catalog import CORE, GROUPS
from itune_core.plugins.installed import Installed, installed
from itune_core.plugins.locks import installers
from itune_core.plugins.locks.lock import FORMAT, Lock, is_object, is_version, is_wheel, no_lock, read
from itune_core.plugins.policy import requirements_on_core
from itune_core.plugins.sources import modules, source_digest

HEADER = """\
# Written by `itune lock`. Keep it under version control; do not edit it.
# `itune sync` installs exactly this; so does `uv pip install -r`, or `pip install --no-deps -r`.
"""

Package = dict[str, Any]


def write_lock(
    file: Path, wanted: Iterable[str], *, find_links: Sequence[Path] = (), index_url: str | None = None
) -> Lock:
    """Lock `wanted`, the core and all that they need, at the versions that are installed, and write it.

    Args:
        file: where to.
        wanted: distributions, as in a requirements file; one that gives a version of its own need not be installed.
        find_links: folders of wheels. What is taken from them stands in the lock as a path relative to it, so that the
            lock can be moved together with them.
        index_url: package index in place of the configured one.

    Raises:
        PluginError: ``E-LOCK-002`` `file` is a folder; ``E-LOCK-030`` to ``032`` of :mod:`.installers`;
            ``E-LOCK-033`` a package has no wheel; ``E-LOCK-034`` a wheel says wrong things of its own files;
            ``E-LOCK-035`` the modules of a checkout cannot be found.
    """
    if file.is_dir():
        raise no_lock(file, "it is a folder")
    here = installed()
    roots = [Requirement(line) for line in dict.fromkeys([*wanted, CORE])]
    chosen = {canonicalize_name(root.name) for root in roots if root.specifier or root.url}
    checkouts = {name: one for name, one in here.items() if one.checkout and name not in chosen}
    with tempfile.TemporaryDirectory(prefix="itune-lock-") as scratch:
        folder = Path(scratch)
        stand_ins = folder / "checkouts"
        stand_ins.mkdir()
        for one in checkouts.values():
            _stand_in(one, stand_ins)
        document = installers.resolve(
            [str(root) for root in roots],
            [f"{name}=={one.version}" for name, one in here.items() if name not in chosen and is_version(one.version)],
            folder,
            find_links=[*(place.absolute() for place in find_links), stand_ins],
            index_url=index_url,
        )
        packages: list[Package] = document["packages"]
        for place, package in enumerate(packages):
            if package["name"] in checkouts:
                packages[place] = _checkout(checkouts[package["name"]])
            else:
                _localise(package, find_links, file)
                _one_wheel(package)  # or say that there is none: nothing is built from a lock
                package.pop("sdist", None)
        _describe([package for package in packages if _may_matter(package, here)], file, folder / "unpacked")
    document["packages"] = _without_passwords(packages)
    document |= {"created-by": "itune", "tool": {"itune": {"version": FORMAT, "core": __version__}}}
    _write(file, document)
    return read(file)


def _write(file: Path, document: Mapping[str, Any]) -> None:
    import tomli_w

    draft = file.with_name(f".{file.name}.{token_hex(8)}.tmp")  # of its own: two processes may lock at once
    try:
        with draft.open("x", encoding="utf-8") as stream:
            stream.write(HEADER + "\n" + tomli_w.dumps(document))
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)


def _without_passwords(value: Any, key: str = "") -> Any:
    """`value` with user and password taken out of each URL in it: a lock is for everybody's eyes."""
    if isinstance(value, Mapping):
        return {key: _without_passwords(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_passwords(inner) for inner in value]
    if key in ("url", "index"):
        parts = urlsplit(value)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) if "@" in parts.netloc else value
    return value


def subset(lock: Mapping[str, Any], names: Iterable[str], base: Path, file: Path) -> None:
    """Write those packages of a lock that come from wheels into a pylock file that may stand anywhere.

    Their sources are left out: an installer builds them where no wheel fits, and that would run their code.

    Args:
        lock: the document.
        names: which; a checkout among them is left out, because pip takes no folder beside hashes.
        base: the folder that relative paths of `lock` start from.
        file: where to.
    """
    chosen = frozenset(names)
    packages = [package for package in lock["packages"] if package["name"] in chosen and "directory" not in package]
    moved = [{**_without_sources(package), **_absolute(package, base)} for package in packages]
    _write(file, {**lock, "packages": moved})


def _without_sources(package: Package) -> Package:
    return {key: value for key, value in package.items() if key != "sdist"}


def _absolute(package: Package, base: Path) -> Package:
    def moved(source: Package) -> Package:
        return {**source, "path": str((base / source["path"]).absolute())} if "path" in source else source

    changed: Package = {}
    if "wheels" in package:
        changed["wheels"] = [moved(wheel) for wheel in package["wheels"]]
    if "archive" in package:
        changed["archive"] = moved(package["archive"])
    return changed


def _stand_in(one: Installed, folder: Path) -> None:
    """A wheel of a checkout that holds its metadata and nothing else: enough to resolve, and nothing need be built."""
    name = one.name.replace("-", "_")
    info = f"{name}-{one.version}.dist-info"
    with ZipFile(folder / f"{name}-{one.version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{info}/METADATA", (one.info / "METADATA").read_text("utf-8"))
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", f"{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")


def _checkout(one: Installed) -> Package:
    """The entry of a checkout. PEP 751 allows no version where a source tree is used; it stands among our keys."""
    points = _entry_points(one)
    ours: Package = {"version": one.version, "development": True}
    if points:
        ours["entry-points"] = points
    if one.name != CORE and (sources := source_digest(modules(one.name, points.values()))):
        ours["sources"] = sources
    elif one.name != CORE and points:
        raise PluginError(
            "E-LOCK-035",
            f"the sources of the checkout {one.name} cannot be found",
            where=str(one.checkout),
            why=f"there is nothing to import as {', '.join(modules(one.name, points.values()))}",
            fix=f"pip install -e {one.checkout}, or pip uninstall {one.name}; then itune lock RECIPE",
        )
    return {
        "name": one.name,
        "directory": {"path": str(one.checkout), "editable": True},
        "tool": {"itune": ours},
    }


def _localise(package: Package, find_links: Sequence[Path], file: Path) -> None:
    """Where a wheel lies in one of the folders, name it by its path relative to the lock."""
    start = os.path.realpath(file.parent)
    folders = [os.path.realpath(place) for place in find_links]
    for source in [*package.get("wheels", ()), *(package[kind] for kind in ("sdist", "archive") if kind in package)]:
        parts = urlsplit(source.get("url", ""))
        if parts.scheme == "file":
            path = url2pathname(parts.path)
        elif "path" in source:
            path = source["path"]
        else:
            continue
        real = Path(os.path.realpath(path))  # what a tool calls it, and what the user calls it, may differ by links
        if any(real.is_relative_to(folder) for folder in folders):
            source.pop("url", None)
            source["path"] = Path(os.path.relpath(real, start)).as_posix()


def _may_matter(package: Package, here: Mapping[str, Installed]) -> bool:
    """Whether a package has to do with itune, or may have: what is not installed in this version is not known."""
    if package["name"] == CORE or "directory" in package:
        return False
    one = here.get(package["name"])
    if one is None or "version" not in package or not is_version(one.version):
        return True
    return Version(one.version) != Version(package["version"]) or _concerns_us(one)


def _concerns_us(one: Installed) -> bool:
    """Whether a distribution publishes plugins, or is a library for them: it requires the core."""
    return bool(_entry_points(one)) or any(requirements_on_core(one.metadata().requires or ()))


def _entry_points(one: Installed) -> dict[str, str]:
    """Label to value of what a distribution publishes for itune."""
    groups = {f"itune.{stage}": stage for stage in GROUPS}
    points = one.metadata().entry_points
    found = {f"{groups[point.group]}/{point.name}": point.value for point in points if point.group in groups}
    return dict(sorted(found.items()))


def _describe(packages: Sequence[Package], file: Path, unpacked: Path) -> None:
    """Add to each package that concerns us what its wheel publishes and the digest of its RECORD."""
    if not packages:
        return
    single = [_one_wheel(package) for package in packages]
    listed = unpacked.with_name("pylock.unpacked.toml")
    names = [package["name"] for package in packages]
    subset({"lock-version": "1.0", "created-by": "itune", "packages": single}, names, file.parent, listed)
    installers.install(listed, prefix=unpacked)
    there = installed([str(site) for site in {info.parent for info in unpacked.rglob("*.dist-info")}])
    for package, locked in zip(packages, single, strict=True):
        one = there[package["name"]]
        locked["version"] = package["version"] = one.version  # of a wheel named by its URL, pip does not tell it
        if not _concerns_us(one):
            continue
        files = records.read(one) or {}
        difference = records.compare(one, files)
        points = _entry_points(one)
        wrong = [*difference.edited, *difference.removed]
        wrong += [f"{label} = {value}" for label, value in points.items() if not is_object(value)]
        if wrong:
            raise PluginError(
                "E-LOCK-034",
                f"the wheel of {one.name} {one.version} says wrong things of its own files",
                where=", ".join(wrong),
                fix="build it again with a current tool: pip wheel --no-deps",
            )
        ours: Package = {"record": records.digest(files)}
        if points:
            ours["entry-points"] = points
        package.clear()
        package |= {**locked, "tool": {**locked.get("tool", {}), "itune": ours}}


def _one_wheel(package: Package) -> Package:
    """`package` with the one wheel that is for this machine: a RECORD is a wheel's, and another wheel has another.

    Raises:
        PluginError: ``E-LOCK-033`` there is none.
    """
    if is_wheel(package.get("archive")):
        return package
    ranks = _ranks()
    fitting: list[tuple[int, Package]] = []
    for wheel in package.get("wheels", ()):
        name = wheel.get("name") or (wheel.get("path") or urlsplit(wheel["url"]).path).rpartition("/")[2]
        tags = parse_wheel_filename(name)[3]
        fitting += [(min(ranks[tag] for tag in tags & ranks.keys()), wheel)] if tags & ranks.keys() else []
    if not fitting:
        wanted = f"{package['name']}=={package['version']}" if "version" in package else package["name"]
        raise PluginError(
            "E-LOCK-033",
            f"{package['name']} {package.get('version', '')} has no wheel for this machine",
            why="what would be built from its sources here is nothing that a lock can name",
            fix=f"pip wheel --no-deps {wanted} -w wheels; then itune lock RECIPE --find-links wheels",
        )
    rest = {key: value for key, value in package.items() if key not in ("sdist", "archive")}
    return {**rest, "wheels": [min(fitting, key=lambda pair: pair[0])[1]]}


@cache
def _ranks() -> dict[Tag, int]:
    """The tags of wheels that fit this machine, best first."""
    return {tag: rank for rank, tag in enumerate(sys_tags())}
