"""Distributions made on the spot: a real ``*.dist-info`` folder and modules in a folder on ``sys.path``."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from itune_core.plugins import catalog

BOUND = "itune-core>=0.1,<1"


@dataclass(frozen=True)
class Site:
    """A folder of installed distributions."""

    folder: Path

    def install(
        self,
        name: str,
        entry_points: Mapping[str, str] | str,
        modules: Mapping[str, str] | None = None,
        *,
        version: str = "1.0",
        requires: tuple[str, ...] = (BOUND,),
        folder: Path | None = None,
    ) -> Path:
        """Install a distribution and give its dist-info folder.

        Args:
            name: the distribution's.
            entry_points: ``{"trainers/x": "module:X"}``, or the text of ``entry_points.txt``.
            modules: source by module name.
            version: the distribution's.
            requires: its ``Requires-Dist`` lines.
            folder: where to, if not into the site itself.
        """
        root = folder or self.folder
        info = root / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        lines = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"]
        (info / "METADATA").write_text("".join([*lines, *(f"Requires-Dist: {line}\n" for line in requires)]))
        if not isinstance(entry_points, str):
            groups: dict[str, list[str]] = {}
            for label, value in entry_points.items():
                stage, _, plugin = label.partition("/")
                groups.setdefault(stage, []).append(f"{plugin} = {value}")
            entry_points = "".join(f"[itune.{stage}]\n" + "\n".join(rows) + "\n" for stage, rows in groups.items())
        (info / "entry_points.txt").write_text(entry_points)
        for module, source in (modules or {}).items():
            (root / f"{module}.py").write_text(source)
        files = [f"{module}.py" for module in modules or {}]
        files += [f"{info.name}/{file}" for file in ("METADATA", "entry_points.txt", "RECORD")]
        (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))
        return info

    def python(self, script: str, **environment: str) -> str:
        """What `script` prints in a process of its own that sees the site and has its own stevedore cache."""
        cache = str(self.folder.parent / "cache")
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONPATH": str(self.folder), "XDG_CACHE_HOME": cache, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """An empty site at the front of ``sys.path``; what is imported from it is forgotten afterwards."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)
    catalog.refresh()
    yield Site(folder)
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]
    catalog.refresh()
