"""``itune doctor``: what it finds on a machine where something is wrong, and that it says what to do."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from itune_core.cli.checkup import bounds, leftovers, libraries, machine, plugins
from itune_core.cli.checkup.finding import Finding
from itune_core.engine import embedded
from itune_core.plugins import catalog


@pytest.fixture
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project folder and caches."""
    monkeypatch.chdir(tmp_path)
    for name in ("ITUNE_HOME", "ITUNE_CACHE", "HF_HUB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    return tmp_path


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Install distributions by their metadata alone."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))

    def install(name: str, version: str, *requires: str, entry: str = "") -> None:
        info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        lines = [
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            *(f"Requires-Dist: {r}\n" for r in requires),
        ]
        (info / "METADATA").write_text("".join(lines))
        (info / "entry_points.txt").write_text(f"[itune.filters]\n{entry} = x:X\n" if entry else "")
        catalog.refresh()

    return install


def bad(findings: Any) -> dict[str, Finding]:
    return {finding.subject: finding for finding in findings if not finding.well}


def test_whatever_is_not_plain_has_advice_in_one_line(homes: Path) -> None:
    checks = (machine.machine, machine.folders, libraries.libraries, bounds.bounds, leftovers.models, leftovers.project)
    for finding in [found for check in checks for found in check()]:
        assert finding.well or finding.advice, finding
        assert "\n" not in finding.seen + (finding.advice or "")
        assert finding.mark == {(True, False): "ok", (True, True): "note"}.get(
            (finding.well, bool(finding.advice)), "BAD"
        )


def test_looking_makes_no_folder(homes: Path) -> None:
    list(machine.machine())
    assert not bad(machine.folders())
    list(leftovers.models())
    list(leftovers.project())
    assert [path for path in homes.iterdir() if path.is_dir()] == []


def test_folders_that_cannot_be_written_to_are_told(homes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (homes / "file").write_text("")
    for variable in ("ITUNE_HOME", "ITUNE_CACHE", "HF_HUB_CACHE"):  # rights say nothing to root; a file in the way does
        monkeypatch.setenv(variable, str(homes / "file" / "inside"))
    found = bad(machine.folders())
    assert list(found) == ["project folder", "cache of models", "cache of the model hub"]
    assert "ITUNE_CACHE" in str(found["cache of models"].advice)


def test_advice_is_for_what_is_in_the_way(homes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (homes / "file").write_text("")
    for value in ("file", "file/inside"):
        monkeypatch.setenv("ITUNE_CACHE", str(homes / value))
        finding = bad(machine.folders())["cache of models"]
        assert finding.seen.endswith("Not a directory")
        assert finding.advice == f"{homes / 'file'} is a file: move it away, or set ITUNE_CACHE"


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.EACCES, "mend its rights, or set ITUNE_CACHE"),
        (errno.EPERM, "mend its rights, or set ITUNE_CACHE"),
        (errno.ENOSPC, "make room on its disk, or set ITUNE_CACHE"),
        (errno.EDQUOT, "make room on its disk, or set ITUNE_CACHE"),
        (errno.EROFS, "its disk can only be read: set ITUNE_CACHE to a folder on another"),
        (errno.EIO, "set ITUNE_CACHE to a folder that can be written to"),
    ],
    ids=errno.errorcode.get,
)
def test_each_refusal_has_its_own_advice(
    homes: Path, monkeypatch: pytest.MonkeyPatch, number: int, advice: str
) -> None:
    """What the kernel would say; a test cannot fill a disk."""

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(machine.tempfile, "TemporaryFile", refuse)
    finding = bad(machine.folders())["cache of models"]
    assert os.strerror(number) in finding.seen
    assert finding.advice == advice


@pytest.mark.parametrize("ended", ["import os; os._exit(7)", "import os; os.kill(os.getpid(), 9)"])
def test_a_process_that_dies_before_any_plugin_blames_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ended: str
) -> None:
    """A broken Python or a ``sitecustomize`` is no plugin's fault."""
    (tmp_path / "start").mkdir()
    (tmp_path / "start" / "sitecustomize.py").write_text(f"print('half a line', flush=True)\n{ended}\n")
    entries = [entry for entry in catalog.entries("filters") if entry.owner.startswith("itune-filters")][:2]
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "start"))
    (finding,) = plugins._load(entries, [])
    assert not finding.well
    assert finding.subject == "plugins"
    assert ("exit code 7" if "7" in ended else "signal 9") in finding.seen
    assert "before it came to a plugin" in finding.seen
    assert finding.advice


