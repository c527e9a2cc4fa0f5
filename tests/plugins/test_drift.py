"""An environment is held against a lock: every way in which it can differ is told, with what mends it."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import packaging.pylock  # noqa: F401  # while sys.path is short, it could not be imported
import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from itune_core.api.errors import PluginError
from itune_core.plugins import catalog, records
from itune_core.plugins.installed import installed
from itune_core.plugins.locks import lock
from itune_core.plugins.locks.drift import DriftError, drifts, refuse
from itune_core.plugins.locks.integrity import deletable
from itune_core.plugins.sources import source_digest

RECIPE = Path("recipe.yaml")
BOUND = "itune-core>=0.1,<1"
CHECKOUT = '{"url": "file:///x", "dir_info": {"editable": true}}'
POINTS = "[itune.filters]\npii = acme_pii:Pii\n"


def codes(found: lock.Lock, *uses: str) -> list[str]:
    return [drift.error.code for drift in drifts(found, RECIPE, uses)]


def test_what_was_locked_fits(here: Any) -> None:
    found = here.lock()
    assert codes(found, "filters/pii") == []
    assert found.distributions == {"acme-pii"}
    refuse(found, RECIPE)


def rewrite(here: Any, path: str, text: str) -> None:
    (here.site / path).write_text(text)


def upgrade(here: Any, name: str, version: str) -> None:
    [info] = here.site.glob(f"{name}-*.dist-info")
    info.rename(info.with_name(f"{name}-{version}.dist-info"))
    catalog.refresh()


def drop(here: Any, name: str) -> None:
    [info] = here.site.glob(f"{name}-*.dist-info")
    for path in info.iterdir():
        path.unlink()
    info.rmdir()
    catalog.refresh()


def move_and_link(here: Any, folder: str) -> None:
    """Somebody works on a package elsewhere."""
    work = here.site.parent / "work"
    (here.site / folder).rename(work)
    (work / "notes.txt").write_text("mine")
    (here.site / folder).symlink_to(work, target_is_directory=True)


def extra(here: Any, **more: str) -> None:
    here.install("acme-extra", "0.1", {"acme_extra.py": ""}, "[itune.filters]\nmore = acme_extra:X\n", **more)


DRIFTS: dict[str, tuple[Callable[[Any], object], str, str, str]] = {
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
    "damaged record": (
        lambda here: (here.site / "acme_pii-1.0.dist-info/RECORD").write_bytes(b"\xff\xfe"),
        "E-LOCK-016",
        "missing or damaged",
        "itune sync",
    ),
    "a record of names that no file has": (
        lambda here: rewrite(here, "acme_pii-1.0.dist-info/RECORD", "a\0b,sha256=x,1\n"),
        "E-LOCK-016",
        "missing or damaged",
        "itune sync",
    ),
    "a record of more than can be read": (
        lambda here: rewrite(here, "acme_pii-1.0.dist-info/RECORD", f"{'a' * 200_000},sha256=x,1\n"),
        "E-LOCK-016",
        "missing or damaged",
        "itune sync",
    ),
    "linked folder": (lambda here: move_and_link(here, "acme_pii"), "E-LOCK-024", "is a link", "remove the link"),
    "linked inner folder": (
        lambda here: move_and_link(here, "acme_pii/deep"),
        "E-LOCK-024",
        "is a link",
        "remove the link",
    ),
    "link to a folder added": (
        lambda here: (here.site / "acme_pii" / "helpers").symlink_to(here.site.parent, target_is_directory=True),
        "E-LOCK-012",
        "acme_pii/helpers",
        "deletes",
    ),
    "library is a plugin now": (
        lambda here: here.install("library", "3.0", {"library.py": "2\n"}, "[itune.filters]\nlib = library:X\n"),
        "E-LOCK-016",
        "library 3.0 is another build",
        "itune sync",
    ),
    "code at the start of Python": (
        lambda here: rewrite(here, "of_mine.pth", "import os\n"),
        "E-LOCK-026",
        "of_mine.pth",
        "delete it; sync does not",
    ),
    "damaged extra": (
        lambda here: (extra(here), rewrite(here, "acme_extra-0.1.dist-info/METADATA", ""), catalog.refresh()),
        "E-LOCK-023",
        "filters/more",
        "delete",
    ),
}


@pytest.mark.parametrize("name", DRIFTS)
def test_a_difference_is_told_and_how_to_mend_it(here: Any, name: str) -> None:
    change, code, what, fix = DRIFTS[name]
    found = here.lock()
    change(here)
    with pytest.raises(PluginError) as caught:
        refuse(found, RECIPE, ["filters/pii"])
    assert caught.value.code == code, str(caught.value)
    assert what in str(caught.value)
    assert fix in str(caught.value.fix)
    assert caught.value.exit_code == 3


def test_a_core_that_a_plugin_does_not_accept_is_told(here: Any) -> None:
    points = "[itune.mixers]\nx = acme_new:X\n"
    here.install("acme-new", "1.0", {"acme_new.py": ""}, points, requires="itune-core>=9,<10")
    with pytest.raises(PluginError, match=r"E-LOCK-022.*needs itune-core<10,>=9"):
        refuse(here.lock(), RECIPE)


def test_a_used_distribution_that_is_not_locked_is_told_as_such(here: Any) -> None:
    found = here.lock()
    extra(here)
    assert codes(found, "filters/pii", "filters/more") == ["E-LOCK-020"]
    assert codes(found, "filters/pii") == ["E-LOCK-015"]


def test_files_that_others_may_own_are_told_and_not_deleted(here: Any) -> None:
    found = here.lock()
    old = here.site / "oldlib-1.0.egg-info"
    old.mkdir()
    (old / "PKG-INFO").write_text("Name: oldlib\nVersion: 1.0\n")
    (old / "installed-files.txt").write_text("../acme_pii/of_old.py\nPKG-INFO\n")
    rewrite(here, "acme_pii/of_old.py", "")
    assert codes(found) == []
    rewrite(here, "acme_pii/of_nobody.py", "")
    assert deletable(installed()["acme-pii"]) == [here.site / "acme_pii" / "of_nobody.py"]
    (old / "installed-files.txt").unlink()
    assert codes(found) == ["E-LOCK-012"]
    [drift] = drifts(found, RECIPE)
    assert "oldlib, which has no list" in str(drift.error.why)
    assert "move the files away" in str(drift.error.fix)
    assert deletable(installed()["acme-pii"]) == []


def test_byte_code_in_a_wheel_is_a_file_like_any(here: Any) -> None:
    here.install(
        "acme-g", "1.0", {"acme_g/__init__.py": "", "acme_g/closed.pyc": "x"}, "[itune.filters]\ng = acme_g:G\n"
    )
    found = here.lock()
    assert codes(found) == []
    rewrite(here, "acme_g/closed.pyc", "y")
    assert codes(found) == ["E-LOCK-011"]


def test_startup_files_that_are_accounted_for_are_no_drift(here: Any) -> None:
    here.install("library", "3.0", {"library.py": "2\n", "library.pth": "import library\n"}, requires="other")
    found = here.lock()
    rewrite(here, "_virtualenv.pth", "import _virtualenv")
    rewrite(here, "folders.pth", f"{here.site.parent}\n")
    assert codes(found) == []
    rewrite(here, "_virtualenv.pth", "import of_another")
    assert codes(found) == ["E-LOCK-026"]


def test_a_checkout_publishes_what_was_locked(here: Any) -> None:
    rewrite(here, "acme_pii-1.0.dist-info/direct_url.json", CHECKOUT)
    found = here.lock()
    others = [package for package in found.document["packages"] if package["name"] != "acme-pii"]
    sources = source_digest(["acme_pii"])
    ours = {"version": "1.0", "entry-points": {"filters/pii": "acme_pii:Pii"}, "sources": sources}
    entry = {"name": "acme-pii", "directory": {"path": "/x", "editable": True}, "tool": {"itune": ours}}
    here.file.write_text(tomli_w.dumps({**found.document, "packages": [entry, *others]}))
    found = lock.read(here.file)
    assert codes(found) == []
    rewrite(here, "acme_pii-1.0.dist-info/entry_points.txt", "[itune.filters]\npii = os:system\n")
    catalog.refresh()
    assert codes(found) == ["E-LOCK-025"]


@pytest.mark.parametrize(
    "note", ["{", "[]", "1", '{"dir_info": {"editable": true}}', '{"url": 1, "dir_info": 2}', b"\xff"]
)
def test_a_damaged_note_of_its_origin_makes_no_checkout(here: Any, note: str | bytes) -> None:
    found = here.lock()
    file = here.site / "acme_pii-1.0.dist-info" / "direct_url.json"
    file.write_bytes(note if isinstance(note, bytes) else note.encode())
    assert codes(found) == []


def test_the_newest_of_several_versions_counts(here: Any) -> None:
    for version in ("10.0", "9.0", "old"):
        here.install("library", version, {})
    one = installed()["library"]
    assert one.versions == ("old", "3.0", "9.0", "10.0")
    assert (one.version, one.info.name) == ("10.0", "library-10.0.dist-info")


def test_several_differences_are_told_at_once(here: Any) -> None:
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
def test_whatever_byte_of_a_plugin_changes_is_noticed(here: Any, data: st.DataObject) -> None:
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


def test_what_python_and_installers_add_is_no_drift(here: Any) -> None:
    found = here.lock()
    for path in (
        "acme_pii/__pycache__/x.cpython-311.pyc",
        "acme_pii-1.0.dist-info/REQUESTED",
        "acme_pii-1.0.dist-info/uv_cache.json",
    ):
        (here.site / path).parent.mkdir(exist_ok=True)
        rewrite(here, path, "")
    assert codes(found) == []


def test_a_folder_that_two_distributions_share_holds_the_files_of_both(here: Any) -> None:
    package = {"acme/dedup/__init__.py": "", "acme/dedup/x.py": ""}
    here.install("acme-dedup", "1.0", package, "[itune.filters]\ndedup = acme.dedup:X\n")
    found = here.lock()
    here.install("acme-library", "1.0", {"acme/dedup/of_another.py": "", "acme/other/x.py": ""})
    assert codes(found) == []
    rewrite(here, "acme/dedup/of_nobody.py", "")
    assert codes(found) == ["E-LOCK-012"]
    assert deletable(installed()["acme-dedup"]) == [here.site / "acme" / "dedup" / "of_nobody.py"]


@pytest.mark.parametrize("one", ["1.0", "1.0.0", "1"])
def test_versions_are_compared_as_versions(here: Any, one: str) -> None:
    found = here.lock()
    upgrade(here, "library", {"1.0": "3", "1.0.0": "3.0.0", "1": "3.0"}[one])
    assert codes(found) == []
