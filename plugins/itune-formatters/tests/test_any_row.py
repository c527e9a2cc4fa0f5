"""Whatever a row holds, a formatter makes a record of it, drops it or says why it cannot; and no other row changes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from itune_core.api import Drop, Failed, Formatter, Record, Used
from itune_core.testing import BenchContext
from itune_formatters.conversations.openassistant import OpenAssistant
from itune_formatters.conversations.sharegpt import ShareGPT
from itune_formatters.preferences.alpaca_farm import AlpacaFarm
from itune_formatters.preferences.binary_feedback import BinaryFeedback
from itune_formatters.preferences.openassistant_pairs import OpenAssistantPairs
from itune_formatters.preferences.openassistant_ranking import OpenAssistantRanking
from itune_formatters.preferences.pairs import Pairs
from itune_formatters.preferences.shp import SHP
from itune_formatters.preferences.tldr_comparisons import TLDRComparisons
from itune_formatters.preferences.ultrafeedback import UltraFeedback
from itune_formatters.preferences.ultrafeedback_pairs import UltraFeedbackPairs
from itune_formatters.texts.text import Text

GOOD: dict[type[Formatter], tuple[dict[str, Any], dict[str, Any]]] = {
    ShareGPT: (
        {"order": "repair"},
        {"id": "1", "system": "s", "conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]},
    ),
    OpenAssistant: (
        {"layout": "trees"},
        {
            "message_id": "q", "role": "prompter", "text": "a", "lang": "en", "review_result": True, "rank": None,
            "review_count": 3, "deleted": False, "labels": {},
            "replies": [{"message_id": "a", "role": "assistant", "text": "b", "review_result": True}],
        },
    ),
    OpenAssistantRanking: (
        {},
        {
            "message_id": "q", "parent_id": None, "message_tree_id": "q", "role": "prompter", "text": "a", "lang": "en",
            "review_result": True, "review_count": 3, "deleted": False, "rank": None, "tree_state": "s",
        },
    ),
    OpenAssistantPairs: (
        {"layout": "trees"},
        {
            "tree_state": "s",
            "message_tree_id": "q",
            "prompt": {
                "message_id": "q", "role": "prompter", "text": "a", "review_result": True,
                "replies": [
                    {"message_id": f"a{n}", "role": "assistant", "text": f"b{n}", "review_result": True, "rank": n}
                    for n in range(3)
                ],
            },
        },
    ),
    Pairs: (
        {"layout": "sharegpt"},
        {
            "conversations": [{"from": "human", "value": "a"}],
            "chosen": {"from": "gpt", "value": "b"},
            "rejected": {"from": "gpt", "value": "c"},
            "margin": 1,
        },
    ),
    TLDRComparisons: (
        {},
        {
            "info": {"post": "a", "title": "b", "subreddit": "c", "id": "d"},
            "summaries": [{"text": "e", "policy": "f"}, {"text": "g", "policy": "h"}],
            "choice": 0, "split": "train", "extra": {},
        },
    ),
    SHP: (
        {"pairs_per_post": 2},
        {
            "post_id": "p", "domain": "d", "history": "h", "human_ref_A": "a", "human_ref_B": "b", "score_A": 3,
            "score_B": 2, "created_at_utc_A": 2, "created_at_utc_B": 1, "labels": 1,
        },
    ),
    UltraFeedback: (
        {"score": "overall"},
        {
            "instruction": "i", "source": "s",
            "completions": [
                {"model": "m", "response": f"r{n}", "annotations": {"honesty": {"Rating": "3"}}, "overall_score": n}
                for n in (1, 2)
            ],
        },
    ),
    UltraFeedbackPairs: (
        {},
        {
            "instruction": "i", "source": "s",
            "completions": [
                {"model": "m", "response": f"r{n}", "annotations": {"honesty": {"Rating": n}}, "overall_score": n}
                for n in (1, 2)
            ],
        },
    ),
    AlpacaFarm: (
        {"annotations": "joined"},
        {"instruction": "i", "input": "", "output_1": "a", "output_2": "b", "preference": 1, "annotator": "x"},
    ),
    BinaryFeedback: ({}, {"prompt": "p", "completion": "c", "label": True, "value": 1.5}),
    Text: ({}, {"text": "t", "license": "l"}),
}  # fmt: skip

LEAF = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=4), st.sampled_from(["\x00", "\ud800", "", " ", "human", "gpt", "prompter", "assistant", "user"]),
)  # fmt: skip
KEYS = st.sampled_from(["from", "value", "role", "content", "text", "replies", "rank", "Rating", "response", "x"])
JSON = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=6
)


@st.composite
def broken(draw: st.DrawFn, good: dict[str, Any]) -> dict[str, Any]:
    """A good row of which any part, at any depth, is something else."""
    row = json.loads(json.dumps(good))
    for _ in range(draw(st.integers(1, 2))):
        place: Any = row
        while True:
            key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
            inner = place[key]
            if not isinstance(inner, (dict, list)) or not inner or draw(st.booleans()):
                break
            place = inner
        if isinstance(place, dict) and draw(st.booleans()) and len(place) > 1:
            del place[key]
        else:
            place[key] = draw(JSON)
    return row


@pytest.mark.parametrize("formatter", GOOD, ids=lambda formatter: formatter.__name__)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=120)
@given(data=st.data())
def test_any_value_in_any_field(tmp_path: Path, formatter: type[Formatter], data: st.DataObject) -> None:
    config, good = GOOD[formatter]
    bad = data.draw(broken(good))
    path = tmp_path / "rows.jsonl"
    path.write_text(f"{json.dumps(bad)}\n{json.dumps(good)}\n", encoding="utf-8")
    component = formatter(formatter.Config(path=str(path), **config))
    found: dict[str, list[Any]] = {}
    for where, outcome in component.itune_format(context=BenchContext(tmp_path)):
        found.setdefault(where.rpartition(":")[2], []).append(outcome)
    assert list(found) == ["1", "2"]
    for outcomes in found.values():
        refused = [item for item in outcomes if isinstance(item, (Drop, Failed))]
        used = [item for item in outcomes if isinstance(item, (Record, Used))]
        assert (len(refused), bool(used)) in ((1, False), (0, True))
    for outcome in found["1"]:
        if isinstance(outcome, Record):
            json.dumps(dict(outcome), ensure_ascii=False, allow_nan=False).encode()


@pytest.mark.parametrize("formatter", GOOD, ids=lambda formatter: formatter.__name__)
def test_the_good_rows_are_good(run: Any, formatter: type[Formatter]) -> None:
    config, good = GOOD[formatter]
    [*made] = run(formatter, [good], **config)
    expected = Drop if formatter is OpenAssistantRanking else Record  # its row is a question without replies
    assert all(isinstance(item, (expected, Used)) for item in made)
    assert isinstance(made[0], expected)
