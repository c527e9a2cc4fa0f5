"""The card of a trained model: what it says, and that nothing in it acts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from markdown_it import MarkdownIt

from itune_core.engine import runner
from itune_core.engine.home import Home
from itune_core.engine.project import Project
from itune_core.engine.runs import RunRecord
from itune_core.engine.store import Store, write_manifest
from itune_core.recipe.plan import compile
from itune_core.report.card import Base, Exported, model_card
from itune_core.report.markdown import inline

RECIPE = """
itune: 1
name: small
steps:
  told:
    uses: formatters/columns
    with: {path: told.jsonl, columns: {instruction: ask, output: say, license: licence}}
  rows:  {uses: formatters/alpaca, with: {path: rows.jsonl, source: SOURCE}}
  mixed: {uses: mixers/proportional, from: [told, rows], with: {cap: 20}}
"""

VERSIONS = {"itune-core": "0.1.0", "torch": "2.13.0"}


class Sft:
    """Learn the answers.

    More about it. Source: the first step, arXiv:2203.02155, and ``notes`` on :math:`b`.

    What follows is not the source.
    """


class Dpo:
    """Prefer the better answer."""


Made = tuple[RunRecord, Store]


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., Made]:
    """``made(source, **settings)``: a run whose rows are there and whose trainings are written by hand."""

    def build(source: str = "house rows", licence: str = "cc-by-4.0", run: str | None = None, **settings: Any) -> Made:
        rows = [{"instruction": f"Say {n}.", "input": "", "output": str(n)} for n in range(4)]
        (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        told = [{"ask": f"Say {word}.", "say": word, "licence": licence} for word in "ab"]
        (tmp_path / "told.jsonl").write_text("".join(json.dumps(row) + "\n" for row in told))
        (tmp_path / "recipe.yaml").write_text(RECIPE.replace("SOURCE", json.dumps(source)))
        project = Project(compile(tmp_path / "recipe.yaml"), Home(tmp_path / ".itune"))
        record = runner.run(project).record
        record.data["name"] = run or record.data["name"]
        history = [{"step": n + 1, "loss": 3 - n / 10, "grad_norm": 1.5} for n in range(21)]
        _train(record, project.store, "sft", "base", {"model": "id-of-base", "epochs": 1, **settings}, history)
        _train(record, project.store, "dpo", "sft", {"model": "id-of-sft", "beta": 0.1}, [])
        metrics = {"id-of-base": {"loss": 2.0, "loss_se": 0.1}, "id-of-dpo": {"loss": 1.5, "loss_se": 0.1}}
        manifest = {"stage": "evaluators", "metrics": metrics, "outputs": {}}
        models = {"base": "id-of-base", "dpo": "id-of-dpo"}
        _step(record, project.store, "measure", "evaluators/inference-loss", models, manifest)
        return record, project.store

    return build


def _train(
    record: RunRecord, store: Store, name: str, model: str, config: Mapping[str, Any], history: list[dict[str, Any]]
) -> None:
    manifest = {
        "stage": "trainers",
        "parts": {"config": config, "seed": 0},
        "metrics": {"records": 6, "supervised_tokens": 1200, "steps": 21, "truncated_records": 2},
        "outputs": {"model": {"digest": name}},
    }
    _step(record, store, name, f"trainers/{name}", {model: f"id-of-{model}"}, manifest)
    (store.root / f"key-{name}" / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in history))


def _step(
    record: RunRecord, store: Store, name: str, label: str, models: Mapping[str, str], manifest: Mapping[str, Any]
) -> None:
    counts = {"inputs": 6, "used": 6, "dropped": {}, "failed": {}, "not_drawn": 0, "created": 0}
    whole = {"key": f"key-{name}", "counts": counts, "environment": {"python": "3.11.7", "versions": VERSIONS}}
    folder = store.root / f"key-{name}"
    folder.mkdir(parents=True)
    write_manifest(folder, {**whole, **manifest})
    feed = {"node": "mixed", "output": "records", "kind": "conversation", "cast": None}
    record.data["steps"][name] = {
        "name": name,
        "step": name,
        "variant": {},
        "stage": manifest["stage"],
        "component": label,
        "kind": None,
        "inputs": {"train": [feed]},
        "models": list(models),
        "identities": dict(models),
        "key": f"key-{name}",
        "outputs": manifest["outputs"],
        "counts": counts,
        "reused": False,
        "seconds": 1.0,
    }


HUB = Base("org/small-1b", "hub:org/small-1b@0123abc", None)
ADAPTER = Exported("adapter", "causal")
DOCS = {"sft": Sft, "dpo": Dpo}

EXPECTED = Path(__file__).parent / "card.md"


def test_the_whole_card_of_a_small_run(made: Callable[..., Made]) -> None:
    run, store = made()
    card = model_card(run, store, "dpo", HUB, ADAPTER, DOCS)
    card = card.replace(run.name, "RUN")
    card = re.sub(r"(?m)(^\| itune-\S+ \| .*\n?)+", "PLUGINS\n", card)
    card = re.sub(r"(?m)^- (told|rows|mixed): was made with .*\n", "", card)  # by the libraries that are really here
    assert card == EXPECTED.read_text("utf-8")


HOSTILE = [
    "| <script>alert(1)</script> | `x` |",
    "a\n\n# Heading\n- item",
    "![pixel](https://evil.example/p.png) [link](javascript:x)",
    "```\ncode\n```",
    "<!-- --> &lt;b&gt; <img src=x onerror=alert(2)>",
    "https://evil.example www.evil.example @somebody #1 $x$ :tada:",
    "\x1b[31m\u202egnp.exe",
    "---\nlicense: mit\n---",
    "\\| end \\",
    "long " * 200,
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_text(text: str, made: Callable[..., Made]) -> None:
    """Wherever it comes from: source, licence, name of the run, a setting, the base, a docstring."""
    run, store = made(text, text, text, note=text)
    evil = type("Evil", (), {"__doc__": text + "\n\nSource: " + text})
    base = Base(text, text, text)
    card = model_card(run, store, "dpo", base, ADAPTER, {"sft": evil, "dpo": evil})
    lines = card.split("\n")
    assert all(line.isprintable() for line in lines)
    page = MarkdownIt("commonmark").enable("table").parse(card.split("---\n", 2)[2])
    parts = [part for token in page for part in (token, *(token.children or ()))]
    assert {part.type for part in parts}.isdisjoint(
        {"html_inline", "html_block", "image", "code_inline", "fence", "code_block", "hr", "em_open", "strong_open"}
    )
    links = [part.attrs["href"] for part in parts if part.type == "link_open"]
    assert all(str(link).startswith("https://arxiv.org/abs/") for link in links)
    assert sum(part.type == "heading_open" for part in parts) == 10
    assert not re.search(r"(?<!\\)[@$]|https?:(?!//arxiv)|www\.", card), "what some renderers make links of"
    rows = [line for line in lines if line.startswith("|")]
    assert all(_cells(row) in (2, 3, 4, 5, 7) for row in rows)
    assert yaml.safe_load(card.split("---\n")[1]) == {
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "tags": ["itune", "sft", "dpo"],
    }


def _cells(row: str) -> int:
    """Cells of a table's row: a pipe behind an odd number of backslashes is text."""
    return len([found for found in re.finditer(r"(\\*)\|", row) if len(found[1]) % 2 == 0]) - 1


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a | b", r"a \| b"),
        (r"a \| b", r"a \\\| b"),
        ("<b>", "&lt;b&gt;"),
        ("1. one", r"1\. one"),
        ("- one", r"\- one"),
        ("a-b", "a-b"),
        ("www.x.org", r"www\.x.org"),
        (" two\n lines ", "two lines"),
        ("\x07", r"\\x07"),
    ],
)
def test_escapes(text: str, shown: str) -> None:
    assert inline(text) == shown


