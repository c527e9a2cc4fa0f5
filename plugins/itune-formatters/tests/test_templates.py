from __future__ import annotations

import json
import pickle
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from itune_core.api import DataError, Drop, Failed, Record, Used
from itune_core.testing import BenchContext
from itune_formatters.tasks.rendering import MARK, Renderer
from itune_formatters.tasks.template_files import Template, read_templates
from itune_formatters.tasks.templates import Templates

HEAD = "dataset: loans\nsubset: tools\ntemplates:\n"
ENTRY = """\
  {id}: !Template
    answer_choices: {choices}
    id: {id}
    jinja: {jinja}
    metadata: !TemplateMetadata
      choices_in_prompt: false
      languages: [en]
      metrics: [Accuracy]
      original_task: {original}
    name: {name}
    reference: ''
"""

Make = Callable[..., list[Any]]


def entry(name: str, jinja: str, choices: str | None = None, original: bool = True) -> str:
    fields = {"jinja": jinja, "choices": choices, "original": original, "id": f"id-{name}", "name": name}
    return ENTRY.format(**{key: value if key in ("id", "name") else json.dumps(value) for key, value in fields.items()})


@pytest.fixture
def make(run: Any, tmp_path: Path) -> Make:
    """Applies templates to rows; every outcome."""

    def make(rows: list[Any], *entries: str, **options: Any) -> list[Any]:
        path = tmp_path / "templates.yaml"
        path.write_text(HEAD + "".join(entries), "utf-8")
        return list(run(Templates, rows, templates=str(path), **options))

    return make


def turns(record: Record) -> list[str]:
    return [turn["content"] for turn in record["messages"]]


STATE = entry("state", "Is {{thing}} back?\n|||\n{{ answer_choices[state] }}", "no ||| yes, by {{who}}")
LENDER = entry("lender", "{% if state == 0 %}Who has {{thing}}? ||| {{who}}{% endif %}", original=False)
ROW = {"thing": "the saw", "who": "Bo", "state": 0, "note": "wet", "license": "CC0"}


def test_a_record_in_full(make: Make) -> None:
    [record] = make([{**ROW, "state": 1}], STATE)
    assert turns(record) == ["Is the saw back?", "yes, by Bo"]
    assert [record[column] for column in ("task", "language", "license", "category", "references")] == [
        "loans/tools/state",
        "en",
        "CC0",
        None,
        [],
    ]
    assert json.loads(record["meta"]) == {
        "template": {
            "id": "id-state",
            "name": "state",
            "original_task": True,
            "choices_in_prompt": False,
            "metrics": ["Accuracy"],
            "languages": ["en"],
            "answer_choices": ["no", "yes, by Bo"],
        },
        "row": {"note": "wet"},
    }


def test_which_templates(make: Make) -> None:
    both = make([ROW], STATE, LENDER, per_row=None)
    assert [record["task"] for record in both] == ["loans/tools/state", "loans/tools/lender"]
    for options in ({"only": ["lender"]}, {"only": ["id-lender"]}):
        assert [record["task"] for record in make([ROW], STATE, LENDER, **options)] == ["loans/tools/lender"]
    original = make([ROW], STATE, LENDER, original_task=True, per_row=None)
    assert [record["task"] for record in original] == ["loans/tools/state"]
    drawn = Counter(item["task"] for item in make([{**ROW, "note": str(n)} for n in range(200)], STATE, LENDER))
    assert sorted(drawn) == ["loans/tools/lender", "loans/tools/state"]
    assert min(drawn.values()) > 70
    with pytest.raises(DataError, match=r"no template 'borrower'") as caught:
        make([ROW], STATE, LENDER, only=["lender", "borrower"])
    assert caught.value.code == "E-FORMAT-071"
    with pytest.raises(DataError, match="no template is left"):
        make([ROW], LENDER, original_task=True)


def test_templates_that_do_not_apply(make: Make) -> None:
    back = {**ROW, "state": 1}
    assert make([back], LENDER) == [Drop("template-does-not-apply", "lender")]
    [record] = make([back], STATE, LENDER)  # drawn from those that apply
    assert record["task"] == "loans/tools/state"
    record, used = make([back], STATE, LENDER, per_row=None)
    assert isinstance(record, Record)
    assert used == Used("template-does-not-apply", "lender")
    assert make([{**ROW, "state": -1}], STATE) == [Drop("unlabelled", "state")]
    assert make([ROW], entry("no-target", "a ||| ")) == [Drop("empty-output", "no-target")]
    assert make([ROW], entry("no-prompt", " ||| a")) == [Drop("empty-instruction", "no-prompt")]
    assert make([ROW], entry("three", "a ||| b ||| c")) == [Drop("template-does-not-apply", "three")]


