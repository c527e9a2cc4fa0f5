"""Commands that read: runs, show, ledger, report."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

Call = Callable[..., Result]
Plain = Callable[..., Any]


def test_runs_are_listed_newest_first(made: str, call: Call, plain: Plain) -> None:
    call("run", "recipe.yaml")
    newest, oldest = plain("runs")
    assert oldest["run"] == made
    assert (newest["steps"], newest["made"], newest["state"]) == (4, 0, "done")
    assert (oldest["steps"], oldest["made"], oldest["error"]) == (4, 4, None)
    assert newest["started"] > oldest["ended"]
    printed = call("runs").stdout.splitlines()
    assert [line.split()[0] for line in printed] == ["run", newest["run"], made]


def test_a_project_without_runs_says_so(call: Call, plain: Plain) -> None:
    assert plain("runs") == []
    assert "no runs yet" in call("runs").stdout
    assert "E-STORE-001" in call("show", code=1).output


def test_a_killed_run_is_called_so(made: str, project: Path, plain: Plain) -> None:
    record = project / ".itune" / "runs" / made / "run.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "state": "running"}))
    assert plain("runs")[0]["state"] == "killed"
    assert plain("show")["state"] == "killed"


def test_a_run_is_shown_step_by_step(made: str, call: Call, plain: Plain) -> None:
    shown = plain("show")
    assert shown["run"] == made
    assert list(shown["steps"]) == ["rows", "short", "parts", "size"]
    lines = {line.split()[0]: line for line in call("show", made[:20]).stdout.splitlines() if line}
    assert "41 conversation" in lines["rows"]
    assert "42 in, 41 used, 1 failed" in lines["rows"]
    assert "train" in lines["parts"]
    assert "held_out" in lines["parts"]


def test_a_data_step_shows_its_first_rows(made: str, call: Call, plain: Plain) -> None:
    facts = plain("show", "parts", "--rows", "2")
    assert {name: len(rows) for name, rows in facts["rows"].items()} == {"train": 2, "held_out": 2}
    assert facts["component"] == "filters/split"
    assert facts["reused"] is False
    scored = plain("show", made, "size", "--rows", "1")["rows"]["records"][0]
    assert scored["score.size.response_words"] == len(scored["messages"][-1]["content"].split())
    text = call("show", "rows", "--rows", "1").stdout
    assert "user: Count to 1." in text


def test_row_text_does_not_act_on_the_terminal(made: str, call: Call, plain: Plain) -> None:
    for command in (("show", "rows", "--rows", "50"), ("ledger", "rows")):
        for output in (call(*command).stdout, call(*command, "--json").stdout):
            assert "\x1b" not in output
    assert r"user: \x1b[31m[bold]red[/bold]" in call("show", "rows", "--rows", "50").stdout
    rows = plain("show", "rows", "--rows", "50")["rows"]["records"]
    assert rows[-1]["messages"][0]["content"] == "\x1b[31m[bold]red[/bold]"


def test_the_ledger_groups_by_reason(made: str, call: Call, plain: Plain) -> None:
    facts = plain("ledger", "short")
    assert facts["reasons"] == [{"outcome": "dropped", "reason": "response-too-long", "count": 10}]
    assert len(facts["lines"]) == 10
    assert facts["counts"]["used"] == 31
    assert len(plain("ledger", made, "short", "--limit", "3")["lines"]) == 3
    text = call("ledger", "short", "--limit", "3").stdout
    assert "short: 41 in, 31 used, 10 dropped" in text
    assert "dropped response-too-long: 10" in text
    assert "7 more" in text
    failed = plain("ledger", "rows")["lines"]
    assert [(line["outcome"], Path(line["item"]).name) for line in failed] == [("failed", "rows.jsonl:41")]


def test_a_step_that_failed_has_a_ledger(project: Path, call: Call, plain: Plain) -> None:
    call("run", "recipe.yaml", "--set", "steps.rows.max_failed=0.01", code=4)
    facts = plain("ledger", "rows")
    assert (facts["state"], facts["counts"], len(facts["lines"])) == ("failed", None, 1)
    assert "E-RUN-010" in call("show").stdout
    assert "E-RUN-010" in call("show", "rows").stdout
    assert plain("runs")[0]["state"] == "failed"
    page = Path(call("report").stdout.strip()).read_text("utf-8")
    assert "E-RUN-010" in page
    assert "rows.jsonl:41" in page


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("show", "shrt"), "E-STORE-007"),
        (("show", "99991231", "rows"), "E-STORE-001"),
        (("ledger", "{run}", "shrt"), "E-STORE-002"),
        (("report", "nothing"), "E-STORE-001"),
    ],
)
def test_what_is_not_there_is_said_with_what_is(made: str, call: Call, arguments: tuple[str, ...], code: str) -> None:
    assert code in call(*(argument.format(run=made) for argument in arguments), code=1).output


def test_one_name_is_a_step_before_it_is_a_run(made: str, project: Path, call: Call, plain: Plain) -> None:
    runs = project / ".itune" / "runs"
    (runs / made).rename(runs / "short-20000101T000000Z")
    shown = call("show", "short")
    assert "response" not in shown.stderr
    assert "is a step of the latest run" in shown.stderr
    assert "short (filters/length)" in shown.stdout
    assert plain("show", "short-2000")["run"] == "short-20000101T000000Z"


def test_variants_are_named_in_full(project: Path, call: Call, plain: Plain) -> None:
    recipe = project / "recipe.yaml"
    text = recipe.read_text().replace("max_words: 5", "max_words: '${matrix.most}'")
    recipe.write_text(text + "matrix:\n  most: [4, 5]\n")
    call("run", "recipe.yaml")
    assert "E-STORE-008" in call("show", "short", code=1).output
    assert plain("ledger", "short[most=4]")["counts"]["used"] < plain("ledger", "short[most=5]")["counts"]["used"]


def test_a_report_goes_where_it_is_wanted(made: str, project: Path, call: Call) -> None:
    assert Path(call("report").stdout.strip()) == project / ".itune" / "runs" / made / "report.html"
    call("report", made, "--output", "page.html")
    assert (project / "page.html").read_text("utf-8").startswith("<!DOCTYPE html>")


def test_what_was_removed_is_said(made: str, project: Path, call: Call, plain: Plain) -> None:
    from itune_core.engine.home import Home
    from itune_core.engine.store import Store

    store = Store(Home(project / ".itune"))
    for artifact in list(store.all()):
        if artifact.manifest["stage"] == "formatters":
            store.remove(artifact)
    assert "E-STORE-003" in call("show", "rows", code=1).output
    assert "rows" not in plain("show", "parts")  # the mask is there, what it selects from is not
    call("show")


def test_the_end_of_a_training_shows_all_its_figures(trained: Path, call: Call) -> None:
    """A trainer may log an evaluation as an entry of its own, and last."""
    key = json.loads(call("show", "--json").stdout)["steps"]["sft"]["key"]
    lines = [{"step": 1, "loss": 2.5}, {"step": 2, "loss": 1.5}, {"step": 2, "eval_loss": 1.25}]
    history = trained / ".itune" / "store" / key / "history.jsonl"
    history.write_text("".join(json.dumps(line) + "\n" for line in lines))
    header, first, _, last = call("show", "sft").stdout.splitlines()[-4:]
    assert header.split() == ["step", "loss", "eval_loss"]
    assert first.split() == ["1", "2.500"]
    assert last.split() == ["2", "1.250"]