def test_paths_are_not_told(made: Callable[..., Made]) -> None:
    run, store = made(folder="/home/someone/secret", nested={"on": ["C:\\Users\\someone", "~/someone"]})
    card = model_card(run, store, "dpo", HUB, ADAPTER, DOCS)
    assert "someone" not in card
    assert card.count("a local path") == 3


def test_the_licence_is_named_where_it_is_the_only_one(made: Callable[..., Made], tmp_path: Path) -> None:
    run, store = made()
    for base, exported in ((HUB, ADAPTER), (Base("b", "i", "cc-by-4.0"), ADAPTER)):
        assert "license" not in _front(model_card(run, store, "dpo", base, exported, DOCS)), "rows have none"
    for step in ("sft", "dpo"):
        run.data["steps"][step]["inputs"]["train"][0]["node"] = "told"
    assert "license" not in _front(model_card(run, store, "dpo", HUB, ADAPTER, DOCS)), "the base has none"
    other = Base("b", "i", "Apache-2.0")
    assert "license" not in _front(model_card(run, store, "dpo", other, ADAPTER, DOCS)), "the base has another"
    same = Base("b", "i", "CC-BY-4.0")
    assert _front(model_card(run, store, "dpo", same, ADAPTER, DOCS))["license"] == "cc-by-4.0"


