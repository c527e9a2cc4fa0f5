"""``itune check`` and ``itune plan`` as a person meets them: a process, an exit code, a page of text."""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from itune_core.cli.plan import plan_facts, plan_table
from itune_core.recipe.plan import compile

RUN = """
import sys
from itune_core.cli.main import main
try:
    main()
finally:
    heavy = {"torch", "transformers", "trl", "datasets", "pyarrow", "numpy"} & sys.modules.keys()
    print("heavy:", sorted(heavy), file=sys.stderr)
"""

TEN = """
itune: 1
name: ten
models:
  student: {backend: transformers, model: "embedded:smollm2-135m"}
steps:
  rows: {uses: formatters/dolly, with: {path: dolly.jsonl}}
  one:
    uses: filter/length          # unknown stage: filters
    from: rows
  two:
    uses: filters/splitt         # misspelt component: filters/split
    from: rows
  three:
    uses: trainers/sft
    from: rows
    with:
      model: student
      lerning_rate: 1e-4         # unknown key: learning_rate
  four:
    uses: trainers/sft
    from: rows
    with:
      model: student
      epochs: many               # wrong type: a number
  five:                          # missing input: from
    uses: filters/exact-duplicates
  six:
    uses: filters/exact-duplicates
    from: seven                  # cycle: needs
  seven:
    uses: filters/exact-duplicates
    from: six
  eight:
    uses: trainers/dpo
    from: rows                   # kinds that do not fit: preference
    with: {model: student}
  student:                       # a name used twice: student
    uses: filters/exact-duplicates
    from: rows
  ten:
    uses: trainers/sft
    from: rows
    with: {model: studnt}        # missing model: student
matrix:
  seed: 3                        # bad matrix: a list
"""

GOOD = """
itune: 1
name: good
models:
  student: {backend: transformers, model: "embedded:smollm2-135m"}
steps:
  rows: {uses: formatters/dolly, with: {path: dolly.jsonl}}
  parts: {uses: filters/split, from: rows, with: {held_out: 0.1}}
  sft: {uses: trainers/sft, from: parts.train, with: {model: student}, seed: "${matrix.seed}"}
matrix:
  seed: [1, 2]
"""


