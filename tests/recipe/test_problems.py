"""Every mistake is found in one pass, at its line, with what was meant."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from itune_core.recipe import errors
from itune_core.recipe.check import check
from itune_core.recipe.errors import Problem, RecipeProblems
from itune_core.recipe.names import nearest
from itune_core.recipe.plan import compile

HEAD = """
itune: 1
name: test
models:
  student: {backend: transformers, model: "embedded:smollm2-135m"}
steps:
  rows: {uses: formatters/dolly, with: {path: dolly.jsonl}}
"""  # seven lines once the first line break is gone, the last of them empty

TEN = """
itune: 1
name: ten
models:
  student: {backend: transformers, model: "embedded:smollm2-135m"}
steps:
  rows: {uses: formatters/dolly, with: {path: dolly.jsonl}}
  one:
    uses: filter/keep          # unknown stage
    from: rows
  two:
    uses: filters/splitt       # misspelt component
    from: rows
  three:
    uses: trainers/sft
    from: rows
    with:
      model: student
      lerning_rate: 1e-4       # unknown key
  four:
    uses: trainers/sft
    from: rows
    with:
      model: student
      epochs: many             # wrong type
  five:                        # missing input
    uses: filters/keep
  six:
    uses: filters/keep
    from: seven                # cycle
  seven:
    uses: filters/keep
    from: six
  eight:
    uses: trainers/dpo
    from: rows                 # kinds that do not fit
    with: {model: student}
  student:                     # a name used twice
    uses: filters/keep
    from: rows
  ten:
    uses: trainers/sft
    from: rows
    with: {model: studnt}      # missing model
matrix:
  seed: 3                      # bad matrix
"""

EXPECTED = {
    "unknown stage": (errors.UNKNOWN_STAGE, "did you mean 'filters'?"),
    "misspelt component": ("E-PLUGIN-001", "did you mean filters/split?"),
    "unknown key": (errors.UNKNOWN_SETTING, "did you mean 'learning_rate'?"),
    "wrong type": (errors.BAD_SETTING, None),
    "missing input": (errors.MISSING_INPUT, "add `from: STEP`"),
    "cycle": (errors.CYCLE, "let one of them read from an earlier step, or use another model"),
    "kinds that do not fit": (
        errors.KINDS,
        "conversation records are cast only to prompt; put a step between that makes preference records",
    ),
    "a name used twice": (errors.NAME_TWICE, "rename one of them"),
    "missing model": (errors.UNKNOWN_MODEL, "did you mean 'student'?"),
    "bad matrix": (errors.BAD_AXIS, "write `seed: [1, 2]` or `seed: {one: {uses: ...}, two: {uses: ...}}`"),
}


def expected_problems(text: str) -> set[tuple[str, int, str | None]]:
    """Code, line and fix of each mistake, from the comments that stand beside them."""
    found = set()
    for number, line in enumerate(text.lstrip("\n").splitlines(), 1):
        match = re.search(r"# (.+)", line)
        if match and match[1] in EXPECTED:
            code, fix = EXPECTED[match[1]]
            found.add((code, number, fix))
    assert len(found) == 10
    return found


def test_ten_mistakes_in_one_pass(bench: Any) -> None:
    problems = bench.details(TEN)
    assert {(problem.code, problem.line, problem.fix) for problem in problems} == expected_problems(TEN)
    assert len(problems) == 10
    assert [problem.line for problem in problems] == sorted(problem.line for problem in problems)
    assert all(problem.where == f"{bench.file}:{problem.line}" for problem in problems)
    by_code = {problem.code: problem for problem in problems}
    assert (
        by_code[errors.CYCLE].what == "steps need each other in a circle: six (line 27) needs seven (line 30) needs six"
    )
    assert by_code[errors.BAD_SETTING].what == "the setting 'epochs' of trainers/sft is the text 'many'"
    assert by_code[errors.BAD_SETTING].expected == "a whole number"
    assert by_code[errors.BAD_SETTING].path == "steps.four.with.epochs"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(st.data())
def test_lines_survive_whatever_stands_between(bench: Any, data: st.DataObject) -> None:
    """The same mistakes at the same text, wherever comments and blank lines push it."""
    lines: list[str] = []
    for line in TEN.lstrip("\n").splitlines():
        lines += data.draw(st.lists(st.sampled_from(["", "# note", "      # note", "   "]), max_size=2))
        lines.append(line)
    text = "\n".join(lines)
    # bench.write would dedent; only the order of lines matters here, so the text is written as it is
    bench.file.write_text(text, encoding="utf-8")
    problems = check(bench.file, load=bench.load)
    told = {(problem.code, problem.line, problem.fix) for problem in problems}
    assert told == {
        (code, number, fix)
        for number, line in enumerate(lines, 1)
        for label, (code, fix) in EXPECTED.items()
        if line.endswith(f"# {label}")
    }


def test_a_model_whose_entry_is_wrong_is_still_a_model(bench: Any) -> None:
    text = f"{HEAD}  a: {{uses: trainers/sft, from: rows, with: {{model: student}}}}\n"
    [problem] = bench.details(text.replace('{backend: transformers, model: "embedded:smollm2-135m"}', "smollm2"))
    assert (problem.code, problem.path) == (errors.SHAPE, "models.student")


def test_a_misspelt_key_is_taken_for_what_was_meant(bench: Any) -> None:
    """What stands under it is checked, and nothing that hangs on it is told as missing."""
    text = f"{HEAD}  a: {{uses: trainers/sft, form: rows, wiht: {{model: student, epochs: many}}}}\n"
    problems = bench.details(text.replace("models:", "modles:"))
    assert [(problem.code, problem.path) for problem in problems] == [
        (errors.UNKNOWN_KEY, "modles"),
        (errors.UNKNOWN_KEY, "steps.a.form"),
        (errors.UNKNOWN_KEY, "steps.a.wiht"),
        (errors.BAD_SETTING, "steps.a.with.epochs"),
    ]


def test_a_mistake_in_the_shared_part_of_a_step_is_told_once(bench: Any) -> None:
    [problem] = bench.details(f"""{HEAD}  a:
    uses: trainers/sft
    from: rows
    with: {{model: student, epochs: many}}
    seed: ${{matrix.seed}}