def test_what_is_gone_is_said(made: Callable[..., Made]) -> None:
    run, store = made()
    for name in ("sft", "mixed", "measure"):
        found = store.get(run.data["steps"][name]["key"])
        assert found
        store.remove(found)
    card = model_card(run, store, "dpo", HUB, Exported("full", "seq2seq"), {})
    assert "Its artifact is no longer in the store." in card
    assert "The rows of dpo are no longer in the store." in card
    assert "No step of the run evaluated this model." in card
    assert "What it optimises is not known here" in card
    assert _front(card)["library_name"] == "transformers"
    assert "pipeline_tag" not in _front(card)


def test_what_was_measured_on_held_out_rows(made: Callable[..., Made]) -> None:
    """Figures before and after, and no counts."""
    run, store = made()
    _add(store, "sft", {"eval/loss": 1.25, "eval/loss/before": 2.5, "eval/records": 1200, "best_step": 12})
    _add(store, "dpo", {"eval_rewards/accuracies": 0.75, "eval_records": 4})  # as TRL calls it
    card = model_card(run, store, "dpo", HUB, ADAPTER, DOCS)
    before, after = "| figure | before | after |\n| --- | ---: | ---: |\n", "\n\n"
    assert f"lowest after step 12:\n\n{before}| loss | 2.500 | 1.250 |{after}" in card
    assert "On 1,200 held-out rows;" in card
    assert f"On held-out rows:\n\n{before}| rewards/accuracies | – | 0.7500 |{after}" in card
    assert "- No loss was measured on held-out rows" in card, "of dpo there is none"
    _add(store, "dpo", {"eval_loss": 0.5})
    assert "- No loss was measured" not in model_card(run, store, "dpo", HUB, ADAPTER, DOCS)


def _add(store: Store, step: str, metrics: Mapping[str, Any]) -> None:
    folder = store.root / f"key-{step}"
    manifest = json.loads((folder / "artifact.json").read_text("utf-8"))
    write_manifest(folder, {**manifest, "metrics": {**manifest["metrics"], **metrics}})


def test_the_course_leaves_out_entries_of_evaluations_alone(made: Callable[..., Made]) -> None:
    run, store = made()
    lines = [entry for n in range(1, 4) for entry in ({"step": n, "loss": 1.0 * n}, {"step": n, "eval_loss": 9.0})]
    (store.root / "key-sft" / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    card = model_card(run, store, "dpo", HUB, ADAPTER, DOCS)
    assert "| step | loss |\n| ---: | ---: |\n| 1 | 1.000 |\n| 2 | 2.000 |\n| 3 | 3.000 |\n\n" in card


def test_a_base_that_is_no_longer_known(made: Callable[..., Made]) -> None:
    run, store = made()
    card = model_card(run, store, "dpo", Base("start", None, None), ADAPTER, DOCS)
    assert "- Model: start (so the recipe called it" in card
    assert "- Identity: no longer known" in card
    assert "base_model" not in _front(card)


def test_a_merged_model_says_what_merging_did(made: Callable[..., Made]) -> None:
    run, store = made()
    measured = {"difference": 0.0123, "adapter": 4.5, "largest": 30.0, "rows": 4, "tokens": 191}
    card = model_card(run, store, "dpo", HUB, Exported("merged", "causal", measured, "bfloat16"), DOCS)
    assert "no logit of these weights differs by more than 0.0123" in card
    assert "before it was merged" in card


def _front(card: str) -> dict[str, Any]:
    return dict(yaml.safe_load(card.split("---\n")[1]))
