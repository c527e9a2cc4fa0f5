"""Which distributions are installed, told from the names of their metadata folders: nothing is opened.

``importlib.metadata`` parses a METADATA file for every name and version it is asked for; for the seventy packages of a
lock that is more work than hashing all plugins.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from importlib.metadata import Distribution
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version


@dataclass(frozen=True)
class Installed:
    """An installed distribution.

    Attributes:
        name: in its normal spelling.
        versions: its version; more than one, oldest first, if an interrupted upgrade has left two metadata folders.
        info: its metadata folder (of the newest version), ``<site>/<name>-<version>.dist-info``.
    """

    name: str
    versions: tuple[str, ...]
    info: Path

    @property
    def version(self) -> str:
        return self.versions[-1]

    @property
    def site(self) -> Path:
        """The folder that it is installed in."""
        return self.info.parent

    @property
    def checkout(self) -> Path | None:
        """The folder of its sources, if it is installed to be edited (``pip install -e``).

        A damaged note of where it came from says nothing: it is taken for a wheel, whose files are compared.
        """
        try:
            origin = json.loads((self.info / "direct_url.json").read_bytes())
        except (OSError, ValueError, RecursionError):  # mostly: there is none
            return None
        match origin:
            case {"url": str(url), "dir_info": {"editable": True}}:
                from urllib.parse import urlsplit
                from urllib.request import url2pathname

                try:
                    return Path(url2pathname(urlsplit(url).path))
                except ValueError:
                    return None
        return None

    def metadata(self) -> Distribution:
        """All that its metadata says."""
        return Distribution.at(self.info)


def installed(path: list[str] | None = None) -> dict[str, Installed]:
    """Every installed distribution by normal name. Where two folders have one, the first on the path counts.

    Args:
        path: folders to look in; default ``sys.path``.
    """
    found: dict[str, Installed] = {}
    for folder in dict.fromkeys(sys.path if path is None else path):
        here: dict[str, list[tuple[str, Path]]] = {}
        for info in _metadata_folders(Path(folder or ".")):
            name, version = _identity(info)
            if name:
                here.setdefault(canonicalize_name(name), []).append((version, info))
        for name, members in here.items():
            members.sort(key=_age)
            versions = tuple(version for version, _ in members)
            found.setdefault(name, Installed(name, versions, members[-1][1]))
    return found


def of_this_environment(folder: Path) -> bool:
    """Whether installers install into `folder`, and so may change what is in it.

    ``sys.path`` has others: those of PYTHONPATH and of ``.pth`` files, the outer site of a virtual environment.
    """
    import sysconfig

    places = (Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib"))
    return folder.resolve() in places


def _age(member: tuple[str, Path]) -> tuple[bool, Version | str, Path]:
    """What puts the folders of one distribution in order: text that is no version is older than all that are."""
    text, info = member
    try:
        return True, Version(text), info
    except InvalidVersion:
        return False, text, info


def _metadata_folders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as items:
            return [Path(item.path) for item in items if item.name.endswith((".dist-info", ".egg-info"))]
    except OSError:  # a zip, or a folder that is not there: both are common on sys.path
        return []


def _identity(info: Path) -> tuple[str, str]:
    name, _, version = info.stem.partition("-")
    if info.suffix == ".egg-info" or not version:  # of old tools, whose names do not always tell the version
        try:
            metadata = Distribution.at(info).metadata
        except UnicodeDecodeError:
            return "", ""
        return metadata["Name"] or "", metadata["Version"] or ""
    return name, version
