"""``itune doctor``: whether this machine and this installation can do the work."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Annotated, NamedTuple

import typer

from itune_core.cli.terminal import safe

app = typer.Typer(help="Check this machine and installation.")


class Finding(NamedTuple):
    """One thing looked at: whether it is well, and what was seen."""

    subject: str
    well: bool
    seen: str


@app.command()
def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Look at Python, memory and disk, the libraries, each plugin (they are imported) and the models at hand.

    Exit code 1 if anything is not well.
    """
    findings = [*_machine(), *_libraries(), *_plugins(), *_models()]
    if as_json:
        typer.echo(json.dumps([finding._asdict() for finding in findings], indent=2))
    else:
        for finding in findings:
            typer.echo(f"{'ok ' if finding.well else 'BAD'}  {finding.subject}: {safe(finding.seen)}")
    if not all(finding.well for finding in findings):
        raise typer.Exit(1)


def _machine() -> Iterator[Finding]:
    from itune_core.engine.home import user_cache

    yield Finding("python", sys.version_info >= (3, 11), f"{platform.python_version()} at {sys.executable}")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    yield Finding("memory", memory >= 4, f"{memory:.0f} GiB, {os.cpu_count()} cores (the quickstart wants 3 GiB)")
    cache = user_cache()
    cache.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(cache).free / 2**30
    yield Finding("disk", free >= 2, f"{free:.0f} GiB free at {cache} (the embedded model wants 1 GiB)")


def _libraries() -> Iterator[Finding]:
    """torch is asked in a process of its own: this one stays light, and a broken torch breaks only that one."""
    from itune_core.engine.environment import environment

    for name, version in environment()["versions"].items():
        yield Finding(name, True, version)
    if "torch" in environment()["versions"]:
        ask = "import torch; print(torch.cuda.get_device_name() if torch.cuda.is_available() else 'cpu only')"
        done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=False)
        lines = (done.stdout or done.stderr).strip().splitlines() or ["no output"]
        yield Finding("torch device", done.returncode == 0, lines[-1])


def _plugins() -> Iterator[Finding]:
    from itune_core.api.errors import PluginError
    from itune_core.plugins import catalog, loader
    from itune_core.plugins.policy import Policy

    for stage in catalog.GROUPS:
        for entry in catalog.entries(stage):
            try:
                loader.load(entry, Policy(None))
            except PluginError as error:
                yield Finding(entry.label, False, f"{error.code}: {error.what}")
            else:
                yield Finding(entry.label, True, entry.owner)


def _models() -> Iterator[Finding]:
    from itune_core.engine import embedded
    from itune_core.engine.home import user_cache

    for name in embedded.EMBEDDED:
        here = embedded.folder(name, user_cache()).exists()
        yield Finding(f"embedded:{name}", True, "fetched" if here else "not fetched yet; fetched when first needed")
