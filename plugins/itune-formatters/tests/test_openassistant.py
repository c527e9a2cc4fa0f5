"""Message trees as conversations. The tree that most tests use::

q1 ─┬─ a1 (rank 1) ─── q3 ─── a6 (no rank, no rival)
    ├─ a2 (rank 0) ─┬─ q2 ─┬─ a4 (rank 1)
    │               │      └─ a5 (rank 0)
    │               └─ q4
    └─ a3 (no rank)
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from itune_core.api import Drop, Failed, Kind, Record, Used, read_rows
from itune_core.testing import BenchContext
from itune_formatters.conversations.openassistant import OpenAssistant
from itune_formatters.dialogue.message_trees import nested
from itune_formatters.preferences.openassistant_pairs import OpenAssistantPairs
from itune_formatters.preferences.openassistant_ranking import OpenAssistantRanking


def said(name: str, parent: str | None, rank: int | None = None, **more: Any) -> dict[str, Any]:
    return {
        "message_id": name,
        "parent_id": parent,
        "message_tree_id": "q1",
        "tree_state": "ready_for_export",
        "text": f"This is {name}.",
        "role": "prompter" if name.startswith("q") else "assistant",
        "lang": "en",
        "review_count": 3,
        "review_result": True,
        "deleted": False,
        "rank": rank,
        "synthetic": False,
        **more,
    }


TREE = [
    said("q1", None),
    said("a1", "q1", 1),
    said("a2", "q1", 0),
    said("a3", "q1"),
    said("q2", "a2"),
    said("q3", "a1"),
    said("a4", "q2", 1),
    said("a5", "q2", 0, labels={"quality": 0.5}),
    said("q4", "a2"),
    said("a6", "q3"),
]


OTHER = [
    {**row, "message_tree_id": "q1x", **{key: row[key] and f"{row[key]}x" for key in ("message_id", "parent_id")}}
    for row in TREE
]
"""The same tree again, under other names."""


def changed(name: str, **fields: Any) -> list[dict[str, Any]]:
    return [{**row, **fields} if row["message_id"] == name else row for row in TREE]


def nest(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The same tree as it is exported."""
    by_id = {
        row["message_id"]: {k: v for k, v in row.items() if k not in ("message_tree_id", "tree_state")} for row in rows
    }
    for row in rows:
        if row["parent_id"] in by_id:
            by_id[row["parent_id"]].setdefault("replies", []).append(by_id[row["message_id"]])
    return {"message_tree_id": "q1", "tree_state": "ready_for_export", "prompt": by_id["q1"]}


def verdicts(rows: list[dict[str, Any]], outcomes: list[Any]) -> dict[str, str]:
    """What becomes of each message, in a table without rows of several records."""
    names = {Record: lambda item: "record", Failed: lambda item: item.code}
    return {
        row["message_id"]: names.get(type(item), lambda item: item.reason)(item)
        for row, item in zip(rows, outcomes, strict=True)
    }


def spoken(record: Record) -> list[str]:
    return [turn["content"].removeprefix("This is ").removesuffix(".") for turn in record["messages"]]


def test_the_path_of_best_answers(run: Any) -> None:
    outcomes = run(OpenAssistant, TREE)
    assert verdicts(TREE, outcomes) == {
        "q1": "earlier-turn",
        "a1": "not-best",
        "a2": "earlier-turn",
        "a3": "unranked",
        "q2": "earlier-turn",
        "q3": "parent-left-out",
        "a4": "not-best",
        "a5": "record",
        "q4": "unanswered",
        "a6": "parent-left-out",
    }
    [made] = [item for item in outcomes if isinstance(item, Record)]
    assert made.kind is Kind.CONVERSATION
    assert [(turn["role"], turn["content"]) for turn in made["messages"]] == [
        ("user", "This is q1."),
        ("assistant", "This is a2."),
        ("user", "This is q2."),
        ("assistant", "This is a5."),
    ]
    assert made["language"] == "en"
    meta = json.loads(made["meta"])
    assert (meta["message_tree_id"], meta["tree_state"]) == ("q1", "ready_for_export")
    assert meta["messages"]["3"] == {
        "message_id": "a5",
        "lang": "en",
        "review_count": 3,
        "review_result": True,
        "deleted": False,
        "rank": 0,
        "synthetic": False,
        "labels": {"quality": 0.5},
    }
    assert [meta["messages"][number]["message_id"] for number in "0123"] == ["q1", "a2", "q2", "a5"]


def test_every_last_answer_ends_a_conversation(run: Any) -> None:
    rows = [*TREE, said("a7", "q4")]
    made = [item for item in run(OpenAssistant, rows) if isinstance(item, Record)]
    assert [spoken(record) for record in made] == [["q1", "a2", "q2", "a5"], ["q1", "a2", "q4", "a7"]]
    assert all(turn["train"] is None for record in made for turn in record["messages"])
    made = [item for item in run(OpenAssistant, rows, shared_turns="once") if isinstance(item, Record)]
    assert [[turn["train"] for turn in record["messages"]] for record in made] == [
        [None] * 4,
        [None, False, None, None],
    ]


