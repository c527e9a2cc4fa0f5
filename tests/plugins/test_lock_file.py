"""What a lock may say, and what is never written into one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from itune_core.api.errors import PluginError
from itune_core.plugins.installed import Installed
from itune_core.plugins.locks import lock, locking

HASHES = {"sha256": "0" * 64}
RECORD = f"sha256:{'1' * 64}"


def package(name: str = "acme-pii", **more: Any) -> dict[str, Any]:
    """A package of a lock, from a wheel; what is given as None is left out."""
    wheel = {"url": f"https://pypi.invalid/{name.replace('-', '_')}-1.0-py3-none-any.whl", "hashes": HASHES}
    whole = {"name": name, "version": "1.0", "wheels": [wheel], **more}
    return {key: value for key, value in whole.items() if value is not None}


def ours(**keys: Any) -> dict[str, Any]:
    return {"itune": keys}


def read(folder: Path, *packages: dict[str, Any]) -> lock.Lock:
    file = folder / lock.NAME
    head = {"lock-version": "1.0", "created-by": "itune", "tool": {"itune": {"version": lock.FORMAT}}}
    file.write_text(tomli_w.dumps({**head, "packages": list(packages)}))
    return lock.read(file)


POINTS = {"filters/pii": "acme_pii:Pii"}
FOLDER = {"version": None, "wheels": None, "directory": {"path": "/sources", "editable": True}}


@pytest.mark.parametrize(
    "good",
    [
        package(),
        package(tool=ours(record=RECORD)),
        package(tool=ours(**{"record": RECORD, "entry-points": {"filters/pii": "acme.pii:Pii.Inner"}})),
        package(**FOLDER, tool=ours(**{"version": "1.0", "sources": RECORD, "entry-points": POINTS})),
        package(**FOLDER, tool=ours(version="1.0")),
        package("itune-core", **FOLDER, tool=ours(**{"version": "1.0", "entry-points": POINTS})),
        package(wheels=None, archive={"url": "https://x.invalid/acme_pii-1.0-py3-none-any.whl?a=b", "hashes": HASHES}),
        package(wheels=None, archive={"path": "acme_pii-1.0-py3-none-any.whl", "hashes": HASHES}),
        package(marker="python_version >= '3'"),
        package(version=None, marker="python_version < '3'"),
    ],
)
def test_what_itune_writes_is_read(tmp_path: Path, good: dict[str, Any]) -> None:
    read(tmp_path, good)


@pytest.mark.parametrize(
    "bad",
    [
        package(tool=ours(**{"entry-points": POINTS})),
        package(**FOLDER, tool=ours(**{"version": "1.0", "entry-points": POINTS})),
        package(version=None),
        package(**FOLDER, tool=ours(sources=RECORD)),
        package(**FOLDER, tool=ours(version="one")),
        package(marker="extra == 'x'"),
        package(marker="os_name ~= '1'"),
        *(
            package(tool=ours(**{"record": RECORD, "entry-points": {"filters/pii": value}}))
            for value in ("__main__:Y", ".x:Y", "acme_pii", "acme_pii:", "acme pii:Y", "acme..pii:Y", "", "a:b\n")
        ),
        {**package(**FOLDER, tool=ours(version="1.0")), "directory": {"path": "a\0b"}},
    ],
    ids=str,
)
def test_what_does_not_verify_a_plugin_is_no_lock(tmp_path: Path, bad: dict[str, Any]) -> None:
    """A plugin is verified by the files of its wheel, or by its sources; a version says nothing of either."""
    with pytest.raises(PluginError, match="E-LOCK-002"):
        read(tmp_path, bad)


@pytest.mark.parametrize(
    "kind",
    [
        {"vcs": {"type": "git", "url": "https://x.invalid/a.git", "commit-id": "0" * 40}},
        {"sdist": {"url": "https://x.invalid/acme_pii-1.0.tar.gz", "hashes": HASHES}},
        {"archive": {"url": "https://x.invalid/acme_pii-1.0.tar.gz", "hashes": HASHES}},
        {"archive": {"url": "https://x.invalid/main.zip?x.whl", "hashes": HASHES}},
    ],
    ids=str,
)
def test_nothing_is_built_from_a_lock(tmp_path: Path, kind: dict[str, Any]) -> None:
    for version in ("1.0", None):  # of a repository, pip does not tell it
        with pytest.raises(PluginError, match=r"E-LOCK-006.*acme-pii") as caught:
            read(tmp_path, package(version=version, wheels=None, **kind))
        assert "pip wheel" in str(caught.value.fix)
    with pytest.raises(PluginError, match="E-LOCK-033"):
        locking._one_wheel(package(wheels=None, **kind))


@pytest.mark.parametrize("content", [b"a=" + b"[" * 100_000, b"a=" + b"9" * 10_000], ids=["deep", "long"])
def test_a_file_that_no_parser_takes_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / lock.NAME).write_bytes(content)
    with pytest.raises(PluginError, match="E-LOCK-002"):
        lock.find(tmp_path / "recipe.yaml")


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    """Above all, a link that leads nowhere is not the same as no lock."""
    recipe = tmp_path / "recipe.yaml"
    lock.beside(recipe).mkdir()
    with pytest.raises(PluginError, match="E-LOCK-002"):
        lock.find(recipe)
    with pytest.raises(PluginError, match="E-LOCK-002"):
        locking.write_lock(lock.beside(recipe), [])
    lock.beside(recipe).rmdir()
    lock.beside(recipe).symlink_to(tmp_path / "nowhere")
    with pytest.raises(PluginError, match="E-LOCK-002"):
        lock.find(recipe)


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("https://user:secret@x.invalid:8/a.whl#egg=a", "https://x.invalid:8/a.whl#egg=a"),
        ("http://secret@[::1]/a.whl", "http://[::1]/a.whl"),
        ("https://a:sec@ret@x.invalid/a@b.whl", "https://x.invalid/a@b.whl"),
        ("https://x.invalid/a@b.whl", "https://x.invalid/a@b.whl"),
        ("file:///a/b.whl", "file:///a/b.whl"),
    ],
)
def test_no_password_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, clean: str) -> None:
    """A resolver tells the URL that it was given, which for many an index holds a password."""
    wheel = {"name": "acme_pii-1.0-py3-none-any.whl", "url": url, "hashes": HASHES}
    resolved = {
        "lock-version": "1.0",
        "created-by": "pip",
        "packages": [
            package(
                wheels=[wheel], sdist={"url": "https://x.invalid/acme_pii-1.0.tar.gz", "hashes": HASHES}, index=url
            ),
            package("other", wheels=None, archive={"url": url.partition("#")[0], "hashes": HASHES}),
        ],
    }
    here = {name: library(tmp_path, name) for name in ("acme-pii", "other")}
    monkeypatch.setattr(locking, "installed", lambda: here)
    monkeypatch.setattr(locking.installers, "resolve", lambda *_, **__: resolved)
    project = tmp_path / "project"
    project.mkdir()
    locking.write_lock(project / lock.NAME, ["acme-pii"])
    text = (project / lock.NAME).read_text()
    assert text.count(f'"{clean}"') == 2 + ("#" not in clean)
    assert f'"{clean.partition("#")[0]}"' in text
    assert "tar.gz" not in text
    assert "secret" not in text
    assert "sec@ret" not in text
    assert [path.name for path in project.iterdir()] == [lock.NAME], "no draft is left"


def library(folder: Path, name: str) -> Installed:
    """An installed distribution that has nothing to do with itune."""
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    return Installed(name, ("1.0",), info)


def test_a_draft_belongs_to_one_process(tmp_path: Path) -> None:
    """What another process, or somebody's link, has put where a draft might be is not written to."""
    trap = tmp_path / f".{lock.NAME}.tmp"
    trap.symlink_to(tmp_path / "elsewhere")
    locking._write(tmp_path / lock.NAME, {"packages": []})
    assert trap.is_symlink()
    assert not (tmp_path / "elsewhere").exists()


