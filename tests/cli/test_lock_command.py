"""``itune lock``: what it takes over from the lock before, and what it answers; nothing is resolved here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from typer.testing import Result

from itune_core.cli import lock as command
from itune_core.plugins import catalog
from itune_core.plugins.locks import lock as lockfile
from itune_core.plugins.locks import locking

Call = Callable[..., Result]

RECIPE = "itune: 1\nname: small\nsteps:\n  rows: {uses: formatters/alpaca, with: {path: rows.jsonl}}\n"


def distribution(site: Path, name: str, points: str, version: str = "1.0") -> None:
    module = name.replace("-", "_")
    info = site / f"{module}-{version}.dist-info"
    info.mkdir(parents=True)
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Dist: itune-core<1\n"
    (info / "METADATA").write_text(metadata)
    (info / "entry_points.txt").write_text(points)
    (site / f"{module}.py").write_text("open('ran', 'w')\n")


def lock_of(folder: Path, **plugins: str) -> lockfile.Lock:
    """A lock of plugins, each with its label, written beside the recipe."""
    packages: list[dict[str, Any]] = []
    for module, label in plugins.items():
        wheel = {"url": f"https://pypi.invalid/{module}-1.0-py3-none-any.whl", "hashes": {"sha256": "0" * 64}}
        ours = {"record": "sha256:0", "entry-points": {label: f"{module}:X"}}
        name = module.replace("_", "-")
        packages.append({"name": name, "version": "1.0", "wheels": [wheel], "tool": {"itune": ours}})
    head = {"lock-version": "1.0", "created-by": "itune", "tool": {"itune": {"version": lockfile.FORMAT}}}
    (folder / lockfile.NAME).write_text(tomli_w.dumps({**head, "packages": packages}))
    return lockfile.read(folder / lockfile.NAME)


@pytest.fixture
def wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What was asked of the resolver last; a lock of the first-party plugins alone stands for its answer."""
    asked: list[str] = []

    def write(file: Path, names: list[str], **_: Any) -> lockfile.Lock:
        asked[:] = names
        kept = {name.replace("-", "_"): "filters/x" for name in names if name.startswith("acme")}
        return lock_of(file.parent, **kept)

    monkeypatch.setattr(locking, "write_lock", write)
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    (tmp_path / "rows.jsonl").write_text('{"instruction": "a", "output": "b"}\n')
    site = tmp_path / "site"
    distribution(site, "acme-kept", "[itune.filters]\nkept = acme_kept:X\n")
    distribution(site, "acme-new", "[itune.filters]\nnew = acme_new:X\n")
    monkeypatch.syspath_prepend(str(site))
    catalog.refresh()
    yield asked
    catalog.refresh()


def test_what_was_locked_stays_locked(call: Call, tmp_path: Path, wanted: list[str]) -> None:
    lock_of(tmp_path, acme_kept="filters/kept", acme_gone="filters/gone")
    said = call("lock", "recipe.yaml").output
    assert "acme-kept" in wanted
    assert not {"acme-gone", "acme-new"}.intersection(wanted)
    assert "still locked: acme-kept" in said
    assert "no longer locked: acme-gone" in said
    assert not (tmp_path / "ran").exists()


def test_what_is_let_in_anyway_is_not_told(call: Call, tmp_path: Path, wanted: list[str]) -> None:
    lock_of(tmp_path, acme_kept="filters/kept")
    assert "still locked" not in call("lock", "recipe.yaml", "--with", "Acme_Kept").output
    assert "acme-new" not in wanted
    (tmp_path / "recipe.yaml").write_text(RECIPE + "plugins: {allow: [acme-kept]}\n")
    assert "still locked" not in call("lock", "recipe.yaml").output
    (tmp_path / lockfile.NAME).unlink()
    assert "locked:" not in call("lock", "recipe.yaml").output


def test_what_drifted_since_is_told_before_anything_is_imported(call: Call, tmp_path: Path, wanted: list[str]) -> None:
    lock_of(tmp_path, acme_gone="filters/gone")
    (tmp_path / "recipe.yaml").write_text(RECIPE.replace("alpaca", "nonsense"))
    said = call("lock", "recipe.yaml", code=2).output
    assert "changed since the lock" in said
    assert "E-LOCK-014: the locked plugin acme-gone 1.0 is not installed" in said


def test_a_damaged_lock_can_be_written_anew(call: Call, tmp_path: Path, wanted: list[str]) -> None:
    (tmp_path / lockfile.NAME).write_text("<<<<<<< HEAD\n")
    said = call("lock", "recipe.yaml").output
    assert "the lock before counts for nothing: pylock.itune.toml is no lock" in said
    assert wanted


def test_a_check_says_no_if_what_is_used_is_nowhere(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One exit code for all that does not fit; a mistake in the recipe itself is another matter."""
    lock_of(tmp_path)
    monkeypatch.setattr("itune_core.plugins.locks.drift.refuse", lambda *_: None)
    (tmp_path / "recipe.yaml").write_text(RECIPE.replace("alpaca", "nonsense"))
    assert "E-PLUGIN-001" in call("lock", "recipe.yaml", "--check", code=1).output
    (tmp_path / "recipe.yaml").write_text(RECIPE + "setps: {}\n")
    call("lock", "recipe.yaml", "--check", code=2)
    call("check", "recipe.yaml", code=2)


def test_a_lock_needs_no_extension(call: Call, tmp_path: Path, wanted: list[str]) -> None:
    distribution(tmp_path / "site", "acme-watch", "[itune.extensions]\nwatch = acme_watch:X\n")
    catalog.refresh()
    (tmp_path / "recipe.yaml").write_text(RECIPE + "plugins: {allow: [acme-watch]}\nextensions: {watch: {}}\n")
    call("lock", "recipe.yaml", code=2)
    (tmp_path / "ran").unlink()
    call("--no-extensions", "lock", "recipe.yaml")
    assert not (tmp_path / "ran").exists()
    assert "acme-watch" in wanted, "it is part of the project all the same"


def test_every_command_that_compiles_a_recipe_can_do_without_extensions() -> None:
    """`--no-extensions` is handed on as an override, so each of them must take those."""
    from itune_core.cli import main

    source = {path.stem: path.read_text("utf-8") for path in Path(command.__file__).parent.glob("*.py")}
    doors = ("open_project(", "reopen(", " compile(")
    compiling = [name for name, text in source.items() if name != "opening" and any(door in text for door in doors)]
    assert {"run", "check", "lock", "chat", "fetch"} <= set(compiling)
    for name in compiling:
        assert main._reads_a_recipe(main._import(name), ["why"]), name
