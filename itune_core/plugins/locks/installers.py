"""pip and uv: what they are asked to do for a lock, and what becomes of it when they cannot.

Resolving goes to pip where there is one: it reads the configuration (indexes, certificates, credentials) that the
environment was installed with, and names exactly the wheel that it would install here. Installing goes to uv where
there is one, which is faster. Both read PEP 751; what differs between them is written here and nowhere else.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from packaging.version import Version

from itune_core.api.errors import PluginError

OLDEST_PIP = Version("26.1")
"""The first that installs from a pylock file."""

_OF_NO_USE = ("UV_CONSTRAINT", "UV_OVERRIDE", "UV_BUILD_CONSTRAINT", "PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT")
"""Variables that bound what is installed. A lock leaves nothing to bound, and uv refuses to be given both."""

_SAID = 12
"""Lines of a failed tool's output that are shown."""


def pip() -> list[str] | None:
    """How to call pip for this Python, or None if there is none that knows pylock files."""
    try:
        good = Version(version("pip")) >= OLDEST_PIP
    except PackageNotFoundError:
        return None
    return [sys.executable, "-P", "-m", "pip"] if good else None  # -P: no pip.py of the folder that we are in


def uv() -> list[str] | None:
    """How to call uv, or None if there is none."""
    program = shutil.which("uv")
    if program is None:
        try:
            program = import_module("uv").find_uv_bin()
        except (ModuleNotFoundError, FileNotFoundError):  # not installed; or its module without its program
            return None
    return [program, "pip"]


def resolve(
    requirements: Sequence[str],
    constraints: Sequence[str],
    folder: Path,
    *,
    find_links: Sequence[Path] = (),
    index_url: str | None = None,
) -> dict[str, Any]:
    """All that `requirements` need, each at one version and with hashes: a PEP 751 document.

    Args:
        requirements: what is wanted, as in a requirements file.
        constraints: ``name==version`` of what must not come in another version.
        folder: a scratch folder.
        find_links: folders of wheels to take from, beside the index.
        index_url: package index in place of the configured one.

    Raises:
        PluginError: ``E-LOCK-030`` there is neither pip nor uv; ``E-LOCK-031`` they find no solution.
    """
    wanted, bounds, out = folder / "requirements.txt", folder / "constraints.txt", folder / "pylock.toml"
    wanted.write_text("".join(f"{line}\n" for line in requirements), "utf-8")
    bounds.write_text("".join(f"{line}\n" for line in constraints), "utf-8")
    links = [part for place in find_links for part in ("--find-links", str(place))]
    if tool := pip():
        index = ["--index-url", index_url] if index_url else []
        call = [*tool, "lock", "--disable-pip-version-check", "-r", str(wanted), "-c", str(bounds), "-o", str(out)]
    elif tool := uv():
        index = ["--default-index", index_url] if index_url else []
        call = [*tool, "compile", str(wanted), "-c", str(bounds), "-o", str(out), "--format", "pylock.toml"]
        call += ["--python", sys.executable]
    else:
        raise _no_tool()
    done = _run([*call, *links, *index], folder)
    if done.returncode:
        raise PluginError(
            "E-LOCK-031",
            f"the packages cannot be locked: {_named(call)} ended with {done.returncode}",
            why=_last_words(done),
            fix="if they came from a folder of wheels: --find-links DIR; if from another index: --index-url URL",
        )
    return tomllib.loads(out.read_text("utf-8"))


def install(lock: Path, *, prefix: Path | None = None, afresh: bool = False) -> None:
    """Install what a pylock file names: those packages and no others, their hashes checked.

    Args:
        lock: the file; must not name folders.
        prefix: an empty folder to install below; None: this environment.
        afresh: replace what is installed even if its version is right, and with nothing from a cache: uv's cache
            shares its files with environments, so that who edits one there edits both.

    Raises:
        PluginError: ``E-LOCK-030`` there is neither pip nor uv; ``E-LOCK-032`` they fail.
    """
    if tool := uv():
        call = [*tool, "install", "--python", sys.executable, "--link-mode", "copy", "--no-deps", "-r", str(lock)]
        call += ["--reinstall", "--no-cache"] if afresh else []
        call += ["--prefix", str(prefix)] if prefix else []
    elif tool := pip():
        call = [*tool, "install", "--disable-pip-version-check", "--no-deps", "-r", str(lock)]
        call += ["--force-reinstall"] if afresh else []
        call += ["--prefix", str(prefix), "--ignore-installed", "--no-compile"] if prefix else []
    else:
        raise _no_tool()
    _must(call, lock.parent)


def uninstall(names: Sequence[str]) -> None:
    """Uninstall distributions from this environment.

    Raises:
        PluginError: ``E-LOCK-030`` there is neither pip nor uv; ``E-LOCK-032`` they fail.
    """
    if tool := uv():
        call = [*tool, "uninstall", "--python", sys.executable, *names]
    elif tool := pip():
        call = [*tool, "uninstall", "--disable-pip-version-check", "--yes", *names]
    else:
        raise _no_tool()
    with tempfile.TemporaryDirectory(prefix="itune-uninstall-") as folder:
        _must(call, Path(folder))


def _must(call: list[str], folder: Path) -> None:
    done = _run(call, folder, {name: value for name, value in os.environ.items() if name not in _OF_NO_USE})
    if done.returncode:
        raise PluginError(
            "E-LOCK-032",
            f"{_named(call)} ended with {done.returncode}",
            why=_last_words(done),
            fix="mend what it says, then type the same again: what is right already is left alone",
        )


def _run(
    call: list[str], folder: Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        call,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def _named(call: list[str]) -> str:
    """A call without its options: ``python -m pip lock``."""
    said = [part for part in call[1:5] if part != "-P"]
    return " ".join([Path(call[0]).name, *said[: 3 if said[0] == "-m" else 2]])


def _last_words(done: subprocess.CompletedProcess[str]) -> str:
    """The end of what a tool said, without its warnings."""
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    told = [line for line in lines if not line.lower().startswith("warning")]
    return "\n    ".join((told or lines)[-_SAID:])


def _no_tool() -> PluginError:
    return PluginError(
        "E-LOCK-030",
        "this needs pip or uv, and neither serves this Python",
        why=f"pip installs from a lock since {OLDEST_PIP}; {sys.executable} has an older one or none",
        fix=f"{sys.executable} -m pip install --upgrade pip; or install uv",
    )
