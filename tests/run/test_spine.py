"""One recipe from raw rows to a measured model, through real entry points and the command line."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]

RECIPE = """
itune: 1
name: spine
seed: 3
models:
  tiny: {{backend: transformers, model: "{tiny}", max_batch: 4}}
steps:
  rows:  {{uses: formatters/alpaca, with: {{path: rows.jsonl}}}}
  short: {{uses: filters/length, from: rows, with: {{response: {{max_words: 5}}}}}}
  parts: {{uses: filters/split, from: short, with: {{held_out: 0.25}}}}
  score: {{uses: scorers/length, from: parts.train}}
  sft:   {{uses: trainers/sft, from: score, with: {{model: tiny, learning_rate: 0.001, max_length: 512}}}}
  loss:  {{uses: evaluators/inference-loss, from: parts.held_out, with: {{models: [tiny, sft]}}}}
"""


@pytest.fixture
def recipe(tmp_path: Path, tiny: Path, rows: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE.format(tiny=tiny))
    return path


def _steps(run: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    return dict(json.loads(run.stdout)["steps"])


def _made(run: subprocess.CompletedProcess[str]) -> list[str]:
    return [name for name, step in _steps(run).items() if not step["reused"]]


def test_rows_become_a_measured_model(recipe: Path, itune: Run) -> None:
    found = _steps(itune("run", "recipe.yaml", "--json"))
    assert found["rows"]["counts"]["used"] == 40
    assert found["short"]["counts"]["dropped"] == {"response-too-long": 10}
    assert sum(output["rows"] for output in found["parts"]["outputs"].values()) == 30
    table = json.loads(itune("show", "loss", "--json").stdout)
    figures = table["metrics"]
    assert len(figures) == 2
    before, after = (figures[found["loss"]["identities"][name]]["token_mean"] for name in ("tiny", "sft"))
    assert after < before


def test_a_second_run_does_nothing_and_imports_no_torch(recipe: Path, itune: Run, tmp_path: Path) -> None:
    first = _steps(itune("run", "recipe.yaml", "--json"))
    program = textwrap.dedent("""
        import sys
        sys.argv = ["itune", "run", "recipe.yaml", "--json"]
        from itune_core.cli.main import main
        try:
            main()
        finally:
            heavy = {"torch", "transformers", "datasets", "pyarrow", "peft"} & set(sys.modules)
            print(sorted(heavy), file=sys.stderr)
    """)
    again = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert again.stderr.splitlines()[-1] == "[]"
    assert _made(again) == []
    assert {name: step["key"] for name, step in _steps(again).items()} == {n: s["key"] for n, s in first.items()}


def test_a_changed_threshold_runs_only_what_depends_on_it(recipe: Path, itune: Run) -> None:
    itune("run", "recipe.yaml")
    changed = itune("run", "recipe.yaml", "--json", "--set", "steps.short.with.response.max_words=6")
    assert _made(changed) == ["short", "parts", "score", "sft", "loss"]
    last = itune("run", "recipe.yaml", "--json", "--set", "steps.sft.with.learning_rate=1e-4")
    assert _made(last) == ["sft", "loss"]


def test_a_change_that_changes_no_row_stops_there(recipe: Path, itune: Run) -> None:
    """The longest answer has seven words: a bound of 8 keeps what a bound of 9 keeps, and downstream sees digests."""
    itune("run", "recipe.yaml", "--set", "steps.short.with.response.max_words=8")
    same = itune("run", "recipe.yaml", "--json", "--set", "steps.short.with.response.max_words=9")
    assert _made(same) == ["short"]


def test_names_places_and_batch_sizes_are_not_in_keys(recipe: Path, itune: Run, tmp_path: Path) -> None:
    itune("run", "recipe.yaml")
    text = recipe.read_text().replace("max_batch: 4", "max_batch: 2").replace("tiny:", "student:")
    text = text.replace("model: tiny", "model: student").replace("[tiny, sft]", "[student, tuned]")
    text = text.replace("sft:", "tuned:").replace("parts", "halves").replace("rows.jsonl", "moved/rows.jsonl")
    (tmp_path / "moved").mkdir()
    (tmp_path / "rows.jsonl").rename(tmp_path / "moved" / "rows.jsonl")
    recipe.write_text(text)
    assert _made(itune("run", "recipe.yaml", "--json", "--workers", "2")) == []


def test_only_runs_a_step_and_what_it_needs(recipe: Path, itune: Run) -> None:
    assert list(_steps(itune("run", "recipe.yaml", "--json", "--only", "parts"))) == ["rows", "short", "parts"]
    assert "E-RUN-001" in itune("run", "recipe.yaml", "--only", "party", code=4).stderr


def test_workers_change_no_byte(recipe: Path, itune: Run, tmp_path: Path) -> None:
    outputs = {}
    for workers in ("1", "2"):
        done = itune(
            "run", "recipe.yaml", "--json", "--only", "score", "--workers", workers, ITUNE_HOME=str(tmp_path / workers)
        )
        outputs[workers] = {name: step["outputs"] for name, step in _steps(done).items()}
    assert outputs["1"] == outputs["2"]


def test_two_runs_at_once_make_each_artifact_once(recipe: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "itune_core.cli.main", "run", "recipe.yaml", "--json"]
    both = [subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    records = [json.loads(process.communicate(timeout=300)[0]) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    for name in records[0]["steps"]:
        runs = [record["steps"][name] for record in records]
        assert sum(not step["reused"] for step in runs) == 1, name
        assert runs[0]["key"] == runs[1]["key"]


def test_offline_opens_no_socket(recipe: Path, tmp_path: Path) -> None:
    program = textwrap.dedent("""
        import socket, sys
        def refuse(*arguments, **options):
            raise AssertionError(f"a socket was opened: {arguments}")
        socket.socket.connect = socket.socket.connect_ex = socket.create_connection = socket.getaddrinfo = refuse
        sys.argv = ["itune", "run", "recipe.yaml", "--offline"]
        from itune_core.cli.main import main
        main()
    """)
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_plan_fetches_nothing(recipe: Path, itune: Run) -> None:
    recipe.write_text(
        recipe.read_text().replace("steps:", '  hub: {backend: transformers, model: "acme/absent"}\nsteps:')
    )
    itune("run", "recipe.yaml", "--only", "score")
    planned = json.loads(itune("plan", "recipe.yaml", "--json", "--set", "steps.sft.with.model=hub").stdout)
    states = {step["name"]: step["state"] for step in planned["steps"]}
    assert states == dict.fromkeys(["rows", "short", "parts", "score"], "cached") | {"sft": "fetch", "loss": "waits"}
    done = itune("run", "recipe.yaml", "--offline", "--set", "steps.sft.with.model=hub", code=4)
    assert "E-MODEL-015" in done.stderr
    assert "itune fetch" in done.stderr
