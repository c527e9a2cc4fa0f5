"""``${vars.x}`` and ``--set``: what a value becomes, with its type and its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_core.recipe import errors
from itune_core.recipe.errors import Problems
from itune_core.recipe.nodes import Node
from itune_core.recipe.references import axes_in, put_matrix, put_vars
from itune_core.recipe.yaml import read_text

HEAD = """
itune: 1
name: test
models:
  student: {backend: transformers, model: "embedded:smollm2-135m"}
"""


def tree(text: str) -> Node:
    problems = Problems(Path("recipe.yaml"))
    node = read_text(text, problems)
    assert node is not None
    assert not problems
    return node


def put(text: str, **variables: str) -> tuple[Any, list[str]]:
    """`text` with variables put in, and the codes of what was wrong."""
    problems = Problems(Path("recipe.yaml"))
    values = {name: tree(value) for name, value in variables.items()}
    node = put_matrix(put_vars(tree(text), values, problems), {})
    return node.plain(), [problem.code for problem in problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("x: ${vars.number}", 1e-4),
        ("x: '${vars.number}'", 1e-4),
        ("x: a ${vars.number}", "a 1e-4"),  # as it was written
        ("x: ${vars.flag}", True),
        ("x: ${vars.flag}!", "true!"),
        ("x: ${vars.list}", [1, "two"]),
        ("x: ${vars.word}/${vars.number}", "data/1e-4"),
        ("x: ${vars.empty}", None),
        ("x: $${vars.word}", "${vars.word}"),
        ("x: $$${vars.word}", "$${vars.word}"),
        ("x: costs $5 {or so}", "costs $5 {or so}"),
    ],
)
def test_references(text: str, value: Any) -> None:
    found = put(text, number="1e-4", flag="true", list="[1, two]", word="data", empty="")
    assert found == ({"x": value}, [])


def test_only_values_are_replaced_and_keys_are_not() -> None:
    assert put("${vars.a}: ${vars.a}", a="b") == ({"${vars.a}": "b"}, [])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("x: ${vars.dat}", errors.UNKNOWN_REFERENCE),
        ("x: a ${vars.dat} b", errors.UNKNOWN_REFERENCE),
        ("x: ${env.HOME}", errors.BAD_REFERENCE),
        ("x: ${HOME}", errors.BAD_REFERENCE),
        ("x: ${vars.data", errors.BAD_REFERENCE),
        ("x: ${}", errors.BAD_REFERENCE),
        ("x: ${vars.${vars.data}}", errors.BAD_REFERENCE),
        ("x: in ${vars.list}", errors.BAD_REFERENCE),
        ("x: in ${vars.empty}", errors.BAD_REFERENCE),
    ],
)
def test_wrong_references(text: str, code: str) -> None:
    assert put(text, data="d", list="[1]", empty="")[1] == [code]


@given(st.text(alphabet="ab${}. vrsmatix", max_size=30))
def test_text_without_references_is_left_alone_and_the_escape_is_undone(text: str) -> None:
    node = Node(text.replace("${", "$${"), tree("x").place)
    problems = Problems(Path("recipe.yaml"))
    assert put_matrix(put_vars(node, {}, problems), {}).value == text
    assert not problems


@given(st.text(max_size=20))
def test_what_a_variable_holds_is_never_looked_at_again(value: str) -> None:
    """A value that looks like a reference stays what it is, unless it is one of the matrix, which `vars` refuses."""
    node = Node(value, tree("x").place, value)
    problems = Problems(Path("recipe.yaml"))
    assert put_vars(tree("${vars.a}"), {"a": node}, problems).value == value
    assert not problems


def test_a_replaced_value_stands_where_the_reference_stood() -> None:
    problems = Problems(Path("recipe.yaml"))
    node = put_vars(tree("a: 1\nb: ${vars.x}\n"), {"x": tree("deep")}, problems).entries["b"]
    assert (node.value, node.at.line, node.place.column) == ("deep", 2, 4)


def test_axes_are_found_wherever_they_stand() -> None:
    found = axes_in(tree("a: [1, '${matrix.seed}']\nb: {c: 'x ${matrix.size} ${vars.y} $${matrix.no}'}"))
    assert [(axis, path) for axis, _, path in found] == [("seed", ("a", 1)), ("size", ("b", "c"))]


def test_a_number_in_vars_is_a_number_in_the_config(bench: Any) -> None:
    plan = bench.compile(f"""{HEAD}
vars: {{data: dolly, rate: 1e-4, epochs: 3}}
steps:
  rows: {{uses: formatters/dolly, with: {{path: "${{vars.data}}.jsonl"}}}}
  sft:
    uses: trainers/sft
    from: rows
    with: {{model: student, learning_rate: "${{vars.rate}}", epochs: "${{vars.epochs}}"}}
""")
    assert plan.nodes["rows"].config.path == str(bench.folder / "dolly.jsonl")
    assert plan.nodes["sft"].config.learning_rate == 1e-4
    assert plan.nodes["sft"].config.epochs == 3
    assert plan.recipe.vars == {"data": "dolly", "rate": 1e-4, "epochs": 3}


def test_an_unknown_variable_is_told_with_the_nearest_name(bench: Any) -> None:
    [problem] = bench.details(f"""{HEAD}
vars: {{learning_rate: 1e-4}}
steps:
  rows: {{uses: formatters/dolly, with: {{path: dolly.jsonl}}}}
  keep:
    uses: filters/keep
    from: rows
    with:
      limits: {{a: "${{vars.lerning_rate}}"}}
