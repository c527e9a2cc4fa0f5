"""An environment is held against a lock: every way in which it can differ is told, with what mends it."""

from __future__ import annotations

import hashlib
import pickle
import sys
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path

import packaging.pylock  # noqa: F401  # while sys.path is short, it could not be imported
import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from itune_core import __version__
from itune_core.api.errors import PluginError
from itune_core.plugins import catalog, lock, records
from itune_core.plugins.drift import DriftError, added_files, drifts, refuse
from itune_core.plugins.installed import installed

RECIPE = Path("recipe.yaml")
BOUND = "itune-core>=0.1,<1"
CHECKOUT = '{"url": "file:///x", "dir_info": {"editable": true}}'
POINTS = "[itune.filters]\npii = acme_pii:Pii\n"


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
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """The core, a plugin with a package of three files, and a library."""
    environment = Environment(tmp_path)
    bare = [part for part in sys.path if not list(Path(part or ".").glob("*.dist-info"))]
    monkeypatch.setattr(sys, "path", [str(environment.site), *bare])
    environment.install("itune-core", __version__, {})
    package = {"acme_pii/__init__.py": "class Pii: ...\n", "acme_pii/words.txt": "a b c\n", "acme_pii/deep/x.py": "1\n"}
    environment.install("acme-pii", "1.0", package, POINTS)
    environment.install("library", "3.0", {"library.py": "2\n"}, requires="other")
    yield environment
    catalog.refresh()


def codes(found: lock.Lock, *uses: str) -> list[str]:
    return [drift.error.code for drift in drifts(found, RECIPE, uses)]


def test_what_was_locked_fits(here: Environment) -> None:
    found = here.lock()
    assert codes(found, "filters/pii") == []
    assert found.distributions == {"acme-pii"}
    refuse(found, RECIPE)


def rewrite(here: Environment, path: str, text: str) -> None:
    (here.site / path).write_text(text)


def upgrade(here: Environment, name: str, version: str) -> None:
    [info] = here.site.glob(f"{name}-*.dist-info")
    info.rename(info.with_name(f"{name}-{version}.dist-info"))
    catalog.refresh()


def drop(here: Environment, name: str) -> None:
    [info] = here.site.glob(f"{name}-*.dist-info")
    for path in info.iterdir():
        path.unlink()
    info.rmdir()
    catalog.refresh()


def extra(here: Environment, **more: str) -> None:
    here.install("acme-extra", "0.1", {"acme_extra.py": ""}, "[itune.filters]\nmore = acme_extra:X\n", **more)


DRIFTS: dict[str, tuple[Callable[[Environment], object], str, str, str]] = {
    "plugin upgraded": (
        lambda here: upgrade(here, "acme_pii", "1.1"),
        "E-LOCK-010",
        "plugin acme-pii is 1.1",
        "itune sync",
    ),
    "library downgraded": (lambda here: upgrade(here, "library", "2.9"), "E-LOCK-010", "library is 2.9", "itune sync"),
    "code edited": (
        lambda here: rewrite(here, "acme_pii/__init__.py", "1"),
        "E-LOCK-011",
        "acme_pii/__init__.py",
        "itune sync",
    ),
    "data edited": (
        lambda here: rewrite(here, "acme_pii/words.txt", "a"),
        "E-LOCK-011",
        "acme_pii/words.txt",
        "itune sync",
    ),
    "bound edited": (
        lambda here: rewrite(here, "acme_pii-1.0.dist-info/METADATA", "Name: acme-pii\nVersion: 1.0\n"),
        "E-LOCK-011",
        "METADATA",
        "itune sync",
    ),
    "file added": (lambda here: rewrite(here, "acme_pii/deep/y.py", ""), "E-LOCK-012", "acme_pii/deep/y.py", "deletes"),
    "byte code added": (lambda here: rewrite(here, "acme_pii/y.pyc", ""), "E-LOCK-012", "acme_pii/y.pyc", "deletes"),
    "file removed": (
        lambda here: (here.site / "acme_pii/deep/x.py").unlink(),
        "E-LOCK-013",
        "acme_pii/deep/x.py",
        "itune sync",
    ),
    "plugin missing": (lambda here: drop(here, "acme_pii"), "E-LOCK-014", "plugin acme-pii 1.0", "itune sync"),
    "library missing": (lambda here: drop(here, "library"), "E-LOCK-014", "library 3.0", "itune sync"),
    "extra plugin": (extra, "E-LOCK-015", "acme-extra 0.1", "itune lock recipe.yaml --with acme-extra"),
    "another build": (
        lambda here: here.install("acme-pii", "1.0", {"acme_pii/__init__.py": "class Pii: '''better'''\n"}, POINTS),
        "E-LOCK-016",
        "another build",
        "itune sync",
    ),
    "no record": (
        lambda here: (here.site / "acme_pii-1.0.dist-info/RECORD").unlink(),
        "E-LOCK-016",
        "build",
        "itune sync",
    ),
    "two versions": (
        lambda here: here.install("library", "2.0", {}),
        "E-LOCK-018",
        "2.0 and 3.0",
        "pip uninstall library",
    ),
    "a checkout": (
        lambda here: rewrite(here, "acme_pii-1.0.dist-info/direct_url.json", CHECKOUT),
        "E-LOCK-019",
        "installed from the checkout /x",
        "itune lock",
    ),
    "damaged extra": (
        lambda here: (extra(here), rewrite(here, "acme_extra-0.1.dist-info/METADATA", ""), catalog.refresh()),
        "E-LOCK-023",
        "filters/more",
        "delete",
    ),
}


