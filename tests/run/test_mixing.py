"""Mixing in real runs: kinds that stand side by side, a target that is only read, shares that the report shows."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from itune_core.engine.home import Home
from itune_core.engine.runs import find_run
from itune_core.engine.store import Store
from itune_core.report.artifacts import RunArtifacts

MODULE = '''
from itune_core.api import Drawn, Formatter, Input, Kind, Mix, Mixer, hookimpl, text


class Pages(Formatter):
    """One text a row. Source: this test."""

    produces = Kind.TEXT

    def format(self, row):
        return text(row.text("page"))


class Between(Mixer):
    """Phase 0: each new row. Phase 1: two epochs, of each source as many rows as the target has. Source: this test."""

    inputs = {"records": Input(many=True), "target": Input(), "old": Input(many=True, required=False)}
    mixes_kinds = True

    @hookimpl
    def itune_mix(self, inputs, context):
        new, old = inputs["records"], inputs.get("old", [])
        sources = [*new, *old]
        draws = [Drawn(number, row) for number, rows in enumerate(new) for row in range(len(rows))]
        for epoch in range(2):
            for turn in range(len(inputs["target"])):
                draws += [Drawn(number, turn % len(rows), 1, epoch) for number, rows in enumerate(sources) if len(rows)]
        count = len(sources)
        return Mix(
            iter(draws),
            asked=[[0.5, 0.5] + [0.0] * len(old), [1 / count] * count],
            tokens=[[10] * len(new) + [0] * len(old), [30] * count],
        )
'''

RECIPE = """
itune: 1
name: mixing
seed: 5
plugins: {{allow: [itune-local]}}
models:
  tiny: {{backend: transformers, model: "{tiny}"}}
steps:
  rows:   {{uses: formatters/alpaca, with: {{path: rows.jsonl}}}}
  few:    {{uses: filters/sample, from: rows, with: {{size: 3}}}}
  none:   {{uses: filters/length, from: rows, with: {{prompt: {{max_characters: 1}}}}}}
  parts:  {{uses: filters/split, from: rows, with: {{held_out: 0.2}}}}
  pages:  {{uses: formatters/pages, with: {{path: pages.jsonl}}}}
  mixed:  {{uses: mixers/between, from: {{records: [few, none], target: parts.held_out, old: [pages]}}}}
  kept:   {{uses: filters/length, from: mixed, with: {{response: {{min_characters: 1}}}}}}
  sft:    {{uses: trainers/sft, from: kept, with: {{model: tiny, batch_size: 5, max_length: 512}}}}
"""

PAGES = [f"The {number}th harbour has a long wall." for number in range(4)]


METADATA = "Metadata-Version: 2.1\nName: itune-local\nVersion: {version}\nRequires-Dist: itune-core>=0.1,<1\n"
POINTS = "[itune.formatters]\npages = itune_local:Pages\n[itune.mixers]\nbetween = itune_local:Between\n"


def itune(folder: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run ``itune`` in a folder, with the plugins that are installed for it alone."""
    done = subprocess.run(
        [sys.executable, "-m", "itune_core.cli.main", *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(folder / "site")},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Path:
    """A folder with a run of the recipe."""
    folder = tmp_path_factory.mktemp("mixing")
    _install(folder, MODULE, "1.0")
    rows = [
        {"instruction": f"Count to {n}.", "input": "", "output": " ".join(map(str, range(n + 1)))} for n in range(40)
    ]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "pages.jsonl").write_text("".join(json.dumps({"page": page}) + "\n" for page in PAGES))
    (folder / "recipe.yaml").write_text(RECIPE.format(tiny=tiny))
    itune(folder, "run", "recipe.yaml")
    return folder


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    """A copy of that folder, to be changed."""
    shutil.copytree(finished, tmp_path / "copy")
    return tmp_path / "copy"


def _install(folder: Path, module: str, version: str) -> None:
    info = folder / "site" / "itune_local-1.0.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (folder / "site" / "itune_local.py").write_text(module)
    (info / "METADATA").write_text(METADATA.format(version=version))
    (info / "entry_points.txt").write_text(POINTS)


def _manifest(folder: Path, step: str) -> dict[str, Any]:
    """Of the step in the latest run."""
    home = Home(folder / ".itune")
    return dict(find_run(home).artifact(Store(home), step).manifest)


def _rows(folder: Path, step: str) -> list[dict[str, Any]]:
    home = Home(folder / ".itune")
    return RunArtifacts(find_run(home), Store(home)).rows(step, "records", 1000)