def test_wheels_of_a_folder_are_named_by_their_path_however_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, wheels = tmp_path / "project", tmp_path / "wheels"
    project.mkdir()
    wheels.mkdir()
    (project / "link").symlink_to(wheels)
    monkeypatch.chdir(project)
    given = [Path("../wheels"), Path("link"), wheels]
    reported = [f"{project}/../wheels", f"{project}/link", str(wheels)]
    for place in given:
        for folder in reported:
            for source in ({"url": f"file://{folder}/a%2B1.whl"}, {"path": f"{folder}/a+1.whl"}):
                found = {"wheels": [dict(source)]}
                locking._localise(found, [place], project / lock.NAME)
                assert found["wheels"] == [{"path": os.path.join("..", "wheels", "a+1.whl")}]
    found = {"wheels": [{"url": "file:///elsewhere/a.whl"}]}
    locking._localise(found, given, project / lock.NAME)
    assert found["wheels"] == [{"url": "file:///elsewhere/a.whl"}]


def test_an_installed_version_may_be_of_no_form(tmp_path: Path) -> None:
    info = tmp_path / "old-2004d.dist-info"
    info.mkdir()
    assert locking._may_matter({"name": "old", "version": "1.0"}, {"old": Installed("old", ("banana",), info)})


def test_a_subset_holds_wheels_only(tmp_path: Path) -> None:
    """pip would fall back on sources where no wheel fits."""
    whole = {"packages": [package(sdist={"path": "a.tar.gz", "hashes": HASHES}), package("other")]}
    locking.subset(whole, ["acme-pii"], tmp_path, tmp_path / "part.toml")
    text = (tmp_path / "part.toml").read_text()
    assert "sdist" not in text
    assert "other" not in text


