"""What is written where: a working folder, a home and a temporary folder that are empty before and looked at after."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CACHE = "XDG_CACHE_HOME"
"""Not looked at: libraries keep what they compiled there, and may."""

PLACES: Mapping[str, str] = {
    "HOME": "home",
    "USERPROFILE": "home",
    "XDG_CONFIG_HOME": "home/.config",
    "XDG_DATA_HOME": "home/.local/share",
    "XDG_STATE_HOME": "home/.local/state",
    CACHE: "cache",
    "TMPDIR": "temporary",
    "TEMP": "temporary",
    "TMP": "temporary",
}
"""Environment variable to the folder it names inside a sandbox."""


@dataclass(frozen=True)
class Sandbox:
    """Folders in the place of those that a careless component writes to.

    Attributes:
        folder: holds them all; made if it is missing.
    """

    folder: Path

    @property
    def working(self) -> Path:
        """The working folder."""
        return self.folder / "working folder"

    def environment(self) -> dict[str, str]:
        """Variables that lead into the sandbox; its folders exist afterwards."""
        self.working.mkdir(parents=True, exist_ok=True)
        found = {}
        for name, place in PLACES.items():
            path = self.folder / place
            path.mkdir(parents=True, exist_ok=True)
            found[name] = str(path)
        return found

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Have this process live in the sandbox."""
        wanted = self.environment()
        before = {name: os.environ.get(name) for name in wanted}
        folder, temporary = Path.cwd(), tempfile.tempdir
        os.environ.update(wanted)
        os.chdir(self.working)
        tempfile.tempdir = None  # what it found out before
        try:
            yield
        finally:
            tempfile.tempdir = temporary
            os.chdir(folder)
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value

    def found(self) -> list[str]:
        """What was left in it, the cache aside: paths below its folder."""
        cache = self.folder / PLACES[CACHE]
        files = [path for path in self.folder.rglob("*") if path.is_file() and not path.is_relative_to(cache)]
        return sorted(path.relative_to(self.folder).as_posix() for path in files)


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of change of every file below `folder`: what a component that only reads leaves as it is."""
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def package_stamps(module: str) -> dict[str, tuple[int, int]]:
    """The same of the installed package that an imported `module` is part of, by absolute path; of a module that is in
    no package, of the files beside it. What Python compiles does not count."""
    top = sys.modules[module.partition(".")[0]]
    if hasattr(top, "__path__"):
        files = [path for folder in top.__path__ for path in Path(folder).rglob("*")]
    else:
        files = list(Path(str(top.__file__)).parent.glob("*"))
    found = [path for path in sorted(files) if "__pycache__" not in path.parts and path.is_file()]
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in found}
