"""The plan of a right recipe: nodes, edges, kinds, casts, order, variants."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from itune_core.api import Kind
from itune_core.engine.casts import factor
from itune_core.plugins.catalog import Entry
from itune_core.plugins.policy import Policy, check
from itune_core.recipe import errors
from itune_core.recipe.errors import RecipeProblems
from itune_core.recipe.kinds import CASTS
from itune_core.recipe.plan import Feed, compile

DESIGN = """
itune: 1
name: helpful-135m
seed: 7
vars: {data: .}
models:
  student: {backend: transformers, model: "embedded:smollm2-135m"}
  teacher: {backend: openai, base_url: "http://127.0.0.1:8000/v1", model: qwen, api_key: "env:TEACHER_KEY"}
steps:
  dolly:    {uses: formatters/dolly,          with: {path: "${vars.data}/dolly.jsonl"}}
  parts:    {uses: filters/split,             from: dolly, with: {held_out: 0.1}}
  evolved:  {uses: generators/evol-instruct,  from: parts.train, with: {model: teacher, rounds: 2}}
  clean:    {uses: filters/evol-elimination,  from: evolved}
  mixed:    {uses: mixers/proportional,       from: [parts.train, clean], with: {cap: 3000}}
  sft:      {uses: trainers/sft,              from: {eval: parts.held_out, train: mixed}, with: {model: student}}
  pairs:    {uses: generators/ai-feedback,    from: parts.train, with: {policy: sft, judge: teacher}}
  aligned:  {variant: algorithm,              from: pairs, with: {model: sft}, max_failed: 0.2}
  loss:     {uses: evaluators/inference-loss, from: parts.held_out, with: {models: [student, sft, aligned]}}
matrix:
  algorithm:
    dpo:  {uses: trainers/dpo,  with: {beta: 0.1}, seed: 8}
    rrhf: {uses: trainers/rrhf, with: {rank_weight: 1}}
extensions: {profile: {depth: 2}}
"""

HEAD = """
itune: 1
name: test
models:
  student: {backend: transformers, model: "embedded:smollm2-135m"}
  teacher: {backend: transformers, model: "embedded:smollm2-135m"}
steps:
  rows: {uses: formatters/dolly, with: {path: dolly.jsonl}}