matrix:
  seed: [1, 2, 3, 4, 5]
""")
    assert (problem.code, problem.line) == (errors.BAD_SETTING, 10)


def test_kinds_are_checked_in_each_variant(bench: Any) -> None:
    problems = bench.details(f"""{HEAD}  a: {{from: rows, variant: algorithm, with: {{model: student}}}}
matrix:
  algorithm:
    sft: {{uses: trainers/sft}}
    dpo: {{uses: trainers/dpo}}
    rrhf: {{uses: trainers/rrhf}}
""")
    assert [(problem.code, problem.line) for problem in problems] == [(errors.KINDS, 7), (errors.KINDS, 7)]
    assert ["trainers/dpo" in problems[0].what, "trainers/rrhf" in problems[1].what] == [True, True]


def test_names_of_outputs_are_names_too(bench: Any) -> None:
    [problem] = bench.details(f"""{HEAD}  parts: {{uses: filters/split, from: rows}}
  train: {{uses: trainers/sft, from: parts.train, with: {{model: student}}}}
""")
    assert (problem.code, problem.line) == (errors.NAME_TWICE, 8)
    assert problem.what == "'train' is a step and an output of the step 'parts' (parts.train)"


def test_models_and_figures_are_not_records(bench: Any) -> None:
    problems = bench.details(f"""{HEAD}  sft: {{uses: trainers/sft, from: rows, with: {{model: student}}}}
  loss: {{uses: evaluators/inference-loss, from: rows, with: {{models: [sft]}}}}
  a: {{uses: filters/keep, from: sft}}
  b: {{uses: filters/keep, from: loss}}
""")
    assert [(problem.code, problem.line) for problem in problems] == [(errors.NOT_RECORDS, 9), (errors.NOT_RECORDS, 10)]
    assert "with: {model: sft}" in problems[0].fix


def test_two_circles_are_two_mistakes_and_what_hangs_on_them_is_none(bench: Any) -> None:
    problems = bench.details(f"""{HEAD}  a: {{uses: filters/keep, from: b}}
  b: {{uses: filters/keep, from: c}}
  c: {{uses: filters/keep, from: a}}
  pairs: {{uses: generators/ai-feedback, from: rows, with: {{policy: tuned, judge: student}}}}
  tuned: {{uses: trainers/dpo, from: pairs, with: {{model: student}}}}
  below: {{uses: trainers/dpo, from: c, with: {{model: student}}}}
