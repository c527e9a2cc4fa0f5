"""All real rows that there are, through every formatter: the page's books, and the same records however it is run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
DATA = Path(os.environ.get("ITUNE_TEST_DATA", DOCS.parents[1] / "shared" / "data"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (DATA / "alpaca").is_dir(), reason="needs real rows in the folder that ITUNE_TEST_DATA names"
    ),
]


@pytest.fixture
def steps(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    def run(recipe: Path, *options: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "itune_core.cli.main", "run", str(recipe), "--json", *options]
        environment = {**os.environ, "ITUNE_HOME": str(tmp_path / f"home{len(list(tmp_path.iterdir()))}")}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)["steps"]
        return found

    return run


def test_the_page_is_the_books_of_the_recipe() -> None:
    done = subprocess.run(
        [sys.executable, str(DOCS / "real_rows_page.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_two_processes_make_the_same_records(steps: Callable[..., dict[str, Any]]) -> None:
    recipe, data = DOCS / "real_rows.yaml", ("--set", f"vars.data={DATA}")
    one, two = steps(recipe, *data), steps(recipe, *data, "--workers", "2")
    assert {name: step["outputs"] for name, step in one.items()} == {
        name: step["outputs"] for name, step in two.items()
    }


def test_the_order_of_files_changes_no_record(steps: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    """Equal ids, in another order: of rows, of drawn demonstrations, and of tasks that are files."""
    import datasets

    tasks = sorted(str(path) for path in (DATA / "natural_instructions" / "tasks").glob("*.json"))[:6]
    tables = sorted(str(path) for path in (DATA / "mmlu" / "val").glob("*.csv"))
    answers = [str(DATA / "alpaca_farm" / f"outputs_{name}.json.gz") for name in ("baseline", "sft")]
    columns = {"instruction": "q", "output": {"field": "answer", "choices": {name: name for name in "ABCD"}}}
    header = {"header": ["q", *"ABCD", "answer"]}
    found = []
    for order in (1, -1):
        recipe = {
            "itune": 1,
            "name": "order",
            "steps": {
                "rows": {"uses": "formatters/alpaca", "with": {"path": answers[::order]}},
                "tasks": {"uses": "formatters/superni", "with": {"path": tasks[::order]}},
                "tables": {
                    "uses": "formatters/columns",
                    "with": {
                        "path": tables[::order],
                        "reading": header,
                        "columns": columns,
                        "demonstrations": {"path": tables[::-order], "count": 2, "reading": header},
                    },
                },
            },
        }
        file = tmp_path / f"recipe{order}.yaml"
        file.write_text(json.dumps(recipe), "utf-8")  # JSON is YAML
        made = steps(file)
        home = max(tmp_path.glob("home*"), key=lambda path: path.stat().st_mtime)
        found.append(
            {
                name: sorted(datasets.load_from_disk(str(next(home.glob(f"store/**/{step['key']}*/records"))))["id"])
                for name, step in made.items()
            }
        )
    assert found[0] == found[1]
    assert {name: len(ids) for name, ids in found[0].items()} == {"rows": 504, "tasks": 600, "tables": 90}