"""


def test_the_example_of_the_design(bench: Any) -> None:
    plan = bench.compile(DESIGN)
    assert (plan.name, plan.file, plan.recipe.seed) == ("helpful-135m", bench.file, 7)
    assert list(plan.nodes) == [
        "dolly", "parts", "evolved", "clean", "mixed", "sft", "pairs",
        "aligned[algorithm=dpo]", "aligned[algorithm=rrhf]", "loss",
    ]  # fmt: skip
    nodes = plan.nodes
    assert nodes["dolly"].config.path == str(bench.folder / "dolly.jsonl")
    assert nodes["evolved"].inputs == {"records": (Feed("parts", "train", (Kind.CONVERSATION,), Kind.PROMPT),)}
    assert nodes["clean"].inputs == {"records": (Feed("evolved", "records", (Kind.CONVERSATION,), None),)}
    assert nodes["mixed"].inputs == {
        "records": (
            Feed("parts", "train", (Kind.CONVERSATION,), None),
            Feed("clean", "records", (Kind.CONVERSATION,), None),
        )
    }
    assert list(nodes["sft"].inputs) == ["train", "eval"]  # as the component declares them, not as the recipe does
    assert nodes["sft"].models == ("student",)
    assert nodes["pairs"].models == ("sft", "teacher")
    dpo, rrhf = nodes["aligned[algorithm=dpo]"], nodes["aligned[algorithm=rrhf]"]
    assert (dpo.step, dpo.variant, dpo.uses, dpo.stage) == ("aligned", {"algorithm": "dpo"}, "dpo", "trainers")
    assert dpo.inputs == {"train": (Feed("pairs", "records", (Kind.PREFERENCE,), None),)}
    assert rrhf.inputs == {"train": (Feed("pairs", "records", (Kind.PREFERENCE,), Kind.RANKING),)}
    assert (dpo.config.beta, dpo.config.model, rrhf.config.rank_weight) == (0.1, "sft", 1.0)
    assert (dpo.seed, rrhf.seed, dpo.max_failed, nodes["sft"].max_failed) == (8, 7, 0.2, 0.05)
    assert nodes["loss"].models == ("student", "sft", dpo.name, rrhf.name)
    assert nodes["loss"].config.models == ["student", "sft", dpo.name, rrhf.name]
    assert [node.kind for node in nodes.values()] == [
        *[Kind.CONVERSATION] * 5, None, Kind.PREFERENCE, None, None, None,
    ]  # fmt: skip
    assert [nodes[name].line for name in ("dolly", "loss")] == [9, 17]
    assert dpo.line == 16
    assert plan.models["teacher"].config.api_key == "env:TEACHER_KEY"
    assert (plan.models["student"].backend, plan.models["student"].line) == ("transformers", 6)
    assert plan.extensions == {"profile": {"depth": 2}}
    assert plan.nodes["sft"].entry.distribution == "itune-trainers"


CASTABLE = [(kind, other) for kind, others in CASTS.items() for other in others]
CONSUMERS = {
    Kind.PROMPT: "evaluators/answers",
    Kind.RANKING: "trainers/rrhf",
    Kind.FEEDBACK: "trainers/kto",
    Kind.PREFERENCE: "trainers/dpo",
    Kind.CONVERSATION: "trainers/sft",
}


def test_the_casts_are_those_of_the_design_and_the_engine_has_them() -> None:
    for pair in CASTABLE:
        assert factor(*pair) == (2 if pair == (Kind.PREFERENCE, Kind.FEEDBACK) else 1)
    assert set(CASTABLE) == {
        (Kind.CONVERSATION, Kind.PROMPT),
        (Kind.PREFERENCE, Kind.RANKING),
        (Kind.PREFERENCE, Kind.FEEDBACK),
        (Kind.RANKING, Kind.PROMPT),
    }


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("wanted", list(CONSUMERS))
def test_every_kind_meets_every_consumer(bench: Any, kind: Kind, wanted: Kind) -> None:
    """It fits, or is cast, or is told: never anything else."""
    text = f"""{HEAD}
  source: {{uses: formatters/{kind.value}}}
  sink: {{uses: {CONSUMERS[wanted]}, from: source, with: {{model: student}}}}
"""
    if kind is wanted or (kind, wanted) in CASTABLE:
        [[feed]] = bench.compile(text).nodes["sink"].inputs.values()
        assert (feed.kinds, feed.cast) == ((kind,), None if kind is wanted else wanted)
        return
    [problem] = bench.details(text)
    assert (problem.code, problem.line, problem.path) == (errors.KINDS, 10, "steps.sink.from")
    assert f"{wanted.value} records" in problem.expected


def test_scorers_filters_and_mixers_hand_on_the_kind(bench: Any) -> None:
    plan = bench.compile(f"""{HEAD}
  pairs: {{uses: formatters/pairs, with: {{path: dolly.jsonl}}}}
  scored: {{uses: scorers/length, from: pairs}}
  kept: {{uses: filters/keep, from: scored}}
  mixed: {{uses: mixers/proportional, from: [kept, pairs]}}
  dpo: {{uses: trainers/dpo, from: mixed, with: {{model: student}}}}
""")
    assert [plan.nodes[name].kind for name in ("scored", "kept", "mixed", "dpo")] == [*[Kind.PREFERENCE] * 3, None]


def test_sources_of_a_mixer_are_of_one_kind(bench: Any) -> None:
    [problem] = bench.details(f"""{HEAD}
  pairs: {{uses: formatters/pairs, with: {{path: dolly.jsonl}}}}
  mixed:
    uses: mixers/proportional
    from:
      - rows
      - pairs
