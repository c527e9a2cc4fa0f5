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
from itune_core.recipe.errors import CODES, Problem, RecipeProblems
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


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
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


CASES: list[tuple[str, str, str, str | None]] = [
    # the step `a`; code; path; part of the fix
    ("{uses: filters/keep, form: rows}", errors.UNKNOWN_KEY, "steps.a.form", "did you mean 'from'?"),
    ("{uses: filters/keep, from: rows, when: x}", errors.RESERVED_KEY, "steps.a.when", "remove it"),
    ("{from: rows}", errors.MISSING_KEY, "steps.a", None),
    ("3", errors.SHAPE, "steps.a", None),
    ("{uses: sft, from: rows}", errors.BAD_USES, "steps.a.uses", None),
    ("{uses: [filters/keep], from: rows}", errors.BAD_USES, "steps.a.uses", None),
    ("{uses: backends/transformers}", errors.UNKNOWN_STAGE, "steps.a.uses", "backends stand under `models`"),
    ("{uses: filters/keep, from: rows, with: [1]}", errors.SHAPE, "steps.a.with", None),
    ("{uses: filters/keep, from: rows, seed: -1}", errors.BAD_VALUE, "steps.a.seed", None),
    ("{uses: filters/keep, from: rows, seed: true}", errors.BAD_VALUE, "steps.a.seed", None),
    ("{uses: filters/keep, from: rows, max_failed: 5}", errors.BAD_VALUE, "steps.a.max_failed", None),
    ("{uses: filters/keep, from: rosw}", errors.UNKNOWN_STEP, "steps.a.from", "did you mean 'rows'?"),
    ("{uses: filters/keep, from: student}", errors.NOT_RECORDS, "steps.a.from", None),
    ("{uses: filters/keep, from: rows.train}", errors.UNKNOWN_OUTPUT, "steps.a.from", None),
    ("{uses: filters/keep, from: [rows, rows]}", errors.ONE_INPUT, "steps.a.from[1]", None),
    ("{uses: filters/keep, from: []}", errors.SHAPE, "steps.a.from", None),
    ("{uses: filters/keep, from: 3}", errors.SHAPE, "steps.a.from", None),
    ("{uses: filters/keep, from: a}", errors.CYCLE, "steps.a.from", "name another step"),
    ("{uses: formatters/dolly, with: {path: dolly.jsonl}, from: rows}", errors.UNKNOWN_INPUT, "steps.a.from", None),
    (
        "{uses: trainers/sft, from: {train: rows, evl: rows}, with: {model: student}}",
        errors.UNKNOWN_INPUT, "steps.a.from.evl", "did you mean 'eval'?",
    ),
    ("{uses: trainers/sft, from: {eval: rows}, with: {model: student}}", errors.MISSING_INPUT, "steps.a.from", None),
    ("{uses: trainers/sft, from: rows}", errors.MISSING_SETTING, "steps.a.with.model", "add `model: ...`"),
    ("{uses: trainers/sft, from: rows, with: {model: rows}}", errors.NOT_A_MODEL, "steps.a.with.model", None),
    ("{uses: trainers/sft, from: rows, with: {model: a}}", errors.CYCLE, "steps.a.with.model", "name another step"),
    (
        "{uses: evaluators/inference-loss, from: rows, with: {models: [student, studet]}}",
        errors.UNKNOWN_MODEL, "steps.a.with.models[1]", "did you mean 'student'?",
    ),
    ("{uses: evaluators/inference-loss, from: rows, with: {models: []}}",
     errors.BAD_SETTING, "steps.a.with.models", None),
    (
        "{uses: trainers/sft, from: rows, with: {model: student, adapter: loar}}",
        errors.BAD_SETTING, "steps.a.with.adapter", "did you mean 'lora'?",
    ),
    (
        "{uses: trainers/sft, from: rows, with: {model: student, epochs: 0}}",
        errors.BAD_SETTING, "steps.a.with.epochs", None,
    ),
    (
        "{uses: trainers/sft, from: rows, with: {model: student, learning_rate: .inf}}",
        errors.BAD_SETTING, "steps.a.with.learning_rate", None,
    ),
    ("{uses: filters/keep, from: rows, with: {limits: {x: y}}}", errors.BAD_SETTING, "steps.a.with.limits.x", None),
    (
        "{uses: generators/evol-instruct, from: rows, with: {model: student, judges: [{modle: student}]}}",
        errors.MISSING_SETTING, "steps.a.with.judges[0].model", None,
    ),
    ("{uses: formatters/dolly, with: {path: [dolly.jsonl, 3]}}", errors.BAD_SETTING, "steps.a.with.path[1]", None),
    ("{uses: formatters/dolly, with: {path: doly.jsonl}}", errors.NO_FILE, "steps.a.with.path", None),
    ("{uses: formatters/dolly, with: {path: [dolly.jsonl, '*.gz']}}", errors.NO_FILE, "steps.a.with.path[1]", None),
    ("{uses: formatters/dolly, with: {path: ''}}", errors.NO_FILE, "steps.a.with.path", None),
    ("{uses: filters/threshold, from: rows, with: {rule: rosw}}", errors.UNKNOWN_STEP, "steps.a.with.rule", "'rows'"),
    ("{uses: filters/keep, from: rows, variant: x}", errors.UNKNOWN_AXIS, "steps.a.variant", None),
    ("{uses: filters/above, from: rows, with: {column: score.b}}", errors.NO_COLUMN, "steps.a.from", None),
]  # fmt: skip