def test_conversations_and_texts_are_mixed_and_counted(finished: Path) -> None:
    held_out = _manifest(finished, "parts")["outputs"]["held_out"]["rows"]
    mixed = _manifest(finished, "mixed")
    assert mixed["kind"] == "conversation+text"
    assert mixed["drawn_from"] == ["records", "old"]  # the target is only read
    assert (mixed["counts"]["inputs"], mixed["counts"]["used"], mixed["counts"]["not_drawn"]) == (7, 7, 0)
    assert [source["rows"] for source in mixed["mix"][0]["sources"]] == [3, 0, 4]
    drawn = [[source["drawn"] for source in phase["sources"]] for phase in mixed["mix"]]
    assert drawn == [[3, 0, 0], [2 * held_out, 0, 2 * held_out]]
    kinds = Counter(row["kind"] for row in _rows(finished, "mixed"))
    assert kinds == {"conversation": 3 + 2 * held_out, "text": 2 * held_out}


def test_of_a_text_every_token_is_trained_and_no_step_has_records_of_two_phases(finished: Path) -> None:
    held_out = _manifest(finished, "parts")["outputs"]["held_out"]["rows"]
    lines = itune(finished, "inspect", "recipe.yaml", "sft", "--tokens", "--rows", "1000", "--json").stdout.splitlines()
    tokens = [json.loads(line)["tokens"] for line in lines]
    pages = [spans for spans in tokens if "harbour" in "".join(text for text, _ in spans)]
    assert len(pages) == 2 * held_out
    assert all(trained for spans in pages for _, trained in spans)
    others = [spans for spans in tokens if spans not in pages]
    assert len(others) == 3 + 2 * held_out
    assert all("Count" not in "".join(text for text, trained in spans if trained) for spans in others)
    metrics = _manifest(finished, "sft")["metrics"]
    assert metrics["steps"] == 1 + 2 * -(-2 * held_out // 5)
    trained = sum(trained for spans in tokens for _, trained in spans)
    assert metrics["supervised_tokens"] == trained - len(pages)  # nothing tells the first token of a text


def test_report_and_terminal_show_what_was_asked_and_drawn(finished: Path) -> None:
    held_out = _manifest(finished, "parts")["outputs"]["held_out"]["rows"]
    itune(finished, "report", "--output", "report.html")
    page = (finished / "report.html").read_text("utf-8")
    assert f"few has 3 rows and {held_out} were drawn: each row comes {held_out / 3:.3g} times an epoch" in page
    assert "none is empty: nothing could be drawn from it" in page
    assert page.index("<caption>all phases") < page.index("Phase by phase") < page.index("<caption>phase 1")
    shown = itune(finished, "show", "mixed", "--rows", "0").stdout
    phase = shown.split("phase 1")[1].splitlines()
    assert [line.split()[0] for line in phase[2:5]] == ["few", "none", "pages"]
    assert phase[2].split()[1:] == ["3", str(2 * held_out), "33.3%", "50.0%", "33.3%"]


def test_inspect_shows_rows_of_every_source(finished: Path) -> None:
    lines = itune(finished, "inspect", "recipe.yaml", "mixed", "--rows", "2", "--json").stdout.splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["conversation", "conversation", "text", "text"]


def test_a_step_that_takes_only_one_of_the_kinds_is_refused_before_anything_runs(finished: Path) -> None:
    step = "  answers: {uses: generators/distill, from: mixed, with: {model: tiny}}\n"
    (finished / "other.yaml").write_text((finished / "recipe.yaml").read_text("utf-8") + step)
    said = itune(finished, "check", "other.yaml", code=2)
    assert "E-RECIPE-040" in said.stdout + said.stderr
    assert "does not take the conversation and text records among them" in said.stdout + said.stderr


def test_what_a_mixer_decides_reaches_who_reads_it_through_a_filter(copied: Path) -> None:
    """The same rows in the same order, but other epochs: a trainer behind a filter runs anew."""
    before = {step: _manifest(copied, step) for step in ("mixed", "kept", "sft")}
    _install(copied, MODULE.replace("turn % len(rows), 1, epoch)", "turn % len(rows), 1, 0)"), "1.1")
    itune(copied, "run", "recipe.yaml")
    after = {step: _manifest(copied, step) for step in ("mixed", "kept", "sft")}
    for step in ("mixed", "kept"):
        old, new = (found[step]["outputs"]["records"] for found in (before, after))
        assert (old["rows"], old["columns"]) == (new["rows"], new["columns"])
        assert old["digest"] != new["digest"]
    assert before["sft"]["metrics"]["steps"] > after["sft"]["metrics"]["steps"]


def test_the_shares_are_told_though_a_source_was_removed(copied: Path) -> None:
    (copied / ".itune" / "store" / _manifest(copied, "pages")["key"] / "artifact.json").unlink()
    itune(copied, "report", "--output", "report.html")
    assert 'class="mixture"' in (copied / "report.html").read_text("utf-8")