""")
    assert (problem.code, problem.line, problem.path) == (errors.MIXED_KINDS, 14, "steps.mixed.from[1]")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.integers(2, 12), st.randoms(use_true_random=False))
def test_nodes_come_after_what_they_need_and_otherwise_as_written(
    bench: Any, count: int, shuffle: random.Random
) -> None:
    """Steps written in any order; each step's sources are steps of a lower number."""
    sources = {
        number: sorted(shuffle.sample(range(number), shuffle.randint(1, min(3, number)))) for number in range(1, count)
    }
    order = list(range(1, count))
    shuffle.shuffle(order)
    lines = [f"  s{n}: {{uses: mixers/proportional, from: [{', '.join(f's{m}' for m in sources[n])}]}}" for n in order]
    plan = bench.compile(
        f"""{HEAD}
  s0: {{uses: formatters/dolly, with: {{path: dolly.jsonl}}}}
"""
        + "\n".join(lines)
    )
    names = list(plan.nodes)
    place = {name: index for index, name in enumerate(names)}
    for number, needed in sources.items():
        assert all(place[f"s{number}"] > place[f"s{other}"] for other in needed)
    # Whatever could have come earlier comes after something it needs, or after what was written before it.
    written = ["rows", "s0", *(f"s{n}" for n in order)]
    for name, following in pairwise(names):
        needs = {f"s{m}" for m in sources.get(int(following[1:]), [])} if following != "rows" else set()
        assert name in needs or written.index(name) < written.index(following)


def test_a_list_axis_gives_each_variant_its_seed_and_downstream_follows(bench: Any) -> None:
    plan = bench.compile(f"""{HEAD}
  paid: {{uses: generators/evol-instruct, from: rows, with: {{model: teacher}}}}
  sft: {{uses: trainers/sft, from: paid, with: {{model: student}}, seed: "${{matrix.seed}}"}}
  answers: {{uses: evaluators/answers, from: rows, with: {{model: sft}}}}
  loss: {{uses: evaluators/inference-loss, from: rows, with: {{models: [student, sft]}}}}
matrix:
  seed: [1, 2, 3]
""")
    assert list(plan.nodes) == [
        "rows", "paid",
        "sft[seed=1]", "sft[seed=2]", "sft[seed=3]",
        "answers[seed=1]", "answers[seed=2]", "answers[seed=3]",
        "loss",
    ]  # fmt: skip
    assert [plan.nodes[f"sft[seed={n}]"].seed for n in (1, 2, 3)] == [1, 2, 3]
    assert plan.nodes["answers[seed=2]"].config.model == "sft[seed=2]"
    assert plan.nodes["answers[seed=2]"].models == ("sft[seed=2]",)
    assert plan.nodes["loss"].config.models == ["student", "sft[seed=1]", "sft[seed=2]", "sft[seed=3]"]


def test_two_axes_multiply_in_the_order_of_the_matrix(bench: Any) -> None:
    plan = bench.compile(f"""{HEAD}
  pairs: {{uses: formatters/pairs, with: {{path: dolly.jsonl}}}}
  sft: {{uses: trainers/sft, from: rows, with: {{model: student, learning_rate: "${{matrix.rate}}"}}}}
  aligned: {{variant: algorithm, from: pairs, with: {{model: sft}}}}
  loss: {{uses: evaluators/inference-loss, from: rows, with: {{models: [sft, aligned]}}}}
matrix:
  algorithm:
    dpo: {{uses: trainers/dpo, with: {{beta: 0.2}}}}
    rrhf: {{uses: trainers/rrhf}}
  rate: [1e-4, 2e-4]
""")
    aligned = [name for name in plan.nodes if name.startswith("aligned")]
    assert aligned == [
        "aligned[algorithm=dpo,rate=1e-4]",
        "aligned[algorithm=dpo,rate=2e-4]",
        "aligned[algorithm=rrhf,rate=1e-4]",
        "aligned[algorithm=rrhf,rate=2e-4]",
    ]
    assert plan.nodes["sft[rate=1e-4]"].config.learning_rate == 1e-4
    assert plan.nodes[aligned[1]].models == ("sft[rate=2e-4]",)
    assert plan.nodes["loss"].models == ("sft[rate=1e-4]", "sft[rate=2e-4]", *aligned)


