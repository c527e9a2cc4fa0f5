"""What would be imported is the file that was locked: not one beside it, nor one that comes first on the path."""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from itune_core.plugins.locks import lock
from itune_core.plugins.locks.drift import drifts

RECIPE = Path("recipe.yaml")


def codes(found: lock.Lock) -> list[str]:
    return [drift.error.code for drift in drifts(found, RECIPE)]


def test_a_module_that_hides_the_locked_one_is_told(here: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = here.lock()
    (tmp_path / "hiding" / "acme_pii").mkdir(parents=True)
    (tmp_path / "hiding" / "acme_pii" / "__init__.py").write_text("")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "hiding"), *sys.path])
    assert codes(found) == ["E-LOCK-021"]


HIDING: dict[str, tuple[dict[str, str], dict[str, str], dict[str, str]]] = {
    "a package beside a module": ({"acme_g.py": ""}, {"acme_g/__init__.py": ""}, {}),
    "an extension beside a module": ({"acme_g.py": ""}, {f"acme_g{EXTENSION_SUFFIXES[0]}": ""}, {}),
    "a namespace that gets code": ({"acme/g/__init__.py": ""}, {"acme/__init__.py": ""}, {}),
    "a module in the place of a namespace": ({"acme/g/__init__.py": ""}, {"acme.py": ""}, {}),
    "a deep namespace": ({"acme/a/b/g/__init__.py": ""}, {}, {"acme/a/b/g/__init__.py": ""}),
    "the same package, earlier in a namespace": ({"acme/g/__init__.py": ""}, {}, {"acme/g/__init__.py": ""}),
    "a helper module": ({"acme_g.py": "", "acme_help.py": ""}, {}, {"acme_help.py": ""}),
    "a helper package": ({"acme_g.py": "", "acme_help/__init__.py": ""}, {}, {"acme_help/__init__.py": ""}),
}
"""Files of the plugin, files put beside them, and files of a folder that comes first on the path."""


@pytest.mark.parametrize("name", HIDING)
def test_whatever_would_be_imported_in_place_of_a_locked_file_is_told(
    here: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    files, beside, first = HIDING[name]
    module = next(iter(files)).removesuffix("/__init__.py").removesuffix(".py").replace("/", ".")
    here.install("acme-g", "1.0", files, f"[itune.filters]\ng = {module}:G\n")
    found = here.lock()
    assert codes(found) == []
    for folder, added in ((here.site, beside), (tmp_path / "first", first)):
        for path, text in added.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "first"), *sys.path])
    importlib.invalidate_caches()
    assert codes(found) == ["E-LOCK-021"]
    [error] = [drift.error for drift in drifts(found, RECIPE)]
    assert str(error.where) in [str(here.site / path) for path in beside] + [str(tmp_path / "first" / p) for p in first]
    assert not [loaded for loaded in sys.modules if loaded.startswith("acme")]


def test_a_library_that_another_folder_hides_is_told(
    here: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.install("wide", "1.0", {"wide/__init__.py": "", "tests/__init__.py": "", "email/x.py": ""}, requires="other")
    found = here.lock()
    first = tmp_path / "first"
    for folder in ("wide", "tests", "unrelated"):
        (first / folder).mkdir(parents=True)
        (first / folder / "__init__.py").write_text("")
    monkeypatch.setattr(sys, "path", [str(first), *sys.path])
    importlib.invalidate_caches()
    [drift] = drifts(found, RECIPE)
    assert (drift.distribution, drift.error.code) == ("wide", "E-LOCK-021")
    assert drift.error.where == str(first / "wide" / "__init__.py")
    (first / "wide" / "__init__.py").unlink()  # a namespace hides no package
    importlib.invalidate_caches()
    assert codes(found) == []


@pytest.mark.parametrize("point", ["acme.g:G", "acme_lib.all:G"])
def test_a_locked_library_may_bring_the_parent_or_the_code_of_an_entry_point(here: Any, point: str) -> None:
    library = {"acme/__init__.py": "", "acme_lib/__init__.py": "", "acme_lib/all.py": ""}
    here.install("acme-lib", "1.0", library, requires="other")
    here.install("acme-g", "1.0", {"acme/g/__init__.py": ""}, f"[itune.filters]\ng = {point}\n")
    found = here.lock()
    assert codes(found) == []
    rest = [package for package in found.document["packages"] if package["name"] != "acme-lib"]
    here.file.write_text(tomli_w.dumps({**found.document, "packages": rest}))
    assert set(codes(lock.read(here.file))) == {"E-LOCK-021"}