def test_a_plugin_that_ends_the_process_is_blamed_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = [entry for entry in catalog.entries("filters") if entry.owner.startswith("itune-filters")][:2]
    (tmp_path / "ends_it.py").write_text("import os\nos._exit(5)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    lost = replace(good[0], name="lost", value="ends_it:X")
    found = list(plugins._load([lost, good[1]], []))
    assert [finding.subject for finding in found] == ["filters/lost", good[1].label]
    assert "ended the process with exit code 5" in found[0].seen


def test_the_hubs_cache_is_where_huggingface_hub_has_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import subprocess
    import sys

    script = "from huggingface_hub.constants import HF_HUB_CACHE; print(HF_HUB_CACHE)"
    names = ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME")
    for name in (None, *names):
        for each in names:
            monkeypatch.delenv(each, raising=False)
        if name:
            monkeypatch.setenv(name, str(tmp_path / name))
        printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
        assert machine.hub_cache() == Path(printed.strip())


def test_a_bound_that_is_not_met_names_who_asks_and_what_to_type(site: Callable[..., None]) -> None:
    site("acme-maths", "1.4")
    site("acme-itune", "2.0", "acme-maths>=1.5,<2", "acme-absent>=3", entry="one")
    found = bad(bounds.bounds())
    assert found.keys() == {"acme-maths", "acme-absent"}
    assert "acme-itune 2.0 asks for acme-maths<2,>=1.5" in found["acme-maths"].seen
    assert found["acme-maths"].advice == "pip install 'acme-maths<2,>=1.5'"
    assert found["acme-absent"].seen == "not installed; acme-itune 2.0 asks for acme-absent>=3"


def test_a_marker_that_cannot_be_told_is_no_reason_to_stop(site: Callable[..., None]) -> None:
    site("acme-itune", "1.0", "acme-absent; 'a' in extras", "acme-other; os_name ~= '1'", entry="one")
    assert not bad(bounds.bounds())


def test_bounds_that_exclude_each_other_are_told_so(site: Callable[..., None]) -> None:
    site("acme-maths", "2.1")
    site("acme-old", "1.0", "acme-maths<2", entry="one")
    site("acme-new", "1.0", "acme-maths>=2", entry="two")
    (finding,) = bad(bounds.bounds()).values()
    assert "2.1 is installed; acme-old 1.0 asks for acme-maths<2" in finding.seen
    assert "no version of acme-maths suits all of" in str(finding.advice)
    assert "acme-new 1.0 (>=2)" in str(finding.advice)


def test_bounds_are_followed_through_what_a_plugin_depends_on(site: Callable[..., None]) -> None:
    site("acme-itune", "1.0", "acme-library[fast]>=1", entry="one")
    site(
        "acme-library",
        "1.0",
        'acme-speed>=2; extra == "fast"',
        'acme-never; extra == "slow"',
        'x; python_version < "3"',
    )
    site("acme-speed", "1.0")
    site("acme-stranger", "1.0", "acme-speed>=9")  # nobody of ours asks for it
    (finding,) = bad(bounds.bounds()).values()
    assert finding.subject == "acme-speed"
    assert "acme-library 1.0 asks for acme-speed>=2" in finding.seen
    assert "stranger" not in finding.seen


@given(
    st.lists(
        st.tuples(st.sampled_from([">=", ">", "<", "<=", "==", "!=", "~="]), st.sampled_from(["1.0", "1.5", "2.0"])),
        max_size=3,
    )
)
def test_a_bound_that_some_version_meets_is_never_called_hopeless(parts: list[tuple[str, str]]) -> None:
    bound = SpecifierSet(",".join(f"{operator}{version}" for operator, version in parts))
    versions = [f"{major}.{minor}{more}" for major in range(4) for minor in range(10) for more in ("", ".0.1", ".1")]
    meets = any(bound.contains(version) for version in versions)
    assert bounds._satisfiable(bound, Version("1.2")) == meets


def test_two_metadata_folders_are_an_interrupted_upgrade(site: Callable[..., None]) -> None:
    site("peft", "0.1")
    site("peft", "0.2")
    finding = bad(libraries.libraries())["peft"]
    assert finding.seen == "0.1 and 0.2"
    assert "--force-reinstall peft" in str(finding.advice)


def test_a_broken_torch_is_told_and_breaks_nothing(site: Callable[..., None], tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "torch.py").write_text(
        "raise ImportError('libcudart.so.13: cannot open shared object file')"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "broken"))
    finding = bad(libraries.libraries())["accelerator"]
    assert "libcudart.so.13" in finding.seen
    assert "--force-reinstall torch==" in str(finding.advice)