def test_nothing_is_cut_and_what_separates_is_text_in_a_row_at_any_depth(make: Make) -> None:
    deep = {"all": [{"text": "one ||| two"}], "long": "x" * 5000 + "|||", "choice": "a ||| b"}
    template = entry("deep", "{{all[0].text}} {{long}} ||| {{answer_choices | join('/')}}", "{{choice}} ||| {{long}}")
    [record] = make([deep], template)
    assert turns(record) == [f"one ||| two {deep['long']}", f"a ||| b/{deep['long']}"]


def test_rows_that_cannot_be_told_from_what_templates_add(make: Make) -> None:
    outcomes = make([{**ROW, "answer_choices": ["x"]}, {**ROW, "note": [f"a{MARK}"]}, ROW], STATE)
    assert [getattr(item, "code", "record") for item in outcomes] == ["E-FORMAT-068", "E-FORMAT-068", "record"]


@pytest.mark.parametrize(
    ("jinja", "code"),
    [
        ("{{ absent }} ||| a", "E-FORMAT-069"),
        ("{{ 1 / state }} ||| a", "E-FORMAT-069"),
        ("{{ thing.__class__ }} ||| a", "E-FORMAT-069"),
        ("{{ thing + 1 }} ||| a", "E-FORMAT-069"),
        ("{{ {}['a'] }} ||| a", "E-FORMAT-069"),
        ("{{ [] | choice }} ||| a", "E-FORMAT-069"),
        ("{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %} ||| a", "E-FORMAT-070"),
    ],
)
def test_a_template_that_fails_for_a_row_says_which(make: Make, jinja: str, code: str) -> None:
    [failed] = make([ROW], entry("odd", jinja))
    assert isinstance(failed, Failed)
    assert failed.code == code
    assert "odd" in failed.message or code == "E-FORMAT-070"


@pytest.mark.parametrize(
    "jinja", ["{{ a", "{% include 'x' %}", "{{ a | lipsum }}", "{{" + "(" * 300 + ")" * 300 + "}}"]
)
def test_a_template_that_cannot_be_compiled_stops_the_step(make: Make, jinja: str) -> None:
    with pytest.raises(DataError, match="'odd'") as caught:
        make([ROW], STATE, entry("odd", jinja))
    assert caught.value.code == "E-FORMAT-067"


@pytest.mark.parametrize(
    "content",
    [
        "",
        "a: [",
        "dataset: a",
        "dataset: 1\ntemplates: {}",
        "dataset: a\ntemplates: {x: 1}",
        "dataset: a\ntemplates: {x: !Template {name: n}}",
        "dataset: a\ntemplates: {x: !Template {name: n, jinja: j, answer_choices: [1]}}",
        "dataset: a\ntemplates: {x: !Template {name: n, jinja: j, metadata: {languages: en}}}",
        "dataset: a\ntemplates: {x: !Template {name: n, jinja: j, metadata: {original_task: 1}}}",
        "dataset: a\ntemplates: {x: !Template {name: n, jinja: j, jinja: k}}",
        "dataset: a\ntemplates: {x: !Template [1]}",
        "dataset: !!python/object/apply:os.system [ls]",
        "dataset: !!python/name:os.system",
        "a: &a {b: 1}\nc: {<<: *a}",
        "[" * 2000,
    ],
)
def test_a_file_that_is_none_of_templates(tmp_path: Path, content: str) -> None:
    path = tmp_path / "templates.yaml"
    path.write_text(content, "utf-8")
    with pytest.raises(DataError) as caught:
        read_templates(path)
    assert caught.value.code == "E-FORMAT-066"
    assert caught.value.where == str(path)


def test_with_frame_and_demonstrations(make: Make, tmp_path: Path) -> None:
    pool = tmp_path / "pool.jsonl"
    pool.write_text(json.dumps({"thing": "the key", "who": "Cy", "state": 1}) + "\n", "utf-8")
    [record] = make([ROW], STATE, demonstrations={"path": str(pool)}, frame={"style": "headed"})
    assert turns(record) == [
        "### Example 1:\nInstruction: Is the key back?\nResponse: yes, by Cy\n\n"
        "### Instruction:\nIs the saw back?\n\n### Response:",
        "no",
    ]


