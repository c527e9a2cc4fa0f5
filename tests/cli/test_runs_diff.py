"""``itune runs diff``: plugins first, then recipe, steps, figures; and ``itune runs`` lists as before."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from typer.testing import Result

Call = Callable[..., Result]


def test_two_runs_are_compared(project: Path, call: Call, plain: Callable[..., Any], made: str) -> None:
    call("run", "recipe.yaml", "--set", "steps.short.with.response.max_words=4")
    other = plain("runs")[0]["run"]
    file = project / ".itune" / "runs" / made / "run.json"
    record = json.loads(file.read_text())
    assert record["lock"] is None
    assert {plugin["distribution"] for plugin in record["plugins"].values()} == {
        "itune-formatters",
        "itune-filters",
        "itune-scorers",
    }
    assert all(plugin["digest"].startswith("sha256:") for plugin in record["plugins"].values())
    record["plugins"]["filters/length"]["version"] = "0.0.9"
    file.write_text(json.dumps(record))

    lines = call("runs", "diff", made, other).stdout.splitlines()
    assert lines[0] == "plugins:"
    assert lines[1].startswith("  filters/length: itune-filters 0.0.9")
    assert lines[2:4] == ["recipe:", "  --set.steps.short.with.response.max_words: nothing -> 4"]
    assert lines[4] == "steps:"
    assert "    config.response.max_words: 5 -> 4" in lines
    assert lines[-1].startswith("figures: none differs")

    found = plain("runs", "diff", made, other)
    assert [*found] == ["plugins", "recipe", "steps", "figures", "same_figures"]
    assert [change["path"] for change in found["plugins"]] == ["filters/length"]
    assert found["steps"][0]["step"] == "short"


def test_a_run_is_its_own_like(call: Call, made: str) -> None:
    said = call("runs", "diff", made, made).stdout
    assert said.splitlines() == ["plugins: the same", "recipe: the same", "steps: the same", "figures: none differs"]


def test_a_run_that_is_not_there_is_told(call: Call, made: str) -> None:
    assert "E-STORE-001" in call("runs", "diff", made, "nothing", code=1).stderr


def test_the_list_is_what_it_was(call: Call, plain: Callable[..., Any], made: str) -> None:
    assert [run["run"] for run in plain("runs")] == [made]
    assert made in call("runs").stdout