def test_what_gathers_but_varies_itself_takes_only_its_own_variants(bench: Any) -> None:
    """Of each axis that it shares with what it gathers, an evaluator reads its own value."""
    plan = bench.compile(f"""{HEAD}
  kept: {{uses: filters/keep, from: rows, with: {{limits: {{words: "${{matrix.words}}"}}}}}}
  sft: {{uses: trainers/sft, from: kept, with: {{model: student}}, seed: "${{matrix.seed}}"}}
  loss: {{uses: evaluators/inference-loss, from: kept, with: {{models: [sft]}}}}
matrix:
  words: [10, 20]
  seed: [1, 2]
""")
    assert plan.nodes["loss[words=10]"].models == ("sft[words=10,seed=1]", "sft[words=10,seed=2]")
    assert plan.nodes["loss[words=20]"].models == ("sft[words=20,seed=1]", "sft[words=20,seed=2]")
    assert plan.nodes["loss[words=20]"].inputs["records"][0].node == "kept[words=20]"


def test_an_input_of_many_gathers_all_variants(bench: Any) -> None:
    plan = bench.compile(f"""{HEAD}
  kept: {{uses: filters/keep, from: rows, with: {{limits: {{words: "${{matrix.words}}"}}}}}}
  mixed: {{uses: mixers/proportional, from: [rows, kept]}}
matrix:
  words: [10, 20]
""")
    assert [feed.node for feed in plan.nodes["mixed"].inputs["records"]] == ["rows", "kept[words=10]", "kept[words=20]"]


def test_a_variant_may_say_everything_and_its_word_counts(bench: Any) -> None:
    plan = bench.compile(f"""{HEAD}
  other: {{uses: formatters/dolly, with: {{path: rows.jsonl}}}}
  sft:
    uses: trainers/sft
    from: rows
    variant: size
    with: {{model: student, epochs: 2, adapter: lora}}
matrix:
  size:
    base:
    long: {{from: other, with: {{epochs: 4}}, max_failed: 0.5}}
    named: {{with: {{model: teacher}}, seed: 3}}
""")
    base, long, named = (plan.nodes[f"sft[size={name}]"] for name in ("base", "long", "named"))
    assert [(node.config.epochs, node.config.adapter) for node in (base, long, named)] == [
        (2, "lora"),
        (4, "lora"),
        (2, "lora"),
    ]
    assert [node.inputs["train"][0].node for node in (base, long, named)] == ["rows", "other", "rows"]
    assert (long.max_failed, named.seed, named.models) == (0.5, 3, ("teacher",))


def test_the_name_of_a_variant_may_be_referred_to(bench: Any) -> None:
    plan = bench.compile(f"""{HEAD}
  other: {{uses: formatters/dolly, with: {{path: "${{matrix.file}}.jsonl", source: "from ${{matrix.file}}"}}}}
matrix:
  file: [dolly, rows]
""")
    assert plan.nodes["other[file=rows]"].config.source == "from rows"
    assert Path(plan.nodes["other[file=rows]"].config.path).name == "rows.jsonl"


def test_nested_references_are_edges_and_become_variants(bench: Any) -> None:
    plan = bench.compile(f"""{HEAD}
  sft: {{uses: trainers/sft, from: rows, with: {{model: student}}, seed: "${{matrix.seed}}"}}
  evolved:
    uses: generators/evol-instruct
    from: rows
    with: {{model: teacher, judges: [{{model: sft, weight: 2}}, {{model: teacher}}]}}
  kept: {{uses: filters/threshold, from: rows, with: {{rule: evolved}}}}
matrix:
  seed: [1, 2]
""")
    evolved = plan.nodes["evolved[seed=2]"]
    assert [judge.model for judge in evolved.config.judges] == ["sft[seed=2]", "teacher"]
    assert evolved.config.judges[0].weight == 2
    assert evolved.models == ("teacher", "sft[seed=2]")
    kept = plan.nodes["kept[seed=1]"]
    assert (kept.config.rule, kept.steps, kept.models) == ("evolved[seed=1]", ("evolved[seed=1]",), ())


