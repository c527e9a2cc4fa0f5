"""Whose a function is that a setting names: what is let in, and what pins its code."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from itune_core.api import PluginError
from itune_core.plugins import functions


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed packages within a project, as a virtual environment in it has one."""
    folder = tmp_path / "project" / ".venv" / "site-packages"
    folder.mkdir(parents=True)
    monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)
    functions.find.cache_clear()
    yield folder
    functions.find.cache_clear()
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.fixture
def installed_in(site: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Installs a distribution: its files, or, to be edited, those of a folder."""

    def install(name: str, *files: str, checkout: Path | None = None) -> None:
        root = checkout or site
        for file in files:
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            (root / file).write_text("def give(): ...\n", "utf-8")
        info = site / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", "utf-8")
        (info / "RECORD").write_text("".join(f"{file},,\n" for file in (() if checkout else files)), "utf-8")
        if checkout:
            origin = {"url": checkout.as_uri(), "dir_info": {"editable": True}}
            (info / "direct_url.json").write_text(json.dumps(origin), "utf-8")
            monkeypatch.syspath_prepend(str(checkout))

    return install


def owner(value: str) -> str:
    return functions.find(value).distribution


def test_the_innermost_checkout_owns_a_function(site: Path, installed_in: Callable[..., None]) -> None:
    project = site.parents[1]
    installed_in("aa_outer", "aa_outer/rules.py", checkout=project)
    installed_in("zz_inner", "zz_inner/rules.py", checkout=project / "parts" / "inner")
    installed_in("aa_last", "aa_last.py", checkout=project / "parts" / "last")
    assert owner("aa_outer.rules:give") == "aa-outer"
    assert owner("zz_inner.rules:give") == "zz-inner"
    assert owner("aa_last:give") == "aa-last"


def test_what_is_installed_within_a_checkout_is_not_of_that_checkout(
    site: Path, installed_in: Callable[..., None]
) -> None:
    installed_in("aa_outer", "aa_outer/rules.py", checkout=site.parents[1])
    installed_in("zz_wheel", "zz_wheel/rules.py")
    assert owner("zz_wheel.rules:give") == "zz-wheel"
    (site / "zz_stray.py").write_text("def give(): ...\n", "utf-8")
    with pytest.raises(PluginError, match="belongs to no installed distribution"):
        owner("zz_stray:give")


def test_parts_of_one_package_are_told_apart(installed_in: Callable[..., None]) -> None:
    installed_in("aa_part", "zz_parted/one.py", "zz_parted/deep/own.py")
    installed_in("bb_part", "zz_parted/two/__init__.py", "zz_parted/deep/other.py")
    assert owner("zz_parted.one:give") == "aa-part"
    assert owner("zz_parted.deep.own:give") == "aa-part"
    assert owner("zz_parted.two:give") == "bb-part"
    assert owner("zz_parted.deep.other:give") == "bb-part"
    with pytest.raises(PluginError, match="belongs to no installed distribution"):
        owner("zz_parted.three:give")


@pytest.mark.parametrize("value", ["__main__:give", "sys:exit", "zz_nowhere.rules:give", "os:system"])
def test_what_is_not_installed_is_nobodys(value: str) -> None:
    with pytest.raises(PluginError, match="belongs to no installed distribution") as caught:
        owner(value)
    assert caught.value.code == "E-PLUGIN-061"


@pytest.mark.parametrize("value", ["give", ":give", "rules:", "my rules:give", "rules:give()", "a..b:c", "../a:give"])
def test_what_is_no_name_of_a_function(value: str) -> None:
    with pytest.raises(PluginError) as caught:
        owner(value)
    assert caught.value.code == "E-PLUGIN-060"
