"""Distributions made on the spot: a real ``*.dist-info`` folder and modules in a folder on ``sys.path``."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import packaging.pylock  # noqa: F401  # while sys.path is short, it could not be imported
import pytest
import tomli_w

from itune_core import __version__
from itune_core.plugins import catalog, records
from itune_core.plugins.installed import installed
from itune_core.plugins.locks import lock

BOUND = "itune-core>=0.1,<1"
PII = "[itune.filters]\npii = acme_pii:Pii\n"


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


class Environment:
    """A folder that is all of ``sys.path`` that has distributions, and a lock of what is in it."""

    def __init__(self, folder: Path) -> None:
        self.site, self.file = folder / "site", folder / lock.NAME
        self.site.mkdir()

    def install(self, name: str, version: str, files: dict[str, str], points: str = "", requires: str = BOUND) -> Path:
        """Install a distribution as pip does: with a RECORD, and additions of the installer's own."""
        info = f"{name.replace('-', '_')}-{version}.dist-info"
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Dist: {requires}\n"
        wheel = {**files, f"{info}/METADATA": metadata} | ({f"{info}/entry_points.txt": points} if points else {})
        rows = []
        for path, text in wheel.items():
            (self.site / path).parent.mkdir(parents=True, exist_ok=True)
            (self.site / path).write_text(text)
            value = urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
            rows.append(f"{path},sha256={value},{len(text)}")
        rows += [
            f"{info}/INSTALLER,sha256=x,4",
            f"{info}/RECORD,,",
            "../../../bin/acme,sha256=x,9",
            "a/__pycache__/b.pyc,,",
        ]
        (self.site / info / "INSTALLER").write_text("pip\n")
        (self.site / info / "RECORD").write_text("\n".join(rows) + "\n")
        catalog.refresh()
        return self.site / info

    def lock(self, **more: object) -> lock.Lock:
        """Lock what is installed."""
        packages = []
        for name, one in sorted(installed([str(self.site)]).items()):
            points = {
                f"{point.group.removeprefix('itune.')}/{point.name}": point.value
                for point in one.metadata().entry_points
            }
            ours = {"record": records.digest(records.read(one) or {}), "entry-points": points} if points else {}
            wheel = {
                "url": f"https://pypi.invalid/{one.info.stem}-py3-none-any.whl",
                "hashes": {"sha256": "0" * 64},
            }
            package = {"name": name, "version": one.version, "wheels": [wheel]}
            packages.append({**package, "tool": {"itune": ours}} if ours else package)
        document = {
            "lock-version": "1.0",
            "created-by": "itune",
            "packages": packages,
            "tool": {"itune": {"version": 1}},
        }
        self.file.write_text(tomli_w.dumps({**document, **more}))
        return lock.read(self.file)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Environment]:
    """The core, a plugin with a package of three files, and a library."""
    environment = Environment(tmp_path)
    bare = [part for part in sys.path if not list(Path(part or ".").glob("*.dist-info"))]
    monkeypatch.setattr(sys, "path", [str(environment.site), *bare])
    environment.install("itune-core", __version__, {})
    package = {"acme_pii/__init__.py": "class Pii: ...\n", "acme_pii/words.txt": "a b c\n", "acme_pii/deep/x.py": "1\n"}
    environment.install("acme-pii", "1.0", package, PII)
    environment.install("library", "3.0", {"library.py": "2\n"}, requires="other")
    yield environment
    catalog.refresh()