def test_a_listing_that_is_out_of_date_is_told(homes: Path, site: Callable[..., None], monkeypatch: Any) -> None:
    monkeypatch.setattr(catalog, "names", lambda stage: [entry.name for entry in catalog.entries(stage)])
    (finding,) = leftovers.listing()
    assert (finding.well, finding.advice) == (True, None)
    monkeypatch.setattr(catalog, "names", lambda stage: ["gone"] if stage == "filters" else [])
    (finding,) = leftovers.listing()
    assert finding.mark == "note"
    assert "filters" in finding.seen
    assert str(homes / "xdg_cache_home" / "python-entrypoints") in str(finding.advice)


def test_stevedores_cache_is_where_it_has_it(homes: Path) -> None:
    from stevedore import _cache

    assert str(leftovers._stevedore_cache()) == _cache._get_cache_dir()


def test_half_unpacked_models_are_told(homes: Path) -> None:
    cache = homes / "itune_cache"
    whole = embedded.folder("minilm", cache)
    (whole / embedded.EMBEDDED["minilm"].member).mkdir(parents=True)
    embedded.folder("smollm2-135m", cache).mkdir(parents=True)
    half = cache / "embedded" / "smollm2-135m.x8f3"
    half.mkdir()
    (half / "part.whl").write_bytes(b"x" * 2000)
    part = cache / "converted" / "abc-v1.k2.part"
    part.mkdir(parents=True)
    found = {finding.subject: finding for finding in leftovers.models()}
    assert found["embedded:minilm"].seen == "fetched"
    assert not found["embedded:smollm2-135m"].well
    assert found["cache of models"].mark == "note"
    assert "2 half unpacked, 2.0 kB" in found["cache of models"].seen
    assert str(half) in str(found["cache of models"].advice)
    assert str(part) in str(found["cache of models"].advice)


def test_what_a_killed_run_leaves_is_told_and_is_no_fault(made: str, project: Path) -> None:
    home = project / ".itune"
    assert [finding.mark for finding in leftovers.project()] == ["ok"]
    record = home / "runs" / made / "run.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "state": "running"}))
    (home / "store" / "work" / "key").mkdir(parents=True, exist_ok=True)
    (home / "store" / "work" / "key" / "checkpoint").write_bytes(b"x" * 5000)
    found = {finding.subject: finding for finding in leftovers.project()}
    assert not bad(leftovers.project())
    assert made in found["runs"].seen
    assert "goes on where" in str(found["runs"].advice)
    assert "5.0 kB" in found["scratch"].seen
    assert "itune cache gc" in str(found["scratch"].advice)


def test_a_store_of_another_format_and_broken_records_are_told(made: str, project: Path) -> None:
    home = project / ".itune"
    manifests = sorted((home / "store").glob("*/artifact.json"))
    old = json.loads(manifests[0].read_text())
    manifests[0].write_text(json.dumps({**old, "parts": {**old["parts"], "format": 0}}))
    manifests[1].write_text("{")
    shutil.copytree(home / "runs" / made, home / "runs" / "broken")
    (home / "runs" / "broken" / "run.json").write_text("[]")
    found = list(leftovers.project())
    assert any("1 of" in finding.seen and finding.mark == "note" for finding in found)
    assert {finding.subject for finding in found if not finding.well} == {"store", "runs"}


def test_the_command_prints_a_line_each_and_its_advice(homes: Path, call: Callable[..., Any]) -> None:
    lines = call("doctor").stdout.splitlines()
    assert all(line.startswith(("ok   ", "note ", "     -> ")) for line in lines)
    findings = json.loads(call("doctor", "--json").stdout)
    assert all(finding.keys() == {"subject", "well", "seen", "advice"} for finding in findings)
    assert {"python", "itune-core", "bounds", "trainers/sft", "embedded:minilm"} <= {
        item["subject"] for item in findings
    }


def test_exit_code_1_if_anything_is_bad(homes: Path, call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    (homes / "file").write_text("")
    monkeypatch.setenv("ITUNE_CACHE", os.path.join(homes, "file", "x"))
    shown = call("doctor", code=1).stdout
    assert "BAD  cache of models" in shown
