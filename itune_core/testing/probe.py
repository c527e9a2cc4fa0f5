"""What importing a component's module does, seen in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from itune_core.testing.watch import Sandbox

HEAVY = (
    "accelerate",
    "datasets",
    "jax",
    "peft",
    "sentence_transformers",
    "tensorflow",
    "torch",
    "transformers",
    "trl",
    "vllm",
)
"""Libraries that take a second or more to import; a component's methods import them when they are called."""

SCRIPT = """
import importlib, json, sys, time
from itune_core.api import Component
bare = time.process_time()
importlib.import_module(sys.argv[1])
seconds = time.process_time() - bare
print()
print(json.dumps([bare, seconds, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


@dataclass(frozen=True)
class Import:
    """Attributes:
    bare: CPU seconds that Python takes until :mod:`itune_core.api` is imported.
    seconds: CPU seconds that the module takes after that.
    heavy: which of :data:`HEAVY` came with it.
    files: what it wrote.
    """

    bare: float
    seconds: float
    heavy: tuple[str, ...]
    files: tuple[str, ...]


@cache
def probe(module: str) -> Import:
    """Import `module`, which is known to import in this process, in a fresh interpreter; once, however often asked."""
    with TemporaryDirectory(prefix="itune-kit-") as folder:
        sandbox = Sandbox(Path(folder))
        path = os.pathsep.join(entry for entry in sys.path if entry)
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, module],
            env={**os.environ, **sandbox.environment(), "PYTHONPATH": path},
            cwd=sandbox.working,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        files = tuple(sandbox.found())
    if done.returncode:
        raise RuntimeError(f"{module} can be imported here, and not in a fresh interpreter:\n{done.stderr}")
    bare, seconds, modules = json.loads(done.stdout.splitlines()[-1])
    return Import(bare, seconds, tuple(name for name in HEAVY if name in modules), files)