@pytest.mark.parametrize("name", DRIFTS)
def test_a_difference_is_told_and_how_to_mend_it(here: Environment, name: str) -> None:
    change, code, what, fix = DRIFTS[name]
    found = here.lock()
    change(here)
    with pytest.raises(PluginError) as caught:
        refuse(found, RECIPE, ["filters/pii"])
    assert caught.value.code == code, str(caught.value)
    assert what in str(caught.value)
    assert fix in str(caught.value.fix)
    assert caught.value.exit_code == 3


def test_a_core_that_a_plugin_does_not_accept_is_told(here: Environment) -> None:
    points = "[itune.mixers]\nx = acme_new:X\n"
    here.install("acme-new", "1.0", {"acme_new.py": ""}, points, requires="itune-core>=9,<10")
    with pytest.raises(PluginError, match=r"E-LOCK-022.*needs itune-core<10,>=9"):
        refuse(here.lock(), RECIPE)


def test_a_used_distribution_that_is_not_locked_is_told_as_such(here: Environment) -> None:
    found = here.lock()
    extra(here)
    assert codes(found, "filters/pii", "filters/more") == ["E-LOCK-020"]
    assert codes(found, "filters/pii") == ["E-LOCK-015"]


def test_a_module_that_hides_the_locked_one_is_told(
    here: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = here.lock()
    (tmp_path / "hiding" / "acme_pii").mkdir(parents=True)
    (tmp_path / "hiding" / "acme_pii" / "__init__.py").write_text("")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "hiding"), *sys.path])
    assert codes(found) == ["E-LOCK-021"]


def test_several_differences_are_told_at_once(here: Environment) -> None:
    found = here.lock()
    rewrite(here, "acme_pii/__init__.py", "")
    rewrite(here, "acme_pii/more.py", "")
    upgrade(here, "library", "4.0")
    extra(here)
    with pytest.raises(DriftError) as caught:
        refuse(found, RECIPE)
    assert [error.code for error in caught.value.errors] == ["E-LOCK-011", "E-LOCK-012", "E-LOCK-010", "E-LOCK-015"]
    assert str(caught.value).startswith("E-LOCK-001: this environment is not the locked one: 4 differences")
    for error in caught.value.errors:
        assert str(error) in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(data=st.data())
def test_whatever_byte_of_a_plugin_changes_is_noticed(here: Environment, data: st.DataObject) -> None:
    found = here.lock()
    files = sorted(records.read(installed()["acme-pii"]) or {})
    path = data.draw(st.sampled_from(files))
    good = (here.site / path).read_bytes()
    place = data.draw(st.integers(0, len(good) - 1))
    flip = data.draw(st.integers(1, 255))
    try:
        (here.site / path).write_bytes(good[:place] + bytes([good[place] ^ flip]) + good[place + 1 :])
        catalog.refresh()
        errors = [drift.error for drift in drifts(found, RECIPE)]
        assert "E-LOCK-011" in [error.code for error in errors]
        assert path in str(errors[0])
    finally:
        (here.site / path).write_bytes(good)
        catalog.refresh()
    assert codes(found) == []


def test_what_python_and_installers_add_is_no_drift(here: Environment) -> None:
    found = here.lock()
    for path in (
        "acme_pii/__pycache__/x.cpython-311.pyc",
        "acme_pii-1.0.dist-info/REQUESTED",
        "acme_pii-1.0.dist-info/uv_cache.json",
    ):
        (here.site / path).parent.mkdir(exist_ok=True)
        rewrite(here, path, "")
    assert codes(found) == []


def test_a_folder_that_two_distributions_share_holds_the_files_of_both(here: Environment) -> None:
    package = {"acme/dedup/__init__.py": "", "acme/dedup/x.py": ""}
    here.install("acme-dedup", "1.0", package, "[itune.filters]\ndedup = acme.dedup:X\n")
    found = here.lock()
    here.install("acme-library", "1.0", {"acme/dedup/of_another.py": "", "acme/other/x.py": ""})
    assert codes(found) == []
    rewrite(here, "acme/dedup/of_nobody.py", "")
    assert codes(found) == ["E-LOCK-012"]
    assert added_files(installed()["acme-dedup"]) == [here.site / "acme" / "dedup" / "of_nobody.py"]


@pytest.mark.parametrize("one", ["1.0", "1.0.0", "1"])
def test_versions_are_compared_as_versions(here: Environment, one: str) -> None:
    found = here.lock()
    upgrade(here, "library", {"1.0": "3", "1.0.0": "3.0.0", "1": "3.0"}[one])
    assert codes(found) == []


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


def test_a_distribution_stands_in_a_lock_once_for_one_environment(here: Environment) -> None:
    found = here.lock()
    packages = list(found.document["packages"])
    for marker, code in (("python_version > '3'", "E-LOCK-002"), ("python_version < '3'", None)):
        twice = [*packages, {**packages[-1], "marker": marker}]
        here.file.write_text(tomli_w.dumps({**found.document, "packages": twice}))
        if code:
            with pytest.raises(PluginError, match=code):
                lock.read(here.file)
        else:
            assert codes(lock.read(here.file)) == []


@pytest.mark.parametrize("ours", [{"entry-points": "x"}, {"entry-points": {"filters/pii": 1}}, {"record": 1}])
def test_what_is_ours_in_a_lock_has_a_form(here: Environment, ours: dict[str, object]) -> None:
    found = here.lock()
    [first, *others] = found.document["packages"]
    packages = [{**first, "tool": {"itune": ours}}, *others]
    here.file.write_text(tomli_w.dumps({**found.document, "packages": packages}))
    with pytest.raises(PluginError, match=r"E-LOCK-002.*acme-pii"):
        lock.read(here.file)


def test_without_a_lock_there_is_none(tmp_path: Path) -> None:
    assert lock.find(tmp_path / "recipe.yaml") is None
