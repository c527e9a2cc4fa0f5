"""What stands for the code of an installed plugin in the record of a run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from packaging.utils import canonicalize_name

from itune_core.plugins import records
from itune_core.plugins.catalog import Entry
from itune_core.plugins.installed import installed
from itune_core.plugins.sources import modules, source_digest


def identities(entries: Iterable[Entry]) -> dict[str, dict[str, Any]]:
    """Label to distribution, version and digest of what each entry is installed from.

    The digest is that of the files as they are now: for a wheel that nobody has touched, the one that a lock holds
    (:func:`.records.digest`); for a checkout, of its sources, and `editable` is true. It is None if there is no RECORD.
    """
    here = installed()
    known: dict[str, tuple[str | None, bool]] = {}
    found = {}
    for entry in entries:
        name = canonicalize_name(entry.distribution)
        if name not in known:
            one = here.get(name)
            if one is not None and one.checkout is not None:
                known[name] = source_digest(modules(name, [entry.value])), True
            else:
                files = records.read(one) if one else None
                known[name] = records.digest(records.as_they_are(one, files)) if one and files else None, False
        digest, editable = known[name]
        found[entry.label] = {
            "distribution": entry.distribution,
            "version": entry.version,
            "digest": digest,
            "editable": editable,
        }
    return found