def test_so_are_the_files_of_secrets_and_of_extensions(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret's file is read when it is used; there need not be one before."""
    monkeypatch.chdir(bench.folder.parent)
    monkeypatch.setenv("HOME", "/home/anna")
    server = "{{backend: openai, base_url: 'http://127.0.0.1:8000/v1', model: qwen, api_key: '{key}'}}"
    written = {"near": "file:keys/near", "home": "file:~/key", "whole": "file:/run/key", "named": "env:KEY"}
    models = "\n".join(f"  {name}: {server.format(key=key)}" for name, key in written.items())
    plan = bench.compile(f"""
itune: 1
name: test
models:
{models}
steps:
  rows: {{uses: formatters/dolly, with: {{path: dolly.jsonl}}}}
  told: {{uses: evaluators/answers, from: rows, with: {{model: near, token: "file:token"}}}}
extensions: {{profile: {{names: rows.jsonl, token: "file:token"}}}}
""")
    assert {name: model.config.api_key for name, model in plan.models.items()} == {
        "near": f"file:{bench.folder}/keys/near",
        "home": "file:/home/anna/key",
        "whole": "file:/run/key",
        "named": "env:KEY",
    }
    assert plan.nodes["told"].config.token == f"file:{bench.folder}/token"
    assert plan.extensions == {
        "profile": {"names": f"{bench.folder}/rows.jsonl", "token": f"file:{bench.folder}/token"}
    }


def test_files_are_found_from_the_folder_of_the_recipe(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bench.folder.parent)
    (bench.folder / "more").mkdir()
    (bench.folder / "more" / "a.jsonl").write_text("{}\n")
    plan = bench.compile(f"""{HEAD}
  glob: {{uses: formatters/dolly, with: {{path: "more/*.jsonl"}}}}
  folder: {{uses: formatters/dolly, with: {{path: more}}}}
  several: {{uses: formatters/dolly, with: {{path: [dolly.jsonl, "{bench.folder}/rows.jsonl"]}}}}
""")
    assert plan.nodes["glob"].config.path == str(bench.folder / "more" / "*.jsonl")
    assert plan.nodes["folder"].config.path == str(bench.folder / "more")
    assert plan.nodes["several"].config.path == [str(bench.folder / "dolly.jsonl"), str(bench.folder / "rows.jsonl")]


def test_only_first_party_distributions_and_those_on_the_list_are_loaded(
    bench: Any, published: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def foreign(stage: str, name: str, policy: Policy) -> tuple[Entry, type[Any]]:
        entry, loaded = published(stage, name, policy)
        if stage == "formatters":
            check(replace(entry, distribution="acme-itune"), policy)
        return entry, loaded

    def codes(text: str, **more: Any) -> list[tuple[str, int, str]]:
        try:
            compile(bench.write(text), load=foreign, **more)
        except RecipeProblems as error:
            return [(problem.code, problem.line, problem.path) for problem in error.problems]
        return []

    refused = [("E-PLUGIN-010", 7, "steps.rows.uses")]
    assert codes(HEAD) == refused
    assert codes(f"{HEAD}plugins: {{allow: [other]}}\n") == refused
    assert codes(f"{HEAD}plugins: {{allow: [Acme_Itune]}}\n") == []
    assert codes(HEAD, allow=["acme-itune"]) == []


def test_the_recipe_says_whose_component_is_taken(bench: Any, published: Any) -> None:
    seen = []

    def load(stage: str, name: str, policy: Policy) -> tuple[Entry, type[Any]]:
        seen.append(dict(policy.prefer))
        return published(stage, name, policy)

    compile(bench.write(f"{HEAD}plugins: {{prefer: {{trainers/dpo: acme-itune}}}}\n"), load=load)
    assert {"trainers/dpo": "acme-itune"} in seen