""")  # and nothing about the type of the text that could not be replaced
    assert (problem.code, problem.line, problem.path) == (errors.UNKNOWN_REFERENCE, 13, "steps.keep.with.limits.a")
    assert problem.fix == "did you mean 'learning_rate'?"


def test_what_cannot_be_replaced_is_one_mistake_and_not_two(bench: Any) -> None:
    """Neither the missing file nor the missing model is told again."""
    assert bench.problems(f"""{HEAD}
steps:
  rows: {{uses: formatters/dolly, with: {{path: "${{vars.data}}/x"}}}}
  sft:
    uses: trainers/sft
    from: rows
    with:
      model: ${{vars.model}}
      epochs: ${{matrix.epochs}}
""") == [(errors.UNKNOWN_REFERENCE, 7), (errors.UNKNOWN_REFERENCE, 12), (errors.UNKNOWN_REFERENCE, 13)]


def test_variables_do_not_refer_to_each_other(bench: Any) -> None:
    assert bench.problems(f"""{HEAD}
vars:
  a: 1
  b: "${{vars.a}}${{vars.a}}"
  c: $${{this is text}}
steps:
  rows: {{uses: formatters/dolly, with: {{path: dolly.jsonl}}}}
""") == [(errors.BAD_REFERENCE, 8)]


STEPS = f"""{HEAD}
vars: {{data: dolly.jsonl}}
steps:
  rows: {{uses: formatters/dolly, with: {{path: "${{vars.data}}"}}}}
  keep: {{uses: filters/keep, from: rows}}
  sft: {{uses: trainers/sft, from: keep, with: {{model: student}}}}
  loss: {{uses: evaluators/inference-loss, from: rows, with: {{models: [student, sft]}}}}
"""


@pytest.mark.parametrize(
    ("override", "node", "read", "value"),
    [
        ("steps.sft.with.learning_rate=1e-4", "sft", lambda node: node.config.learning_rate, 1e-4),
        ("steps.sft.with.epochs=3", "sft", lambda node: node.config.epochs, 3),
        ("steps.sft.with.adapter=lora", "sft", lambda node: node.config.adapter, "lora"),
        ("steps.keep.with.limits={a: 2}", "keep", lambda node: node.config.limits, {"a": 2}),  # there was no `with`
        ("steps.sft.seed=11", "sft", lambda node: node.seed, 11),
        ("seed=5", "sft", lambda node: node.seed, 5),
        ("max_failed=0.5", "rows", lambda node: node.max_failed, 0.5),
        ("steps.keep.max_failed=1", "keep", lambda node: node.max_failed, 1.0),
        ("vars.data=rows.jsonl", "rows", lambda node: Path(node.config.path).name, "rows.jsonl"),
        ("steps.loss.with.models.0=sft", "loss", lambda node: node.config.models, ["sft", "sft"]),
        ("steps.sft.from=rows", "sft", lambda node: node.inputs["train"][0].node, "rows"),
        ("name=other", "sft", lambda node: node.name, "sft"),
        ("steps.sft.with.learning_rate=${vars.data}", None, None, errors.BAD_SETTING),
    ],
)
def test_set(bench: Any, override: str, node: str | None, read: Any, value: Any) -> None:
    if node is None:
        [problem] = bench.details(STEPS, override)
        assert (problem.code, problem.where, problem.line) == (value, f"--set {override}", 0)
    else:
        assert read(bench.compile(STEPS, override).nodes[node]) == value


def test_later_overrides_win(bench: Any) -> None:
    plan = bench.compile(STEPS, "steps.sft.with.epochs=2", "steps.sft.with.epochs=4")
    assert plan.nodes["sft"].config.epochs == 4


@pytest.mark.parametrize(
    ("override", "code", "fix"),
    [
        ("steps.sfft.with.epochs=2", errors.BAD_OVERRIDE, "did you mean 'sft'?"),
        ("stepss.sft.with.epochs=2", errors.BAD_OVERRIDE, "did you mean 'steps'?"),
        ("vars.dat=x", errors.BAD_OVERRIDE, "did you mean 'data'?"),
        ("models.studnt.model=x", errors.BAD_OVERRIDE, "did you mean 'student'?"),
        ("steps.sft.with.epoch=2", errors.UNKNOWN_SETTING, "did you mean 'epochs'?"),
        ("steps.sft.wiht.epochs=2", errors.BAD_OVERRIDE, "did you mean 'with'?"),
        ("steps.sft.sed=2", errors.UNKNOWN_KEY, "did you mean 'seed'?"),
        ("steps.sft.uses.x=2", errors.BAD_OVERRIDE, None),
        ("steps.loss.with.models.7=sft", errors.BAD_OVERRIDE, None),
        ("sed=2", errors.UNKNOWN_KEY, "did you mean 'seed'?"),
        ("steps.sft.with.epochs", errors.BAD_OVERRIDE, None),
        ("=2", errors.BAD_OVERRIDE, None),
        ("steps..with=2", errors.BAD_OVERRIDE, None),
        ("steps.sft.with.epochs=!!python/name:os.system", errors.TAG, None),
        ("steps.sft.with.epochs=[1", errors.SYNTAX, None),
    ],
)
def test_wrong_overrides_are_told_at_the_override(bench: Any, override: str, code: str, fix: str | None) -> None:
    problem = bench.details(STEPS, override)[0]
    assert problem.code == code
    assert problem.where == f"--set {override}"
    if fix:
        assert problem.fix == fix
