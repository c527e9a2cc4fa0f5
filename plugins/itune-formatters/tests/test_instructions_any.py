"""What holds for every formatter of instructions, whatever stands in a row."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from itune_core.api import Drop, Failed, Formatter, Record, Used
from itune_formatters.instructions.alpaca import Alpaca
from itune_formatters.instructions.chain_of_thought import ChainOfThought
from itune_formatters.instructions.columns import Columns
from itune_formatters.instructions.dolly import Dolly
from itune_formatters.instructions.ichikara import Ichikara
from itune_formatters.instructions.japanese_instruction import JapaneseInstruction
from itune_formatters.instructions.koalpaca import KoAlpaca
from itune_formatters.instructions.lima import Lima
from itune_formatters.instructions.self_instruct import SelfInstruct

ALPACA = {"instruction": "Name a tree.", "input": "It is tall.", "output": "The ash."}
MAPPED = {
    "columns": {
        "instruction": {"template": "{{ instruction }}{% for one in input %}{{ one }}{% endfor %}"},
        "input": "info.context",
        "output": {"field": "output", "choices": ["instruction", {"constant": "b"}]},
        "rationale": "why",
        "references": ["info.all[*].text"],
    }
}
TABLE = {"instruction": "a", "input": "bc", "output": 1, "info": {"context": "d", "all": [{"text": "e"}]}, "why": "f"}
TEXT = {"text": "### 指示:\n一\n\n### 回答:\n二"}
CASES: list[tuple[type[Formatter], dict[str, Any], dict[str, Any]]] = [
    (Alpaca, ALPACA, {}),
    (Alpaca, ALPACA, {"frame": {"style": "headed", "input": "before", "rationale": "after"}}),
    (ChainOfThought, {"question": "a", "answer": "b #### c"}, {}),
    (Columns, TABLE, MAPPED),
    (Dolly, {"instruction": "a", "context": "b", "response": "c", "category": "d"}, {}),
    (Ichikara, {"ID": "1", "text": "a", "output": "b"}, {}),
    (JapaneseInstruction, TEXT, {"layout": "text", "preamble": "system"}),
    (KoAlpaca, ALPACA, {}),
    (KoAlpaca, {"text": "### 질문: a\n\n### 답변: b<|endoftext|>"}, {"layout": "text"}),
    (Lima, {"conversations": ["a", "b"], "source": "c"}, {}),
    (SelfInstruct, {"name": "a", "instruction": "b", "instances": [{"input": "c", "output": "d"}]}, {}),
]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
COMMON = ("source", "task", "category", "language", "license", "rationale", "references", "meta", "id", "kind")


@pytest.mark.parametrize(("formatter", "row", "options"), CASES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(data=st.data())
def test_any_json_anywhere(
    run: Any, formatter: type[Formatter], row: dict[str, Any], options: dict[str, Any], data: st.DataObject
) -> None:
    """A row of anything ends as records, dropped or failed, and its neighbours are what they were."""
    names = st.sampled_from([*row, *COMMON, "more"])
    changes = data.draw(st.dictionaries(names, JSON, min_size=1, max_size=3))
    missing = data.draw(st.sets(st.sampled_from(list(row)), max_size=1))
    odd = {name: value for name, value in {**row, **changes}.items() if name not in missing}
    good, *found, last = run(formatter, [row, odd, row], **options)
    assert isinstance(good, Record)
    assert dict(good) == dict(last)
    assert len(found) >= 1
    refused = [item for item in found if isinstance(item, (Drop, Failed))]
    assert not refused or len(found) == 1
    assert all(isinstance(item, (Record, Used)) for item in found) or refused
    for item in refused:
        code = item.reason if isinstance(item, Drop) else item.code
        assert code != "E-DATA-001"  # every failure says what it is


@pytest.mark.parametrize(("formatter", "row", "options"), CASES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(more=st.dictionaries(st.from_regex(r"\Ax[a-z]{1,6}\Z"), st.integers() | st.text("가あ字a", max_size=4)))
def test_other_fields_are_kept(
    run: Any, formatter: type[Formatter], row: dict[str, Any], options: dict[str, Any], more: dict[str, Any]
) -> None:
    import json

    [plain] = run(formatter, [row], **options)
    [made] = run(formatter, [{**row, **more}], **options)
    before = json.loads(plain["meta"] or "{}")
    assert json.loads(made["meta"] or "{}") == {**before, **more}
    assert made["messages"] == plain["messages"]