@pytest.mark.parametrize(
    ("fields", "config", "reason"),
    [
        ({"deleted": True}, {}, "deleted"),
        ({"review_result": False}, {}, "rejected"),
        ({"review_result": None}, {}, "unreviewed"),
        ({"review_count": 2}, {"min_reviews": 3}, "unreviewed"),
        ({"review_count": None}, {"min_reviews": 1}, "unreviewed"),
        ({"lang": "ko"}, {"languages": ["en", "ja"]}, "other-language"),
        ({"lang": None}, {"languages": ["en"]}, "other-language"),
        ({"text": " \n"}, {}, "empty-text"),
        ({"role": "prompter"}, {}, "turns-out-of-order"),
        ({"parent_id": "q0"}, {}, "no-parent"),
        ({"deleted": True}, {"keep": ["deleted"]}, "record"),
        ({"review_result": False}, {"keep": ["rejected"]}, "record"),
        ({"review_result": None}, {"keep": ["unreviewed"]}, "record"),
        ({"rank": None}, {}, "unranked"),
        ({"deleted": None}, {}, "record"),
        ({"role": "system"}, {}, "E-FORMAT-040"),
        ({"text": 7}, {}, "E-DATA-003"),
        ({"text": None}, {}, "E-DATA-002"),
        ({"rank": 0.0}, {}, "E-FORMAT-041"),
        ({"rank": True}, {}, "E-FORMAT-041"),
        ({"rank": -1}, {}, "E-FORMAT-041"),
        ({"rank": 10**400}, {}, "E-FORMAT-041"),
        ({"model_name": 7}, {}, "E-FORMAT-041"),
        ({"deleted": "no"}, {}, "E-FORMAT-041"),
        ({"message_id": None}, {}, "E-DATA-002"),
        ({"message_tree_id": None}, {}, "E-DATA-002"),
        ({"replies": []}, {}, "E-FORMAT-042"),
        ({"text": "a\x00b"}, {}, "E-DATA-010"),
        ({"message_id": "q4"}, {}, "E-FORMAT-043"),
    ],
)
def test_messages_that_are_left_out(run: Any, fields: Any, config: Any, reason: str) -> None:
    number = [row["message_id"] for row in TREE].index("a5")
    outcomes = run(OpenAssistant, changed("a5", **fields), **config)
    item = outcomes[number]
    assert getattr(item, "reason", getattr(item, "code", "record")) == reason
    if reason not in ("record", "E-FORMAT-043"):  # the other answer is the best that is left
        assert isinstance(outcomes[6], Record)
        assert spoken(outcomes[6]) == ["q1", "a2", "q2", "a4"]


def test_what_follows_a_message_that_is_left_out(run: Any) -> None:
    found = verdicts(TREE, run(OpenAssistant, changed("a2", review_result=False)))
    assert (found["a2"], found["q2"], found["a4"], found["q4"]) == ("rejected", *["parent-left-out"] * 3)
    assert (found["a1"], found["q3"], found["a6"]) == ("earlier-turn", "earlier-turn", "record")
    found = verdicts(TREE, run(OpenAssistant, changed("q1", deleted=True)))
    assert found == {name: "deleted" if name == "q1" else "parent-left-out" for name in found}


def test_a_circle_is_no_endless_one(run: Any) -> None:
    rows = [said("q1", "a1"), said("a1", "q1"), said("q5", "q5"), said("a9", "q5")]
    assert verdicts(rows, run(OpenAssistant, rows)) == dict.fromkeys(("q1", "a1", "q5", "a9"), "no-parent")


def test_rows_of_several_trees_may_stand_anywhere(run: Any) -> None:
    rows = [*TREE, *OTHER]
    straight = verdicts(rows, run(OpenAssistant, rows))
    assert list(straight.values()).count("record") == 2
    for seed in range(5):
        mixed = random.Random(seed).sample(rows, len(rows))
        assert verdicts(mixed, run(OpenAssistant, mixed)) == straight


def test_exported_trees_give_the_same_records(run: Any) -> None:
    rows = [*TREE, said("a7", "q4")]
    flat = [item for item in run(OpenAssistant, rows) if isinstance(item, Record)]
    *made, told = run(OpenAssistant, [nest(rows)], layout="trees")
    assert [dict(record) for record in made] == [dict(record) for record in flat]
    assert told == Used("messages-left-out", "2 not-best, 2 parent-left-out, 1 unranked")
    bare = nest(rows)["prompt"]
    *made, told = run(OpenAssistant, [bare], layout="trees")
    assert [spoken(record) for record in made] == [spoken(record) for record in flat]


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**400), 10**400),
    st.text(max_size=3),
    st.lists(st.floats(-1, 1), max_size=2),
    st.sampled_from(["\x00", "\ud800", "a1", "q1", "q2x"]),
    st.dictionaries(st.sampled_from("ab"), st.none()),
)


