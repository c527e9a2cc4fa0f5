"""The search for a size, run for real: `itune` selects and measures, FLAML proposes, on the two-layer model."""

from __future__ import annotations

import json
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[3] / "examples" / "instruct-mining" / "sizes.py"

RECIPE = """
itune: 1
name: reduced
vars: {data: none, size: 2, model: none}
models:
  tiny: {backend: transformers, model: "${vars.model}", device: cpu}
steps:
  rows:      {uses: formatters/alpaca, with: {path: "${vars.data}/rows.jsonl"}}
  sized:     {uses: filters/sample, from: rows, with: {size: "${vars.size}"}}
  size_loss: {uses: evaluators/inference-loss, from: sized, with: {models: [tiny]}}
"""
"""The two steps that the search runs, without the study before them: what is selected is what is measured on."""


@pytest.fixture
def sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, over a recipe of eight rows."""
    spec = spec_from_file_location("mining_sizes_run", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE)
    rows = [{"instruction": f"Count to {n}.", "input": "", "output": " ".join(map(str, range(n)))} for n in range(1, 9)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.setattr(module, "RECIPE", recipe)
    return module


def test_a_selection_is_made_by_itune_and_its_rows_are_counted(sizes: ModuleType, tmp_path: Path) -> None:
    settings = ["--set", f"vars.data={tmp_path}"]
    assert sizes.run("sized", 3, settings)["counts"]["used"] == 3
    assert sizes.available(5, settings) == 8


@pytest.mark.slow
def test_the_whole_search(
    sizes: ModuleType,
    tiny_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("flaml", reason="FLAML is not installed")
    out, settings = tmp_path / "sizes.json", ["--set", f"vars.data={tmp_path}", "--set", f"vars.model={tiny_folder}"]
    arguments = ["sizes.py", "--least", "2", "--most", "8", "--points", "3", "--out", str(out), "--", *settings]
    monkeypatch.setattr("sys.argv", arguments)
    sizes.main()
    found = json.loads(out.read_text("utf-8"))
    assert (found["arguments"], found["rows"], {*found["losses"]}) == (settings, 8, {"2", "4", "8"})
    assert len(set(found["losses"].values())) == 3, "each was measured on its own selection"
    best, loss = min(found["losses"].items(), key=lambda item: item[1])
    assert f"best of 3 sizes: {best} rows, {loss:.4f} nats per token" in capsys.readouterr().out
    assert sizes.measure(int(best), settings) == loss, "what was measured is in the store"
