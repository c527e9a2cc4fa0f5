"""Whose is a file in a folder that several distributions share?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from itune_core.plugins import records
from itune_core.plugins.installed import Installed, installed


@dataclass(frozen=True)
class Strays:
    """Files in the folders of a distribution's packages that it did not bring, nor any other that lists its files.

    Attributes:
        paths: relative to the site folder.
        unlisted: distributions of that folder that have no list of their files: some of these may be theirs.
    """

    paths: tuple[str, ...]
    unlisted: tuple[str, ...]


def strays(added: Iterable[str], here: Installed) -> Strays:
    """Those of `added` that no other distribution in that folder brought."""
    left, unlisted = set(added), []
    for other in installed([str(here.site)]).values() if left else ():
        if other.name != here.name:
            files = records.listed(other)
            left -= files or set()
            unlisted += [other.name] if files is None else []
    return Strays(tuple(sorted(left)), tuple(sorted(unlisted)))
