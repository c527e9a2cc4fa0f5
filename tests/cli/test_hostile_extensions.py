"""``itune --no-extensions`` and ``itune doctor`` work whatever is installed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]

MODULES = {
    "raises": "raise RuntimeError('boom at import')",
    "exits": "import sys\nsys.exit(0)",
    "asserts": "assert False, 'not here'",
    "vanishes": "import os\nos._exit(7)",
    "dies": "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)",
    "prints": (
        "print('[0, null, null, null]\\n12')\nfrom itune_core.api import hookimpl\n"
        "class X:\n    '''Prints.'''\n    @hookimpl\n    def itune_run_finished(self): ..."
    ),
}

RECIPE = """
itune: 1
name: extended
steps:
  rows:  {{uses: formatters/alpaca, with: {{path: rows.jsonl}}}}
  once:  {{uses: filters/exact-duplicates, from: rows}}
extensions: {{{name}: {{}}}}
plugins: {{allow: [{allow}]}}
"""


@pytest.fixture
def installed(tmp_path: Path, rows: Path, itune: Run) -> Run:
    """``itune`` beside distributions that misbehave in every way, one each; none of them is first-party."""
    site = tmp_path / "site"
    for name, source in MODULES.items():
        (site / f"acme_{name}").mkdir(parents=True)
        (site / f"acme_{name}" / "__init__.py").write_text(source)
        _publish(site, name, f"acme_{name}:X")
    _publish(site, "nowhere", "acme_absent.deep:X")
    _publish(site, "attributeless", "json:NoSuchThing")
    (_publish(site, "damaged", "acme_damaged:X") / "METADATA").unlink()
    (_publish(site, "binary", "acme_binary:X") / "METADATA").write_bytes(b"\xff\xfe\x00Name")

    def run(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
        return itune(*arguments, PYTHONPATH=str(site), XDG_CACHE_HOME=str(tmp_path / "cache"), **more)

    return run


def _publish(site: Path, name: str, value: str) -> Path:
    info = site / f"acme_{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: acme-{name}\nVersion: 1.0\nRequires-Dist: itune-core>=0.1,<1\n"
    )
    (info / "entry_points.txt").write_text(f"[itune.extensions]\n{name} = {value}\n")
    (info / "RECORD").write_text("")
    return info


def _recipe(folder: Path, name: str) -> None:
    (folder / "recipe.yaml").write_text(RECIPE.format(name=name, allow=f"acme-{name}"))


@pytest.mark.parametrize("name", ["raises", "exits", "nowhere", "damaged"])
def test_a_run_without_extensions_goes_through(name: str, installed: Run, tmp_path: Path) -> None:
    _recipe(tmp_path, name)
    refused = installed("run", "recipe.yaml", code=None)
    assert refused.returncode in (2, 3)
    assert f"extensions/{name}" in refused.stderr
    done = installed("--no-extensions", "run", "recipe.yaml", "--json")
    record = json.loads(done.stdout)
    assert record["state"] == "done"
    assert record["overrides"] == ["extensions={}"], "the record says how it came to be"


def test_every_command_that_reads_a_recipe_goes_without(installed: Run, tmp_path: Path) -> None:
    _recipe(tmp_path, "dies")
    for command in (
        ["check", "recipe.yaml"],
        ["plan", "recipe.yaml"],
        ["run", "recipe.yaml", "--set", "name=other"],
        ["run", "--", "recipe.yaml"],
        ["cache", "why", "recipe.yaml", "once"],
        ["fetch", "recipe.yaml"],
    ):
        installed("--no-extensions", *command)
    for command in (["plugins", "list"], ["runs"], ["cache", "ls"], ["show"]):
        installed("--no-extensions", *command)


def test_a_wrapped_step_has_another_key_without_its_wrapper(itune: Run, rows: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE.format(name="redact", allow="itune-extensions"))
    masked = json.loads(itune("run", "recipe.yaml", "--json").stdout)["steps"]
    plain = json.loads(itune("--no-extensions", "run", "recipe.yaml", "--json").stdout)["steps"]
    assert masked["rows"]["key"] != plain["rows"]["key"]
    assert masked["once"]["key"] == plain["once"]["key"], "nothing was masked, so what lies downstream is the same"


def test_the_help_says_what_it_costs(itune: Run) -> None:
    shown = " ".join(itune("--help").stdout.split())
    assert "--no-extensions" in shown
    assert "Steps that one would wrap have other keys without it" in shown


def test_the_doctor_imports_nothing_that_is_not_allowed(installed: Run, tmp_path: Path) -> None:
    trap = tmp_path / "site" / "acme_raises" / "__init__.py"
    trap.write_text("open('imported.txt', 'w').close()")
    findings = _doctor(installed)
    assert not (tmp_path / "imported.txt").exists()
    assert findings["extensions/raises"]["well"]
    assert "acme-raises 1.0 is installed, not allowed: not imported" in findings["extensions/raises"]["seen"]
    assert "--allow acme-raises" in findings["extensions/raises"]["advice"]
    assert findings["extensions/damaged"]["seen"].startswith("E-PLUGIN-013")
    assert findings["extensions/binary"]["seen"].startswith("E-PLUGIN-013")
    assert findings["filters/length"]["well"]


def test_the_doctor_survives_every_import(installed: Run) -> None:
    names = [*MODULES, "nowhere", "attributeless"]
    findings = _doctor(installed, *(part for name in names for part in ("--allow", f"acme-{name}")))
    seen = {name: findings[f"extensions/{name}"] for name in names}
    for name, what in {
        "raises": "E-PLUGIN-022",
        "asserts": "E-PLUGIN-022",
        "exits": "E-PLUGIN-023",
        "nowhere": "E-PLUGIN-020",
        "attributeless": "E-PLUGIN-024",
        "vanishes": "importing it ended the process with exit code 7",
        "dies": "importing it ended the process with signal 11",
    }.items():
        assert what in seen[name]["seen"], seen[name]
        assert not seen[name]["well"]
        assert seen[name]["advice"]
    assert seen["prints"]["well"], "what a plugin prints is not an answer"
    first_party = [finding for finding in findings.values() if finding["seen"].startswith("itune-filters")]
    assert first_party
    assert all(finding["well"] for finding in first_party)


def _doctor(run: Run, *arguments: str) -> dict[str, dict[str, Any]]:
    done = run("doctor", "--json", *arguments, code=1)
    return {finding["subject"]: finding for finding in json.loads(done.stdout)}
