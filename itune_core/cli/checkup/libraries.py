"""The libraries that results depend on, and what torch computes on."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from itune_core.cli.checkup.finding import Finding

SECONDS = 120

ASK = """
import json, torch
cuda = torch.cuda.is_available()
mps = getattr(torch.backends, "mps", None)
print(json.dumps({
    "build": torch.version.cuda or getattr(torch.version, "hip", None),
    "device": torch.cuda.get_device_name() if cuda else "Apple GPU" if mps and mps.is_available() else None,
}))
"""


def libraries() -> Iterator[Finding]:
    """Versions of what is installed; metadata that tells none is bad."""
    from itune_core.engine.environment import LIBRARIES
    from itune_core.plugins.installed import installed

    here = installed()
    for name in LIBRARIES:
        if name in here:
            several = len(here[name].versions) > 1
            yield Finding(
                name,
                not several,
                " and ".join(here[name].versions),
                f"an upgrade was interrupted: pip install --force-reinstall {name}" if several else None,
            )
    if "torch" in here:
        yield _accelerator(here["torch"].version)
    else:
        yield Finding(
            "accelerator", True, "torch is not installed", "to train or run models: pip install itune-trainers"
        )


def _accelerator(version: str) -> Finding:
    """torch is asked in a process of its own: this one stays light, and a broken torch breaks only that one."""
    try:
        done = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=False, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return Finding(
            "accelerator", False, f"torch did not answer within {SECONDS} s", "try: python -c 'import torch'"
        )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        return Finding(
            "accelerator",
            False,
            f"torch cannot be imported: {lines[-1]}",
            f"pip install --force-reinstall torch=={version}",
        )
    facts = json.loads(done.stdout.splitlines()[-1])
    if facts["device"]:
        return Finding("accelerator", True, str(facts["device"]))
    if shutil.which("nvidia-smi") or Path("/proc/driver/nvidia/version").exists():
        advice = (
            f"the driver may be older than torch's CUDA {facts['build']}: see nvidia-smi"
            if facts["build"]
            else f"torch {version} is built without CUDA: install a build with it (pytorch.org/get-started)"
        )
        return Finding("accelerator", False, "there is an NVIDIA driver, and torch does not see a GPU", advice)
    return Finding(
        "accelerator", True, "none: models run on the processor", "small models train here; for larger ones use a GPU"
    )
