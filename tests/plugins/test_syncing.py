"""Sync changes this environment and nothing else: not what lies elsewhere on the path, nor what somebody else owns."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import sysconfig
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path

import packaging.pylock  # noqa: F401  # while sys.path is short, it could not be imported
import pytest
import tomli_w

from itune_core import __version__
from itune_core.api.errors import PluginError
from itune_core.plugins import catalog, records
from itune_core.plugins.installed import installed
from itune_core.plugins.locks import installers, lock, syncing
from itune_core.plugins.locks.drift import drifts

RECIPE = Path("recipe.yaml")
POINTS = "[itune.filters]\npii = acme_pii:Pii\n"


class World:
    """An environment, and a folder that comes first on the path and is none of its own."""

    def __init__(self, folder: Path) -> None:
        self.site, self.foreign, self.file = folder / "site", folder / "foreign", folder / lock.NAME
        self.site.mkdir()
        self.foreign.mkdir()

    def install(self, folder: Path, name: str, files: dict[str, str], points: str = "", version: str = "1.0") -> Path:
        info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Dist: itune-core>=0.1,<1\n"
        wheel = {**files, f"{info.name}/METADATA": metadata, f"{info.name}/entry_points.txt": points}
        rows = []
        for path, text in wheel.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
            value = urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
            rows.append(f"{path},sha256={value},{len(text)}\n")
        (info / "RECORD").write_text("".join(rows))
        catalog.refresh()
        return info

    def lock(self) -> lock.Lock:
        packages = []
        for name, one in sorted(installed([str(self.site)]).items()):
            points = {
                f"{point.group.removeprefix('itune.')}/{point.name}": point.value
                for point in one.metadata().entry_points
            }
            ours = {"record": records.digest(records.read(one) or {}), "entry-points": points} if points else {}
            url = f"https://pypi.invalid/{one.info.stem}-py3-none-any.whl"
            wheels = [{"url": url, "hashes": {"sha256": "0" * 64}}]
            packages.append({"name": name, "version": one.version, "wheels": wheels, "tool": {"itune": ours}})
        ours = {"itune": {"version": 1}}
        self.file.write_text(
            tomli_w.dumps({"lock-version": "1.0", "created-by": "itune", "packages": packages, "tool": ours})
        )
        return lock.read(self.file)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The core, a plugin and a library in the environment; nothing in the other folder."""
    world = World(tmp_path)
    bare = [part for part in sys.path if not list(Path(part or ".").glob("*.dist-info"))]
    monkeypatch.setattr(sys, "path", [str(world.foreign), str(world.site), *bare])
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(world.site))
    world.install(world.site, "itune-core", {}, version=__version__)
    world.install(world.site, "acme-pii", {"acme_pii/__init__.py": "", "acme_pii/deep/x.py": ""}, POINTS)
    world.install(world.site, "library", {"library.py": ""})
    yield world
    catalog.refresh()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that installers are called with; each fails, as without a network."""
    made: list[list[str]] = []

    def run(call: list[str], **how: object) -> subprocess.CompletedProcess[str]:
        made.append([*call, str(how["cwd"])])
        return subprocess.CompletedProcess(call, 1, "", "no network")

    monkeypatch.setattr(subprocess, "run", run)
    return made


def test_metadata_outside_the_environment_is_left_alone(world: World, calls: list[list[str]]) -> None:
    found = world.lock()
    info = world.install(world.foreign, "library", {"library.py": ""}, version="0.9")
    (info / "RECORD").unlink()
    with pytest.raises(PluginError, match=r"E-LOCK-040: library 0.9") as caught:
        syncing.changes(found, RECIPE)
    assert caught.value.where == str(info)
    sys.path.remove(str(world.foreign))
    sys.path.append(str(world.foreign))  # behind the environment, as the outer site of a virtual one is
    [mine] = world.site.glob("library-*")
    mine.rename(world.site.parent / "elsewhere")
    wanted = syncing.changes(found, RECIPE)
    with pytest.raises(PluginError, match="E-LOCK-032"):
        syncing.sync(found, RECIPE, wanted)
    assert calls
    assert (info / "METADATA").is_file()


def test_metadata_without_record_comes_back_if_nothing_could_be_installed(world: World, calls: list[list[str]]) -> None:
    found = world.lock()
    [info] = world.site.glob("acme_pii-*")
    (info / "RECORD").unlink()
    before = sorted(world.site.rglob("*"))
    wanted = syncing.changes(found, RECIPE)
    assert wanted.replace == ("acme-pii",)
    with pytest.raises(PluginError, match="E-LOCK-032"):
        syncing.sync(found, RECIPE, wanted)
    assert sorted(world.site.rglob("*")) == before


def test_what_an_old_tool_installed_is_not_written_over(world: World) -> None:
    found = world.lock()
    [info] = world.site.glob("library-*")
    for path in info.iterdir():
        path.unlink()
    info.rmdir()
    (world.site / "library-0.9.egg-info").write_text("Name: library\nVersion: 0.9\n")
    with pytest.raises(PluginError, match=r"E-LOCK-041: library 0.9"):
        syncing.changes(found, RECIPE)


@pytest.mark.parametrize("folder", ["acme_pii", "acme_pii/deep"])
def test_nothing_is_done_through_a_link(world: World, tmp_path: Path, folder: str) -> None:
    found = world.lock()
    (world.site / folder).rename(tmp_path / "work")
    (tmp_path / "work" / "notes.txt").write_text("mine")
    (tmp_path / "work" / "__init__.py").write_text("edited")
    (world.site / folder).symlink_to(tmp_path / "work", target_is_directory=True)
    with pytest.raises(PluginError, match="E-LOCK-024"):
        syncing.changes(found, RECIPE)
    with pytest.raises(PluginError, match="E-LOCK-024"):
        syncing.sync(found, RECIPE, syncing.Changes((), (), ()))
    assert (tmp_path / "work" / "notes.txt").read_text() == "mine"


def test_an_added_link_is_removed_and_not_what_it_leads_to(world: World, tmp_path: Path) -> None:
    found = world.lock()
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "__init__.py").write_text("mine")
    link = world.site / "acme_pii" / "helpers"
    link.symlink_to(tmp_path / "work", target_is_directory=True)
    assert not syncing.changes(found, RECIPE)
    told: list[str] = []
    syncing.sync(found, RECIPE, syncing.Changes((), (), ()), lambda line: told.append(f"{line} {link.is_symlink()}"))
    assert told == [f"deleting {link}, which belongs to no distribution True"]
    assert not link.is_symlink()
    assert (tmp_path / "work" / "__init__.py").read_text() == "mine"


def test_an_extra_plugin_of_another_folder_is_not_uninstalled(world: World) -> None:
    found = world.lock()
    points = "[itune.filters]\nmore = acme_extra:X\n"
    world.install(world.foreign, "acme-extra", {"acme_extra.py": ""}, points)
    assert not syncing.changes(found, RECIPE)
    [drift] = drifts(found, RECIPE)
    assert drift.error.code == "E-LOCK-015"
    assert "take that folder off PYTHONPATH" in str(drift.error.fix)
    assert "uninstalls" not in str(drift.error.fix)
    world.install(world.site, "acme-extra", {"acme_extra.py": ""}, points)
    sys.path.remove(str(world.foreign))
    assert syncing.changes(found, RECIPE).uninstall == ("acme-extra",)


def test_a_library_that_became_a_plugin_is_replaced(world: World) -> None:
    found = world.lock()
    world.install(world.site, "library", {"library.py": ""}, "[itune.filters]\nlib = library:X\n")
    assert syncing.changes(found, RECIPE).replace == ("library",)


def test_a_core_that_was_replaced_is_asked_anew(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process has still parts of the one before: what it says of the new one is nothing to go by."""
    found = world.lock()
    [info] = world.site.glob("itune_core-*")
    info.rename(info.with_name("itune_core-0.0.1.dist-info"))
    wanted = syncing.changes(found, RECIPE)
    assert wanted.install == ("itune-core",)
    monkeypatch.setattr(installers, "install", lambda part, afresh: None)
    said = subprocess.CompletedProcess([], 1, "", "E-LOCK-010: itune-core is 0.0.1 here")
    asked: list[list[str]] = []
    monkeypatch.setattr(subprocess, "run", lambda call, **how: asked.append(call) or said)
    with pytest.raises(PluginError, match=r"E-LOCK-042(?s:.)*0\.0\.1 here"):
        syncing.sync(found, RECIPE, wanted)
    assert asked[0][-3:] == ["lock", "--check", "recipe.yaml"]


def test_installers_see_no_module_of_the_folder_that_we_are_in(
    calls: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for tool in (lambda: None, installers.uv):
        monkeypatch.setattr(installers, "uv", tool)
        with pytest.raises(PluginError, match="uninstall ended with 1"):
            installers.uninstall(["x"])
        assert calls[-1][-1] != str(tmp_path)
        if "-m" in calls[-1]:
            assert calls[-1][1] == "-P"
