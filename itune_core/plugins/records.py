"""RECORD: the list of a distribution's files with their hashes, as its wheel brought it and as it is installed.

Installers add lines of their own (byte code, scripts, where it came from) and copy those of the wheel as they are. With
the additions left out, the list of an installed distribution is that of its wheel, whoever installed it.

Specification: https://packaging.python.org/specifications/recording-installed-packages/
"""

from __future__ import annotations

import csv
import hashlib
import os
import posixpath
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from itune_core.plugins.installed import Installed

RECORD = "RECORD"
ADDED_BY_INSTALLERS = frozenset(
    {RECORD, "RECORD.jws", "RECORD.p7s", "INSTALLER", "REQUESTED", "direct_url.json", "provenance_url.json"}
    | {"uv_cache.json", "uv_build.json"}
)
"""Files of the metadata folder that say how a distribution was installed, not what it is."""

OF_EGGS = "installed-files.txt"
"""What the metadata folders of old tools have for a RECORD: paths alone, relative to that folder."""

STRONG = ("sha256", "sha384", "sha512")


@dataclass(frozen=True)
class Difference:
    """Where installed files are not what their RECORD says; paths are relative to the site folder."""

    edited: tuple[str, ...]
    removed: tuple[str, ...]
    added: tuple[str, ...]


def read(distribution: Installed) -> dict[str, str] | None:
    """Path to hash (``sha256=...``) of the files that came in the wheel; None if there is no RECORD, or a damaged one.

    Left out: cached byte code, what installers add, and what they put outside the site folder (scripts, data files),
    which they may rewrite.
    """
    rows = _rows(distribution)
    return None if rows is None else {path: value for path, value in rows.items() if _counts(path)}


def listed(distribution: Installed) -> set[str] | None:
    """Every path that a distribution says is its own, as its RECORD or the list of an egg-info has it.

    None if it has no such list: then nobody knows what belongs to it.
    """
    rows = _rows(distribution)
    if rows is not None:
        return set(rows)
    try:
        lines = (distribution.info / OF_EGGS).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    start = distribution.info.name  # where the paths of that list begin
    return {posixpath.normpath(f"{start}/{line}") for line in lines if line}


def _rows(distribution: Installed) -> dict[str, str] | None:
    try:
        with (distribution.info / RECORD).open(encoding="utf-8", newline="") as stream:
            rows = {row[0]: row[1] for row in csv.reader(stream) if len(row) >= 2}
    except (OSError, UnicodeDecodeError, csv.Error):
        return None
    return None if any("\0" in path for path in rows) else rows


def digest(files: Mapping[str, str]) -> str:
    """``sha256:<hex>`` over paths and hashes, whatever their order in the file."""
    text = "".join(f"{path},{files[path]}\n" for path in sorted(files))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def as_they_are(distribution: Installed, files: Mapping[str, str]) -> dict[str, str]:
    """`files` with the hashes that they have now; those that are gone or cannot be read are left out."""
    found = {}
    for path, recorded in files.items():
        algorithm = recorded.partition("=")[0]
        algorithm = algorithm if algorithm in STRONG else "sha256"
        try:
            with (distribution.site / path).open("rb") as stream:
                value = hashlib.file_digest(stream, algorithm).digest()
        except OSError:  # gone, a folder now, or not to be read
            continue
        found[path] = f"{algorithm}={urlsafe_b64encode(value).decode().rstrip('=')}"
    return found


def compare(distribution: Installed, files: Mapping[str, str]) -> Difference:
    """The installed files against `files`, which :func:`read` gave."""
    now = as_they_are(distribution, files)
    return Difference(
        edited=tuple(sorted(path for path in now if now[path] != files[path])),
        removed=tuple(sorted(files.keys() - now.keys())),
        added=tuple(sorted(_added(distribution, files))),
    )


def links(distribution: Installed, files: Iterable[str]) -> list[Path]:
    """Folders of `files` that are links: what is deleted or written in one is deleted or written somewhere else."""
    folders = {folder for path in files for folder in PurePosixPath(path).parents if folder.name}
    return sorted(path for folder in folders if (path := distribution.site / folder).is_symlink())


def _counts(path: str) -> bool:
    parts = path.split("/")
    if parts[0] == "" or ".." in parts or "__pycache__" in parts:
        return False
    return not (parts[0].endswith(".dist-info") and len(parts) == 2 and parts[1] in ADDED_BY_INSTALLERS)


def _added(distribution: Installed, files: Mapping[str, str]) -> Iterator[str]:
    """Files, and links, in the distribution's package folders that it did not bring.

    Its package folders are the outermost ones that hold a file of it. So ``acme/`` is not one of them where it only
    holds ``acme/pii/__init__.py`` of this distribution and ``acme/dedup/__init__.py`` of another. A folder that a link
    leads to holds somebody else's files, and is not looked into.
    """
    folders = {path.rpartition("/")[0] for path in files} - {""}
    outermost = [folder for folder in folders if not any(folder.startswith(f"{other}/") for other in folders)]
    site = distribution.site.resolve()
    for folder in outermost:
        top = distribution.site / folder
        if top.resolve() != site / folder:
            continue
        for root, inner, names in os.walk(top):
            inner[:] = [name for name in inner if name != "__pycache__"]
            links = [name for name in inner if Path(root, name).is_symlink()]
            for name in (*names, *links):
                path = Path(root, name).relative_to(distribution.site).as_posix()
                if path not in files and _counts(path):
                    yield path