def test_neither_the_order_of_rows_nor_processes_decide_what_is_drawn(tmp_path: Path) -> None:
    rows = [{**ROW, "note": str(number)} for number in range(12)]
    templates = tmp_path / "templates.yaml"
    templates.write_text(HEAD + STATE + LENDER + entry("any", "{{ ['a', 'b', 'c'] | choice }} ||| {{note}}"), "utf-8")

    class Spread(BenchContext):
        def map(self, function: Any, items: Any) -> Iterator[Any]:
            from itune_core.engine.local import map_local

            return map_local(function, items, workers=2, chunk=2)

    def made(rows: list[Any], bench: type[BenchContext]) -> list[dict[str, Any]]:
        path = tmp_path / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        component = Templates(Templates.Config(path=str(path), templates=str(templates)))
        found = [dict(item) for _, item in component.itune_format(context=bench(tmp_path)) if isinstance(item, Record)]
        assert len(found) == 12
        return sorted(found, key=str)

    assert made(rows, BenchContext) == made(rows[::-1], BenchContext) == made(rows, Spread)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80)
@given(changes=st.dictionaries(st.sampled_from([*ROW, "answer_choices", "task", "references"]), JSON, min_size=1))
def test_any_json_in_a_row(make: Make, changes: dict[str, Any]) -> None:
    odd = {**ROW, **changes}
    first, *between, last = make([ROW, odd, ROW], STATE, LENDER)
    assert dict(first) == dict(last)
    assert len(between) == 1
    assert isinstance(between[0], (Record, Drop, Failed))


def test_a_renderer_travels_without_what_it_compiled() -> None:
    template = Template("1", "one", "a/one", "{{ x }} ||| y")
    sent = pickle.loads(pickle.dumps(Renderer([template])))
    assert sent.reads(template) == {"x"}


ROWS: dict[str, dict[str, Any]] = {
    "ag_news": {"text": "A ||| B", "label": 2},
    "common_gen": {"concepts": ["dog", "hat"], "target": "The dog wears a hat."},
    "cosmos_qa": {"context": "c", "question": "q", **{f"answer{n}": f"a{n}" for n in range(4)}, "label": 1},
    "glue/mrpc": {"sentence1": "One.", "sentence2": "Two.", "label": 1},
    "glue/sst2": {"sentence": "Fine.", "label": 0},
    "imdb": {"text": "Long.", "label": 1},
    "piqa": {"goal": "Sit", "sol1": "Chair", "sol2": "Sea", "label": 0},
    "rotten_tomatoes": {"text": "Short.", "label": 0},
    "samsum": {"dialogue": "A: hi\nB: hi", "summary": "They greet."},
    "squad_v2": {
        "title": "Rome",
        "context": "It fell.",
        "question": "What fell?",
        "answers": {"text": ["It", "Rome"], "answer_start": [0, 0]},
    },
    "super_glue/boolq": {"passage": "p", "question": "q", "label": 1},
    "super_glue/rte": {"premise": "p", "hypothesis": "h", "label": 0},
    "trec": {"text": "Who?", "coarse_label": 3, "fine_label": 29},
    "winogrande/winogrande_xl": {"sentence": "_ ran", "option1": "cat", "option2": "dog", "answer": "2"},
    "xsum": {"document": "Much.", "summary": "Little."},
}
"""A made-up row for each set of templates, in the set's own shape."""


@pytest.mark.parametrize("name", ROWS)
def test_all_real_templates(run: Any, real: Any, name: str) -> None:
    path = real(f"promptsource/{name}/templates.yaml")
    outcomes = run(Templates, [ROWS[name]], templates=path, per_row=None)
    records = [item for item in outcomes if isinstance(item, Record)]
    used = [item for item in outcomes if isinstance(item, Used)]
    assert len(records) + len(used) == len(outcomes)
    assert len(records) == (
        len(read_templates(Path(path))) if name != "trec" else 9
    )  # 7, and 2 of the 11 for one coarse label
    assert [item.reason for item in used] == (["template-does-not-apply"] if name == "trec" else [])
    assert all("|||" not in text or name == "ag_news" for record in records for text in turns(record))
    assert all(record["task"].startswith(f"{name}/") for record in records)
    assert {record["language"] for record in records} <= {"en", None}


def test_how_many_real_templates_there_are(real: Any) -> None:
    assert sum(len(read_templates(Path(real(f"promptsource/{name}/templates.yaml")))) for name in ROWS) == 146


def test_a_classification_of_real_templates_by_hand(run: Any, real: Any) -> None:
    path = real("promptsource/glue/mrpc/templates.yaml")
    [record] = run(Templates, [ROWS["glue/mrpc"]], templates=path, only=["want to know"])
    assert turns(record) == [
        "I want to know whether the following two sentences mean the same thing.\nOne.\nTwo.\nDo they?",
        "yes",
    ]
    assert run(Templates, [{**ROWS["glue/mrpc"], "label": -1}], templates=path, only=["want to know"]) == [
        Drop("unlabelled", "want to know")
    ]