@pytest.mark.parametrize(("line", "code", "path", "fix"), CASES, ids=[f"{code}-{path}" for _, code, path, _ in CASES])
def test_each_mistake(bench: Any, line: str, code: str, path: str, fix: str | None) -> None:
    problems = bench.details(f"{HEAD}  a: {line}\n")
    found = {(problem.code, problem.path): problem for problem in problems}
    assert (code, path) in found, problems
    problem = found[code, path]
    assert problem.line == 7
    if fix is not None:
        assert fix in (problem.fix or "")
    if code != errors.MISSING_SETTING or "modle" not in line:
        assert len(problems) == 1, problems  # one mistake is told once


START = "itune: 1\nname: x\nsteps: {}\n"

SECTIONS: list[tuple[str, str, int, str]] = [
    ("name: x\nsteps: {}", errors.VERSION, 1, ""),
    ("itune: 2\nname: x\nsteps: {}", errors.VERSION, 1, "itune"),
    ("itune: true\nname: x\nsteps: {}", errors.VERSION, 1, "itune"),
    ("itune: 1\nsteps: {}", errors.MISSING_KEY, 1, ""),
    ("itune: 1\nname: x", errors.MISSING_KEY, 1, ""),
    ("itune: 1\nname: ../x\nsteps: {}", errors.BAD_VALUE, 2, "name"),
    ("itune: 1\nname: 3\nsteps: {}", errors.BAD_VALUE, 2, "name"),
    ("itune: 1\nname: x\nsteps: []", errors.SHAPE, 3, "steps"),
    (START + "step: {}", errors.UNKNOWN_KEY, 4, "step"),
    (START + "include: y", errors.RESERVED_KEY, 4, "include"),
    (START + "models: [a]", errors.SHAPE, 4, "models"),
    (START + "models: {a: {model: b}}", errors.MISSING_KEY, 4, "models.a"),
    (START + "models: {a: {backend: transformers}}", errors.MISSING_SETTING, 4, "models.a.model"),
    (
        START + "models: {a: {backend: transfomers, model: b}}",
        "E-PLUGIN-001", 4, "models.a.backend",
    ),
    (
        START + "models:\n  a: {backend: transformers, model: b, revison: c}",
        errors.UNKNOWN_SETTING, 5, "models.a.revison",
    ),
    (START + "seed: 1.5", errors.BAD_VALUE, 4, "seed"),
    (START + "max_failed: lots", errors.BAD_VALUE, 4, "max_failed"),
    (START + "plugins: {allow: all}", errors.SHAPE, 4, "plugins.allow"),
    (START + "plugins: {alow: []}", errors.UNKNOWN_KEY, 4, "plugins.alow"),
    (START + "extensions: {profil: {}}", "E-PLUGIN-001", 4, "extensions.profil"),
    (START + "extensions: {profile: {depth: 0}}", errors.BAD_SETTING, 4, "extensions.profile.depth"),
    (START + "models: {a-b: {backend: transformers, model: b}}", errors.BAD_NAME, 4, "models.a-b"),
    ("itune: 1\nname: '${matrix.a}'\nsteps: {}", errors.UNKNOWN_REFERENCE, 2, "name"),
    ("- 1", errors.SHAPE, 1, ""),
    ("", errors.SHAPE, 1, ""),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code", "line", "path"), SECTIONS)
def test_mistakes_outside_of_steps(bench: Any, text: str, code: str, line: int, path: str) -> None:
    [problem] = bench.details(text)
    assert (problem.code, problem.line, problem.path) == (code, line, path)


MATRICES: list[tuple[str, str, str, str]] = [
    # a step; the matrix; code; path
    ("", "seed: [1, 2]", errors.UNUSED_AXIS, "matrix.seed"),
    ("seed: '${matrix.seed}'", "seed: []", errors.BAD_AXIS, "matrix.seed"),
    ("seed: '${matrix.seed}'", "seed: [1, 1]", errors.BAD_AXIS, "matrix.seed[1]"),
    ("seed: '${matrix.seed}'", "seed: [1, [2]]", errors.BAD_AXIS, "matrix.seed[1]"),
    ("seed: '${matrix.seed}'", "seed: [1, null]", errors.BAD_AXIS, "matrix.seed[1]"),
    ("seed: '${matrix.seed}'", "seed: [1, two]", errors.BAD_VALUE, "steps.a.seed"),
    ("seed: '${matrix.sead}'", "seed: [1, 2]", errors.UNKNOWN_REFERENCE, "steps.a.seed"),
    ("variant: seed", "seed: [1, 2]", errors.UNUSED_AXIS, "steps.a.variant"),
    ("variant: sead", "seed: [1, 2]", errors.UNKNOWN_AXIS, "steps.a.variant"),
    ("variant: [seed]", "seed: [1, 2]", errors.UNKNOWN_AXIS, "steps.a.variant"),
    ("variant: how", "how: {one: {limits: 1}}", errors.UNKNOWN_KEY, "matrix.how.one.limits"),
    ("variant: how", "how: {one: {with: {limit: 1}}}", errors.UNKNOWN_SETTING, "matrix.how.one.with.limit"),
    ("variant: how", "how: {one: {with: {limits: {a: x}}}}", errors.BAD_SETTING, "matrix.how.one.with.limits.a"),
    ("variant: how", "how: {one: {uses: filters/kep}}", "E-PLUGIN-001", "matrix.how.one.uses"),
    ("variant: how", "how: {one: {from: rosw}}", errors.UNKNOWN_STEP, "matrix.how.one.from"),
    ("variant: how", "how: {one: {variant: how}}", errors.UNKNOWN_KEY, "matrix.how.one.variant"),
    ("variant: how", "how: {One: {}}", errors.BAD_NAME, "matrix.how.One"),
    ("variant: how", "how: {one: 3}", errors.SHAPE, "matrix.how.one"),
    ("with: {limits: '${matrix.how}'}", "how: {one: {seed: 1}}", errors.UNUSED_AXIS, "matrix.how"),
    ("max_failed: '${matrix.seed}'", "seed: [0.1, 0.2]", errors.BAD_REFERENCE, "steps.a.max_failed"),
]


@pytest.mark.parametrize(("step", "matrix", "code", "path"), MATRICES)
def test_mistakes_of_the_matrix(bench: Any, step: str, matrix: str, code: str, path: str) -> None:
    problems = bench.details(f"""{HEAD}  a:
    uses: filters/keep
    from: rows
    {step}
  b: {{uses: filters/keep, from: a}}
matrix:
  {matrix}
""")
    assert (code, path) in {(problem.code, problem.path) for problem in problems}, problems
    assert all(
        problem.line == (13 if path.startswith("matrix") else 10) for problem in problems if problem.path == path
    )


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


def test_codes_are_complete_and_documented() -> None:
    """Each code that the layer raises is in the table, each number once, with a sentence."""
    constants = {value for name, value in vars(errors).items() if name.isupper() and isinstance(value, str)}
    assert constants == set(CODES)
    assert len(CODES) == len(set(CODES.values()))
    assert list(CODES) == sorted(CODES)
    assert all(re.fullmatch(r"E-RECIPE-\d{3}", code) and meaning.endswith(".") for code, meaning in CODES.items())
    tested = {code for _, code, *_ in CASES} | {code for _, code, *_ in SECTIONS} | {code for _, _, code, _ in MATRICES}
    elsewhere = {code for code, _ in EXPECTED.values()}
    assert {code for code in CODES if code not in tested | elsewhere} == {
        errors.MANY, errors.UNREADABLE, errors.SYNTAX, errors.DUPLICATE_KEY, errors.TAG, errors.ANCHOR, errors.DEPTH,
        errors.OPEN_SECRET, errors.MIXED_KINDS, errors.NO_KIND, errors.BAD_OVERRIDE,
    }  # fmt: skip  # each has a test of its own


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
