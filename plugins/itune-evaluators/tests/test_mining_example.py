"""The example of InstructMining: its recipe is sound, and its scripts do what they say."""

from __future__ import annotations

import gzip
import json
import math
import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FOLDER = Path(__file__).parents[3] / "examples" / "instruct-mining"


def script(name: str) -> ModuleType:
    spec = spec_from_file_location(f"mining_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_model_stands_beside_what_it_was_trained_on(tmp_path: Path) -> None:
    """The plan gathers mixtures and models in one order, strata by indicator. It needs files, and reads none."""
    from itune_core.recipe.plan import compile

    recipe = FOLDER / "recipe.yaml"
    for name in ("evaluation.jsonl", *re.findall(r"\$\{vars\.data\}/([^\"]+)", recipe.read_text("utf-8"))):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    plan = compile(recipe, overrides=[f"vars.data={tmp_path}", f"vars.evaluation={tmp_path / 'evaluation.jsonl'}"])
    mined = plan.nodes["mined"]
    for which, models, count in (
        ("mixtures", mined.config.mixture_models, 48),
        ("strata", mined.config.strata_models, 24),
    ):
        sources = [feed.node for feed in mined.inputs[which]]
        assert len(sources) == len(models) == count
        assert [plan.nodes[model].inputs["train"][0].node for model in models] == sources
    scores = [plan.nodes[feed.node].config.score for feed in mined.inputs["strata"]]
    wanted = [mined.config.indicators[name] for name in mined.config.sorted_by]
    assert scores == [score for score in wanted for _ in range(8)]
    assert [plan.nodes[feed.node].config.number for feed in mined.inputs["strata"]] == [*range(8)] * 3
    groups = plan.nodes["validated"].config.groups
    assert {name: len(models) for name, models in groups.items()} == {
        "chosen": 3,
        "random": 3,
        "reversed": 3,
        "untuned": 1,
    }
    seeds = [[plan.nodes[model].seed for model in groups[name]] for name in ("chosen", "random", "reversed")]
    assert seeds == [[1, 2, 3]] * 3


def write(file: Path, rows: list[dict[str, Any]], packed: bool = False) -> None:
    file.parent.mkdir(exist_ok=True)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    if packed:
        file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(text))
    else:
        file.write_bytes(text)


def test_the_evaluation_set_is_joined_and_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = [
        {"id": "t0", "instruction": "Shorten it.", "instances": [{"input": "A long text.", "output": "A text."}]},
        {"id": "t1", "instruction": "Name a bird.", "instances": [{"input": "", "output": "Owl"}]},
    ]
    answers = [
        {"instruction": "Shorten it.\n", "response": " Text.\u2028More. "},
        {"instruction": "Name a bird.", "response": "Owl\n"},
    ]
    write(tmp_path / "self_instruct" / "user_oriented_instructions.jsonl", tasks)
    write(tmp_path / "self_instruct" / "text-davinci-003_predictions.jsonl", answers, packed=True)
    write(tmp_path / "vicuna_bench" / "question.jsonl", [{"question_id": 7, "turns": ["Why?", "And then?"]}])
    for name, text in (("gpt35", "Because."), ("bard", "")):
        write(tmp_path / "vicuna_bench" / f"answer_{name}.jsonl", [{"question_id": 7, "text": text}], packed=True)
    out = tmp_path / "evaluation.jsonl"
    monkeypatch.setattr("sys.argv", ["evaluation.py", str(tmp_path), str(out)])
    script("evaluation").main()
    rows = [json.loads(line) for line in out.read_text("utf-8").split("\n") if line]
    assert [(row["prompt"], row["references"]) for row in rows] == [
        ("Shorten it.\n\nA long text.", ["A text.", "Text.\u2028More."]),
        ("Name a bird.", ["Owl"]),
        ("Why?", ["Because."]),
    ]
    write(tmp_path / "self_instruct" / "user_oriented_instructions.jsonl", tasks[::-1])
    with pytest.raises(SystemExit, match="not in one order: t1"):
        script("evaluation").main()


class Study:
    """Stands in for itune: the loss is lowest at 90 rows, of 300 that there are; two of them have no prediction."""

    def __init__(self, arguments: list[str]) -> None:
        self.arguments = arguments
        self.measured: list[int] = []

    def run(self, step: str, size: int, arguments: list[str]) -> dict[str, Any]:
        assert arguments == self.arguments
        if step == "sized":
            return {"counts": {"inputs": 300, "used": size, "failed": {"E-FILTER-010": 2}}}
        assert step == "size_loss"
        self.measured.append(size)
        return {"metrics": {"tuned_sized": {"example_mean": 2 + 0.01 * math.log(size / 90) ** 2}}}


def test_a_search_that_was_stopped_proposes_the_same_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("flaml", reason="FLAML is not installed")
    sizes, settings, out = script("sizes"), ["--set", "vars.data=here"], tmp_path / "sizes.json"
    study = Study(settings)
    monkeypatch.setattr(sizes, "run", study.run)
    whole = sizes.search(16, 256, 8, out, settings)
    asked, study.measured = study.measured, []
    assert list(whole) == asked
    assert len(asked) == len(set(asked)) <= 8
    assert {16, 64, 256} <= set(asked)
    assert min(whole, key=whole.__getitem__) == pytest.approx(90, abs=30)
    written = {"arguments": settings, "rows": 298, "losses": {str(size): loss for size, loss in whole.items()}}
    assert json.loads(out.read_text("utf-8")) == written

    # What a file holds, of another run perhaps, is not taken for what this one measured.
    out.write_text(json.dumps({**written, "losses": {"64": 0.0}}), "utf-8")
    assert sizes.search(16, 256, 8, out, settings) == whole
    assert study.measured == asked
    assert json.loads(out.read_text("utf-8")) == written


def test_a_search_beyond_the_rows_that_there_are_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("flaml", reason="FLAML is not installed")
    sizes, study = script("sizes"), Study([])
    monkeypatch.setattr(sizes, "run", study.run)
    with pytest.raises(SystemExit, match=r"there are 298 rows to select from, and sizes up to 299"):
        sizes.search(16, 299, 3, tmp_path / "sizes.json", [])
    assert not study.measured
    assert 298 in sizes.search(16, 298, 3, tmp_path / "sizes.json", [])


def test_the_plot_has_a_panel_for_each_indicator(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    common = {"log_loss": 0.7, "leverage": 0.1, "mean.length": 50.0, "mean.reward": -1.0}
    results: list[dict[str, Any]] = [
        {"loss": 2 + number / 10, "predicted": 0.7, "residual": number / 100, "sorted_by": None, **common}
        for number in range(4)
    ]
    results += [{"loss": 2.5, "predicted": None, "residual": None, "sorted_by": "length", **common}]
    out = tmp_path / "mined.svg"
    script("plot").draw(results, {"predictors": 1, "length.rho": -0.5}, out)
    drawn = out.read_text("utf-8")
    assert drawn.lstrip().startswith("<?xml")
    assert all(f"<!-- {text} -->" in drawn for text in ("1 predictors", "mean length", "mean reward", "strata"))
    assert "rank correlation" in drawn