@pytest.mark.parametrize("formatter", [OpenAssistant, OpenAssistantRanking, OpenAssistantPairs])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=st.integers(0, len(TREE) - 1), field=st.sampled_from(sorted(TREE[7])), value=VALUES)
def test_a_bad_message_stays_in_its_tree(tmp_path: Path, formatter: Any, number: int, field: str, value: Any) -> None:
    def outcomes(first: list[dict[str, Any]]) -> dict[str, list[Any]]:
        path = tmp_path / "rows.jsonl"
        path.write_text("".join(f"{json.dumps(row)}\n" for row in [*first, *OTHER]), encoding="utf-8")
        found: dict[str, list[Any]] = {}
        for where, item in formatter(formatter.Config(path=str(path))).itune_format(context=BenchContext(tmp_path)):
            found.setdefault(where.rpartition(":")[2], []).append(dict(item) if isinstance(item, Record) else item)
        return found

    rows = [dict(row) for row in TREE]
    rows[number][field] = value
    hurt, whole = outcomes(rows), outcomes(TREE)
    assert list(hurt) == list(whole) == [str(line) for line in range(1, 21)]
    if not (field == "message_tree_id" and value == "q1x"):
        assert all(hurt[str(line)] == whole[str(line)] for line in range(11, 21))


@pytest.mark.parametrize(
    ("row", "outcome"),
    [
        (nest(changed("q1", deleted=True)), "deleted"),
        (nest(TREE[:1]), "unanswered"),
        (nest(changed("a5", rank="first")), "E-FORMAT-041"),
        ({"prompt": {**TREE[0], "replies": [TREE[1], TREE[2], TREE[2]]}}, "E-FORMAT-043"),
        (nest(changed("a5", replies=3)), "E-FORMAT-041"),
        (nest(changed("a5", replies=["text"])), "E-FORMAT-041"),
        ({"prompt": "text"}, "E-FORMAT-041"),
        ({"prompt": {}}, "E-DATA-002"),
        (TREE[0], "E-FORMAT-042"),
    ],
)
def test_exported_trees_that_give_none(run: Any, row: Any, outcome: str) -> None:
    [found] = run(OpenAssistant, [row], layout="trees")
    assert getattr(found, "reason", getattr(found, "code", "record")) == outcome


def test_a_tree_of_any_depth_is_read(run: Any) -> None:
    rows = [said("q0", None)]
    for number in range(1, 3000):
        rows.append(said(f"{'aq'[number % 2 == 0]}{number}", rows[-1]["message_id"]))
    outcomes = run(OpenAssistant, rows)
    assert isinstance(outcomes[-1], Record)
    assert all(isinstance(item, Used) for item in outcomes[:-1])


def by_hand(rows: list[dict[str, Any]]) -> list[list[str]]:
    """The paths of best answers, written another way: from each root down."""
    replies: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if row["review_result"] and not row["deleted"]:
            replies.setdefault(row["parent_id"] or "", []).append(row)

    def below(path: list[dict[str, Any]]) -> list[list[str]]:
        found = replies.get(path[-1]["message_id"], [])
        if path[-1]["role"] == "prompter":
            ranked = [row for row in found if row["rank"] is not None]
            best = min(ranked, key=lambda row: row["rank"]) if ranked else found[0] if len(found) == 1 else None
            return below([*path, best]) if best else []
        longer = [more for row in found for more in below([*path, row])]
        return longer or [[row["text"] for row in path]]

    return [path for root in replies[""] for path in below([root])]


def test_real_trees(run: Any, real: Any, tally: Any) -> None:
    path = real("oasst/oasst1_en_validation_part.jsonl.gz")
    outcomes = run(OpenAssistant, path)
    assert tally([item for item in outcomes if not isinstance(item, Used)]) == {
        "record": 94,
        "not-best": 234,
        "parent-left-out": 421,
        "unanswered": 36,
        "deleted": 21,
        "rejected": 25,
    }
    assert len(outcomes) == 1015
    made = [[turn["content"] for turn in item["messages"]] for item in outcomes if isinstance(item, Record)]
    assert sorted(made) == sorted(by_hand(list(read_rows([path]))))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["en_100_tree", "en_100_message"])
def test_real_exported_trees(run: Any, real: Any, name: str) -> None:
    path = real(f"oasst/{name}.jsonl.gz")
    outcomes = run(OpenAssistant, path, layout="trees")
    made = [item for item in outcomes if isinstance(item, Record)]
    assert (len(made), [item.reason for item in outcomes if isinstance(item, Drop)]) == (101, ["unanswered"])
    rows = [{"parent_id": None, **row.get("prompt", row)} for row in read_rows([path])]  # type: ignore[union-attr]
    flat = [
        {"text": node.text, "role": "prompter" if node.role == "user" else "assistant", "rank": node.rank,
         "message_id": node.id, "parent_id": node.parent_id, "deleted": False, "review_result": True}
        for row in rows for node in nested(row)
    ]  # fmt: skip
    assert sorted([turn["content"] for turn in item["messages"]] for item in made) == sorted(by_hand(flat))