def call(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", RUN, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def recipe(tmp_path: Path) -> Any:
    (tmp_path / "dolly.jsonl").write_text("{}\n")

    def write(text: str) -> Path:
        file = tmp_path / "recipe.yaml"
        file.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
        return file

    return write


def test_ten_mistakes_are_told_at_once_quickly_and_without_torch(recipe: Any) -> None:
    file = recipe(TEN)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = call("check", file)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert done.returncode == 2
    assert seconds < 2
    assert "heavy: []" in done.stderr
    paragraphs = re.split(r"\n(?=\S)", done.stdout)
    assert paragraphs[-1].strip() == "10 mistakes"
    marked = {
        number: line.partition("# ")[2].rpartition(": ")[2]
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if "# " in line
    }
    assert len(marked) == 10
    told = {}
    for paragraph in paragraphs[:-1]:
        place = re.match(rf"{re.escape(str(file))}:(\d+) E-[A-Z]+-\d+ ", paragraph)
        assert place, paragraph
        told[int(place[1])] = paragraph
    assert told.keys() == marked.keys()
    for number, word in marked.items():
        assert word.replace("a number", "a whole number") in told[number]


def test_check_speaks_json(recipe: Any) -> None:
    done = call("check", "--json", recipe(TEN))
    problems = json.loads(done.stdout)
    assert done.returncode == 2
    assert len(problems) == 10
    assert set(problems[0]) == {"code", "what", "where", "path", "expected", "fix", "line"}
    assert [problem["line"] for problem in problems] == sorted(problem["line"] for problem in problems)


def test_a_right_recipe_is_fine(recipe: Any) -> None:
    done = call("check", recipe(GOOD))
    assert (done.returncode, done.stdout) == (0, "recipe is fine: 4 steps, 1 model\n")
    assert json.loads(call("check", "--json", recipe(GOOD)).stdout) == []


def test_overrides_are_checked_too(recipe: Any) -> None:
    done = call("check", recipe(GOOD), "--set", "steps.sft.with.lerning_rate=1e-4")
    assert done.returncode == 2
    assert "--set steps.sft.with.lerning_rate=1e-4 E-RECIPE-020" in done.stdout
    assert call("check", recipe(GOOD), "--set", "steps.sft.with.learning_rate=1e-4").returncode == 0


def test_what_a_recipe_says_is_shown_and_never_obeyed(recipe: Any) -> None:
    done = call("check", recipe('itune: 1\nname: x\nsteps: {"[bold]a[/bold]": {uses: "\\e[31mred/\\e]0;x\\a"}}\n'))
    assert done.returncode == 2
    assert "[bold]a[/bold]" in done.stdout
    assert "\x1b" not in done.stdout
    assert "\x07" not in done.stdout


def test_the_table_of_a_plan(bench: Any, published: Any) -> None:
    file = bench.write("""
itune: 1
name: table
models: {student: {backend: transformers, model: m}}
steps:
  pairs: {uses: formatters/pairs, with: {path: dolly.jsonl}}
  parts: {uses: filters/split, from: pairs}
  aligned: {variant: algorithm, from: parts.held_out, with: {model: student}}
  answers: {uses: evaluators/answers, from: rows, with: {model: aligned}}
  rows: {uses: formatters/dolly, with: {path: dolly.jsonl, source: "[red]"}}
matrix: {algorithm: {dpo: {uses: trainers/dpo}, rrhf: {uses: trainers/rrhf}}}
""")
    plan = compile(file, load=published)

    def page(states: dict[str, str] | None) -> list[str]:
        console = Console(width=160, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
        console.print(plan_table(plan, states))
        return [re.sub(r"  +", " | ", line.strip()) for line in console.export_text().splitlines()]

    assert page(None) == [
        "step | uses | reads | gives | variant",
        "pairs | formatters/pairs | preference",
        "parts | filters/split | pairs | preference",
        "aligned | trainers/dpo | parts.held_out | a model | algorithm=dpo",
        "model student",
        "aligned | trainers/rrhf | parts.held_out (preference as ranking) | a model | algorithm=rrhf",
        "model student",
        "rows | formatters/dolly | conversation",
        "answers | evaluators/answers | rows (conversation as prompt) | figures | algorithm=dpo",
        "model aligned[algorithm=dpo]",
        "answers | evaluators/answers | rows (conversation as prompt) | figures | algorithm=rrhf",
        "model aligned[algorithm=rrhf]",
    ]
    assert page({"pairs": "cached"})[1] == "pairs | formatters/pairs | preference | cached"
    facts = json.loads(json.dumps(plan_facts(plan, dict.fromkeys(plan.nodes, "run"))))
    assert [step["name"] for step in facts["steps"]] == list(plan.nodes)
    assert facts["steps"][3]["inputs"] == {
        "train": [{"node": "parts", "output": "held_out", "kind": "preference", "cast": "ranking"}]
    }
    assert facts["steps"][3]["state"] == "run"
    assert facts["models"]["student"]["with"]["model"] == "m"


@pytest.mark.parametrize(
    ("variants", "shown"),
    [(3, [f"model sft[round={number}]" for number in range(3)]), (4, ["model sft[...], 4 variants"])],
)
def test_many_variants_of_one_step_are_one_line_of_the_table(
    bench: Any, published: Any, variants: int, shown: list[str]
) -> None:
    file = bench.write(f"""
itune: 1
name: table
models: {{student: {{backend: transformers, model: m}}}}
steps:
  rows: {{uses: formatters/dolly, with: {{path: dolly.jsonl}}}}
  sft:  {{uses: trainers/sft, from: rows, with: {{model: student}}, seed: "${{matrix.round}}"}}
  all:  {{uses: evaluators/comparison, from: rows, with: {{models: [sft]}}}}
matrix: {{round: {list(range(variants))}}}
""")
    plan = compile(file, load=published)
    console = Console(width=160, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(plan_table(plan))
    page = console.export_text()
    assert all(line in page for line in shown)
