"""RECORD: the list of a distribution's files with their hashes, as its wheel brought it and as it is installed.

Installers add lines of their own (byte code, scripts, where it came from) and copy those of the wheel as they are. With
the additions left out, the list of an installed distribution is that of its wheel, whoever installed it.

Specification: https://packaging.python.org/specifications/recording-installed-packages/
"""

from __future__ import annotations

import csv
import hashlib
import os
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from itune_core.plugins.installed import Installed

RECORD = "RECORD"
ADDED_BY_INSTALLERS = frozenset(
    {RECORD, "RECORD.jws", "RECORD.p7s", "INSTALLER", "REQUESTED", "direct_url.json", "provenance_url.json"}
    | {"uv_cache.json", "uv_build.json"}
)
"""Files of the metadata folder that say how a distribution was installed, not what it is."""

STRONG = ("sha256", "sha384", "sha512")


@dataclass(frozen=True)
class Difference:
    """Where installed files are not what their RECORD says; paths are relative to the site folder."""

    edited: tuple[str, ...]
    removed: tuple[str, ...]
    added: tuple[str, ...]


def read(distribution: Installed) -> dict[str, str] | None:
    """Path to hash (``sha256=...``) of the files that came in the wheel; None if there is no RECORD.

    Left out: byte code, what installers add, and what they put outside the site folder (scripts, data files), which
    they may rewrite.
    """
    try:
        with (distribution.info / RECORD).open(encoding="utf-8", newline="") as stream:
            rows = [row for row in csv.reader(stream) if len(row) >= 2]
    except (FileNotFoundError, NotADirectoryError):  # an egg-info may be a file
        return None
    return {row[0]: row[1] for row in rows if _counts(row[0])}


def digest(files: Mapping[str, str]) -> str:
    """``sha256:<hex>`` over paths and hashes, whatever their order in the file."""
    text = "".join(f"{path},{files[path]}\n" for path in sorted(files))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def as_they_are(distribution: Installed, files: Mapping[str, str]) -> dict[str, str]:
    """`files` with the hashes that they have now; those that are gone are left out."""
    found = {}
    for path, recorded in files.items():
        algorithm = recorded.partition("=")[0]
        algorithm = algorithm if algorithm in STRONG else "sha256"
        try:
            with (distribution.site / path).open("rb") as stream:
                value = hashlib.file_digest(stream, algorithm).digest()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
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


def _counts(path: str) -> bool:
    parts = path.split("/")
    if parts[0] in ("..", "") or path.endswith(".pyc"):
        return False
    return not (parts[0].endswith(".dist-info") and len(parts) == 2 and parts[1] in ADDED_BY_INSTALLERS)


def _added(distribution: Installed, files: Mapping[str, str]) -> Iterator[str]:
    """Files in the distribution's package folders that it did not bring.

    Its package folders are the outermost ones that hold a file of it. So ``acme/`` is not one of them where it only
    holds ``acme/pii/__init__.py`` of this distribution and ``acme/dedup/__init__.py`` of another.
    """
    folders = {path.rpartition("/")[0] for path in files} - {""}
    outermost = [folder for folder in folders if not any(folder.startswith(f"{other}/") for other in folders)]
    for folder in outermost:
        for root, inner, names in os.walk(distribution.site / folder):
            inner[:] = [name for name in inner if name != "__pycache__"]
            for name in names:
                path = Path(root, name).relative_to(distribution.site).as_posix()
                if path not in files and (_counts(path) or path.endswith(".pyc")):
                    yield path