def test_a_checkout_whose_sources_are_gone_is_not_locked(tmp_path: Path) -> None:
    gone = library(tmp_path, "acme-gone")
    (gone.info / "direct_url.json").write_text('{"url": "file:///gone", "dir_info": {"editable": true}}')
    assert "sources" not in locking._checkout(gone)["tool"]["itune"], "a library that publishes nothing"
    (gone.info / "entry_points.txt").write_text("[itune.filters]\ngone = acme_gone:X\n")
    with pytest.raises(PluginError, match="E-LOCK-035") as caught:
        locking._checkout(gone)
    assert "acme_gone" in str(caught.value.why)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("not toml", "E-LOCK-002"),
        (b"\xff\xfe", "E-LOCK-002"),
        ("created-by = 'itune'\npackages = []", "E-LOCK-002"),
        ("lock-version = '1.0'\ncreated-by = 'x'\npackages = [{name = 'a', version = '1'}]", "E-LOCK-002"),
        ("lock-version = '2.0'\ncreated-by = 'x'\npackages = []", "E-LOCK-003"),
        ("lock-version = '1.0'\ncreated-by = 'pip'\npackages = []", "E-LOCK-003"),
        ("lock-version = '1.0'\ncreated-by = 'x'\npackages = []\n[tool.itune]\nversion = 2", "E-LOCK-003"),
        (
            "lock-version = '1.0'\ncreated-by = 'x'\npackages = []\nrequires-python = '<3'\ntool.itune.version = 1",
            "E-LOCK-004",
        ),
    ],
)
def test_a_lock_that_cannot_be_read_is_told(tmp_path: Path, content: str | bytes, code: str) -> None:
    (tmp_path / lock.NAME).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(PluginError, match=code) as caught:
        lock.find(tmp_path / "recipe.yaml")
    assert "itune lock RECIPE" in str(caught.value.fix)


def test_a_distribution_stands_in_a_lock_once_for_one_environment(here: Any) -> None:
    found = here.lock()
    packages = list(found.document["packages"])
    for marker, code in (("python_version > '3'", "E-LOCK-002"), ("python_version < '3'", None)):
        twice = [*packages, {**packages[-1], "marker": marker}]
        here.file.write_text(tomli_w.dumps({**found.document, "packages": twice}))
        if code:
            with pytest.raises(PluginError, match=code):
                lock.read(here.file)
        else:
            lock.read(here.file)


@pytest.mark.parametrize("ours", [{"entry-points": "x"}, {"entry-points": {"filters/pii": 1}}, {"record": 1}])
def test_what_is_ours_in_a_lock_has_a_form(here: Any, ours: dict[str, object]) -> None:
    found = here.lock()
    [first, *others] = found.document["packages"]
    packages = [{**first, "tool": {"itune": ours}}, *others]
    here.file.write_text(tomli_w.dumps({**found.document, "packages": packages}))
    with pytest.raises(PluginError, match=r"E-LOCK-002.*acme-pii"):
        lock.read(here.file)


def test_without_a_lock_there_is_none(tmp_path: Path) -> None:
    assert lock.find(tmp_path / "recipe.yaml") is None