""")
    assert [(problem.code, problem.line, problem.path) for problem in problems] == [
        (errors.CYCLE, 7, "steps.a.from"),
        (errors.CYCLE, 10, "steps.pairs.with.policy"),
    ]
    assert problems[0].what.endswith("a (line 7) needs b (line 8) needs c (line 9) needs a")


def test_score_columns_reach_those_downstream_and_no_others(bench: Any) -> None:
    plan = bench.compile(f"""{HEAD}  scored: {{uses: scorers/length, from: rows}}
  kept: {{uses: filters/keep, from: scored}}
  long: {{uses: filters/above, from: kept, with: {{column: score.scored}}}}
""")
    assert list(plan.nodes) == ["rows", "scored", "kept", "long"]
    [problem] = bench.details(f"""{HEAD}  scored: {{uses: scorers/length, from: rows}}
  long: {{uses: filters/above, from: rows, with: {{column: score.scored}}}}
""")
    assert (problem.code, problem.line, problem.fix) == (
        errors.NO_COLUMN, 8, "read from 'scored', or from a step after it",
    )  # fmt: skip
    [problem] = bench.details(f"""{HEAD}  scored: {{uses: scorers/length, from: rows}}
  long: {{uses: filters/above, from: scored, with: {{column: score.scord}}}}
""")
    assert problem.fix == "did you mean 'score.scored'?"


def test_secrets_are_refused_and_never_repeated(bench: Any) -> None:
    problems = bench.details("""
itune: 1
name: x
models:
  a: {backend: openai, model: m, base_url: u, api_key: sk-very-secret-1}
  b: {backend: openai, model: m, base_url: u, api_key: 987654321}
  c: {backend: openai, model: m, base_url: u, api_key: [sk-very-secret-2]}
  d: {backend: openai, model: m, base_url: u, api_key: "env:KEY"}
steps: {}
""")
    assert [(problem.code, problem.line) for problem in problems] == [
        (errors.OPEN_SECRET, 4), (errors.BAD_SETTING, 5), (errors.BAD_SETTING, 6),
    ]  # fmt: skip
    told = "\n".join(map(str, problems))
    assert "very-secret" not in told
    assert "987654321" not in told


def test_an_error_names_all_problems_and_survives_a_process(bench: Any) -> None:
    with pytest.raises(RecipeProblems) as caught:
        bench.compile(TEN)
    error = pickle.loads(pickle.dumps(caught.value))
    assert error.problems == caught.value.problems
    assert str(error).count("E-RECIPE-0") == 10  # nine of this layer's and the one that stands for all
    assert error.exit_code == 2


def test_check_lists_what_compile_raises(bench: Any, published: Any) -> None:
    file = bench.write(TEN)
    with pytest.raises(RecipeProblems) as caught:
        compile(file, load=published)
    assert check(file, load=published) == list(caught.value.problems)
    assert check(bench.write(HEAD), load=published) == []


def test_a_formatter_without_a_kind_is_told(bench: Any) -> None:
    [problem] = bench.details(f"{HEAD}  a: {{uses: formatters/kindless, with: {{path: dolly.jsonl}}}}\n")
    assert (problem.code, problem.line) == (errors.NO_KIND, 7)


def test_every_single_line_taken_away_is_told_or_harmless(bench: Any) -> None:
    """Nothing but problems comes out of a damaged recipe."""
    lines = TEN.lstrip("\n").splitlines()
    for index in range(len(lines)):
        text = "\n".join(lines[:index] + lines[index + 1 :])
        problems = bench.details(text)
        assert all(isinstance(problem, Problem) for problem in problems)


@pytest.mark.parametrize(
    ("name", "choices", "found"),
    [
        ("lerning_rate", ["learning_rate", "epochs"], "learning_rate"),
        ("learning-rate", ["learning_rate"], "learning_rate"),
        ("DPO", ["dpo", "kto"], "dpo"),
        ("xyz", ["learning_rate"], None),
        ("", ["a"], None),
        ("a", [], None),
    ],
)
def test_nearest(name: str, choices: list[str], found: str | None) -> None:
    assert nearest(name, choices) == found


def test_a_missing_file_is_a_problem_and_no_crash(tmp_path: Path, published: Any) -> None:
    [problem] = check(tmp_path / "none.yaml", load=published)
    assert problem.code == errors.UNREADABLE
