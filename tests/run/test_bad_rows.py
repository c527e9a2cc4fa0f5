"""Bad rows never stop a run and never vanish; too many of them do."""

from __future__ import annotations

import gzip
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]

GOOD = [json.dumps({"instruction": f"Say {n}.", "input": "", "output": f"It is {n}."}).encode() for n in range(100)]
BAD = {
    "not UTF-8": b'{"instruction": "\xff\xfe", "output": "x"}',
    "NUL byte": b'{"instruction": "a\x00b", "output": "x"}',
    "NUL escape": b'{"instruction": "a\\u0000b", "output": "x"}',
    "half a character": b'{"instruction": "\\ud800", "output": "x"}',
    "wrong type": b'{"instruction": 7, "output": "x"}',
    "no object": b'["instruction"]',
    "torn": b'{"instruction": "a", "out',
    "key twice": b'{"instruction": "a", "instruction": "b", "output": "x"}',
    "5 MB": b'{"instruction": "' + b"a" * 5_000_000 + b'", "output": "x"}',
}
RECIPE = "itune: 1\nname: bad\nsteps:\n  rows: {uses: formatters/alpaca, with: {path: [%s]}, max_failed: %s}\n"


def _write(folder: Path, paths: str, max_failed: float = 0.2) -> None:
    (folder / "recipe.yaml").write_text(RECIPE % (paths, max_failed))


@pytest.mark.parametrize("name", BAD)
def test_each_is_in_the_ledger_with_its_line(name: str, tmp_path: Path, itune: Run) -> None:
    (tmp_path / "rows.jsonl").write_bytes(b"\xef\xbb\xbf" + b"\n".join([*GOOD[:30], BAD[name], *GOOD[30:]]) + b"\n")
    _write(tmp_path, "rows.jsonl")
    step = json.loads(itune("run", "recipe.yaml", "--json").stdout)["steps"]["rows"]
    assert step["counts"]["used"] == 100
    assert sum(step["counts"]["failed"].values()) == 1
    lines = list(json.loads(itune("ledger", "rows", "--json").stdout)["lines"])
    assert [Path(line["item"]).name for line in lines] == ["rows.jsonl:31"]
    assert lines[0]["detail"]


def test_broken_files_are_one_bad_row_each(tmp_path: Path, itune: Run) -> None:
    whole = gzip.compress(b"\n".join(GOOD))
    (tmp_path / "cut.jsonl.gz").write_bytes(whole[: len(whole) - 12])
    (tmp_path / "empty.jsonl").write_bytes(b"")
    (tmp_path / "good.jsonl").write_bytes(b"\n".join(GOOD))
    _write(tmp_path, "cut.jsonl.gz, empty.jsonl, good.jsonl")
    step = json.loads(itune("run", "recipe.yaml", "--json").stdout)["steps"]["rows"]
    assert step["counts"]["used"] >= 100
    assert sum(step["counts"]["failed"].values()) == 2


def test_too_many_stop_the_step_and_the_ledger_says_why(tmp_path: Path, itune: Run) -> None:
    (tmp_path / "rows.jsonl").write_bytes(b"\n".join([*GOOD[:10], *BAD.values()]))
    _write(tmp_path, "rows.jsonl", 0.05)
    done = itune("run", "recipe.yaml", code=4)
    assert "E-RUN-010" in done.stderr
    assert "itune ledger rows" in done.stderr
    lines = json.loads(itune("ledger", "rows", "--json").stdout)["lines"]
    assert len(lines) == len(BAD)


def test_text_that_looks_like_code_stays_text(tmp_path: Path, itune: Run) -> None:
    texts = [
        "{{ 7 * 7 }}",
        "{% for x in y %}",
        "<script>alert(1)</script>",
        "\x1b[31mred",
        "!!python/object:os.system",
        "../../x",
    ]
    rows = [json.dumps({"instruction": text, "input": text, "output": text}) for text in texts]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows))
    _write(tmp_path, "rows.jsonl")
    done = itune("run", "recipe.yaml")
    assert "\x1b[31m" not in itune("show", "rows").stdout + done.stdout + done.stderr
    itune("report", "--output", "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "{{ 7 * 7 }}" in page
    assert "\x1b" not in page
