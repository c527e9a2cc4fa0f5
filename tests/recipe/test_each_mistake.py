"""One recipe for each mistake that can be made: it is told once, at its key."""

from __future__ import annotations

import re
from typing import Any

import pytest

from itune_core.recipe import errors
from itune_core.recipe.errors import CODES

HEAD = """
itune: 1
name: test
models:
  student: {backend: transformers, model: "embedded:smollm2-135m"}
steps:
  rows: {uses: formatters/dolly, with: {path: dolly.jsonl}}
"""  # seven lines once the first line break is gone, the last of them empty

CASES: list[tuple[str, str, str, str | None]] = [
    # the step `a`; code; path; part of the fix
    ("{uses: trainers/dpo, from: rows, with: {model: student}}", errors.KINDS, "steps.a.from", "only to prompt"),
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
    ("{uses: formatters/dolly, with: {path: '~nobody-here/x'}}", errors.NO_FILE, "steps.a.with.path", None),
    ("{uses: formatters/dolly, with: {path: \"a\\0b\"}}", errors.NO_FILE, "steps.a.with.path", None),
    (f"{{uses: formatters/dolly, with: {{path: {'x' * 5000}}}}}", errors.NO_FILE, "steps.a.with.path", None),
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
    (START + "plugins: {prefer: [acme]}", errors.SHAPE, 4, "plugins.prefer"),
    (START + "plugins: {prefer: {dpo: acme}}", errors.SHAPE, 4, "plugins.prefer.dpo"),
    (START + "plugins: {prefer: {trainer/dpo: acme}}", errors.SHAPE, 4, "plugins.prefer.trainer/dpo"),
    (START + "plugins: {prefer: {trainers/dpo: [acme]}}", errors.SHAPE, 4, "plugins.prefer.trainers/dpo"),
    (START + "extensions: {profil: {}}", "E-PLUGIN-001", 4, "extensions.profil"),
    (START + "extensions: {profile: {depth: 0}}", errors.BAD_SETTING, 4, "extensions.profile.depth"),
    (START + "models: {a: b}", errors.SHAPE, 4, "models.a"),
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


def test_codes_are_complete_and_documented() -> None:
    """Each code that the layer raises is in the table, each number once, with a sentence."""
    constants = {value for name, value in vars(errors).items() if name.isupper() and isinstance(value, str)}
    assert constants == set(CODES)
    assert len(CODES) == len(set(CODES.values()))
    assert list(CODES) == sorted(CODES)
    assert all(re.fullmatch(r"E-RECIPE-\d{3}", code) and meaning.endswith(".") for code, meaning in CODES.items())
    tested = {code for _, code, *_ in CASES} | {code for _, code, *_ in SECTIONS} | {code for _, _, code, _ in MATRICES}
    assert CODES.keys() - tested == {
        errors.MANY, errors.UNREADABLE, errors.SYNTAX, errors.DUPLICATE_KEY, errors.TAG, errors.ANCHOR, errors.DEPTH,
        errors.OPEN_SECRET, errors.NAME_TWICE, errors.MIXED_KINDS, errors.NO_KIND, errors.BAD_OVERRIDE,
    }  # fmt: skip  # each has a test of its own
