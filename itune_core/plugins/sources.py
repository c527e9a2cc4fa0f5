"""The modules of a distribution, and the files of those that are installed to be edited: what stands for its version,
which says nothing there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path


def source_files(package: str) -> Iterator[tuple[str, Path]]:
    """Files of a top-level package or module, in order, each with its path inside; byte code left out.

    Imports nothing. A package that cannot be found has no files.
    """
    try:
        spec = find_spec(package)
    except ValueError:  # not a name of a module, or that of the running script
        return
    roots = [Path(root) for root in (spec.submodule_search_locations or [])] if spec else []
    if not roots and spec and spec.origin:
        roots = [Path(spec.origin)]
    for root in roots:
        for path in [root] if root.is_file() else sorted(root.rglob("*")):
            if path.is_file() and path.suffix not in (".pyc", ".pyo"):
                yield path.relative_to(root).as_posix(), path


def source_digest(packages: Iterable[str]) -> str | None:
    """``sha256:<hex>`` over the names and contents of the files of `packages`; None if they have none."""
    digest, some = hashlib.sha256(), False
    for package in sorted(packages):
        for name, path in source_files(package):
            some = True
            with path.open("rb") as stream:
                content = hashlib.file_digest(stream, "sha256").hexdigest()
            digest.update(f"{package}/{name},{content}\n".encode())
    return f"sha256:{digest.hexdigest()}" if some else None


def modules(distribution: str, values: Iterable[str]) -> list[str]:
    """Top-level modules of entry points' `values`; the one that bears the distribution's name if there are none."""
    named = {value.partition(":")[0].partition(".")[0].strip() for value in values}
    return sorted(named) or [distribution.replace("-", "_")]
