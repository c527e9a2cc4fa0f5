"""The environment a step was made in: stands in the manifest, not in the key."""

from __future__ import annotations

import os
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

LIBRARIES = (
    "itune-core",
    "itune-torch",
    "torch",
    "transformers",
    "peft",
    "trl",
    "datasets",
    "numpy",
    "pyarrow",
    "pydantic",
)


@cache
def environment() -> dict[str, Any]:
    """Python, platform, thread settings, and the versions of the libraries that results depend on."""
    versions = {}
    for name in LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "versions": versions,
    }
