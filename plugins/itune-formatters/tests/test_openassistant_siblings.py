"""Message trees as rankings and pairs: the ranked replies to one question::

q1 ─┬─ a1 (rank 1) ─── q3 ─┬─ a6 (rank 1, no text that a7 has not)
    │                      └─ a7 (rank 0)
    ├─ a2 (rank 0) ─── q2 ─── a5 (rank 0)
    ├─ a3 (no rank)
    └─ a4 (rank 2)
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from itune_core.api import Kind, Record, read_rows
from itune_formatters.preferences.openassistant_pairs import OpenAssistantPairs
from itune_formatters.preferences.openassistant_ranking import OpenAssistantRanking


def said(name: str, parent: str | None, rank: int | None = None, **more: Any) -> dict[str, Any]:
    return {
        "message_id": name,
        "parent_id": parent,
        "message_tree_id": "q1",
        "text": f"This is {name}.",
        "role": "prompter" if name.startswith("q") else "assistant",
        "lang": "en",
        "review_result": True,
        "rank": rank,
        **more,
    }


TREE = [
    said("q1", None),
    said("a1", "q1", 1),
    said("a2", "q1", 0, model_name="chip"),
    said("a3", "q1"),
    said("a4", "q1", 2),
    said("q2", "a2"),
    said("q3", "a1"),
    said("a5", "q2", 0),
    said("a6", "q3", 1, text="The same."),
    said("a7", "q3", 0, text="The same."),
]


def verdicts(outcomes: list[Any]) -> list[str]:
    return [getattr(item, "reason", getattr(item, "code", "record")) for item in outcomes]


def texts(turns: list[dict[str, Any]]) -> list[str]:
    return [turn["content"].removeprefix("This is ").removesuffix(".") for turn in turns]


def test_rankings(run: Any) -> None:
    outcomes = run(OpenAssistantRanking, TREE)
    assert verdicts(outcomes) == [
        *("record", "candidate", "candidate", "unranked", "candidate"),
        *("too-few-ranked", "record", "no-rival", "candidate", "candidate"),
    ]
    first, second = (item for item in outcomes if isinstance(item, Record))
    assert first.kind is Kind.RANKING
    assert texts(first["prompt"]) == ["q1"]
    assert [(texts(item["completion"]), item["model"], item["score"]) for item in first["candidates"]] == [
        (["a2"], "chip", 0.0),
        (["a1"], None, -1.0),
        (["a4"], None, -2.0),
    ]
    meta = json.loads(first["meta"])
    assert [meta["candidates"][number]["message_id"] for number in "012"] == ["a2", "a1", "a4"]
    assert meta["messages"]["0"]["message_id"] == "q1"
    assert meta["message_tree_id"] == "q1"
    # the context of the second is an answer that is not the best one
    assert [(turn["role"], *texts([turn])) for turn in second["prompt"]] == [
        ("user", "q1"),
        ("assistant", "a1"),
        ("user", "q3"),
    ]


def test_what_only_leads_to_a_ranking_is_used(run: Any) -> None:
    rows = [said("q1", None), said("a1", "q1"), said("q2", "a1"), said("a2", "q2", 0), said("a3", "q2", 1)]
    assert verdicts(run(OpenAssistantRanking, rows)) == [
        *("earlier-turn", "earlier-turn", "record"),
        *("candidate", "candidate"),
    ]


@pytest.mark.parametrize(
    ("how", "pairs", "third"),
    [
        ("adjacent", [("a2", "a1", 1.0), ("a1", "a4", 1.0)], "candidate"),
        ("best-worst", [("a2", "a4", 2.0)], "candidate"),
        ("all", [("a2", "a1", 1.0), ("a2", "a4", 2.0), ("a1", "a4", 1.0)], "candidate"),
    ],
)
def test_pairs(run: Any, how: str, pairs: list[tuple[str, str, float]], third: str) -> None:
    outcomes = run(OpenAssistantPairs, TREE, pairs=how)
    made = [item for item in outcomes if isinstance(item, Record)]
    assert [(*texts(item["chosen"]), *texts(item["rejected"]), item["margin"]) for item in made] == pairs
    for item in made:
        assert item.kind is Kind.PREFERENCE
        assert texts(item["prompt"]) == ["q1"]
        meta = json.loads(item["meta"])
        answers = [*texts(item["chosen"]), *texts(item["rejected"])]
        assert [meta["chosen"]["message_id"], meta["rejected"]["message_id"]] == answers
    said_of = dict(zip([row["message_id"] for row in TREE], verdicts(outcomes[len(made) - 1 :]), strict=True))
    assert said_of["a4"] == third
    # a1 leads to q3, but q3 has nothing to compare: so in best-worst nobody needs it
    assert said_of["a1"] == ("not-paired" if how == "best-worst" else "candidate")
    assert (said_of["q3"], said_of["a6"], said_of["a7"]) == ("nothing-to-compare", "not-paired", "not-paired")


def test_equal_ranks_make_no_pair(run: Any) -> None:
    rows = [said("q1", None), said("a1", "q1", 0), said("a2", "q1", 0)]
    assert verdicts(run(OpenAssistantPairs, rows)) == ["nothing-to-compare", "not-paired", "not-paired"]


def test_real_rankings_and_pairs(run: Any, real: Any) -> None:
    path = real("oasst/oasst1_en_validation_part.jsonl.gz")
    ranked: dict[str, list[int]] = {}
    usable = [row for row in read_rows([path]) if row["review_result"] and not row["deleted"]]  # type: ignore[index]
    ids = {row["message_id"] for row in usable}
    for row in usable:
        if row["rank"] is not None and row["parent_id"] in ids:
            ranked.setdefault(row["parent_id"], []).append(row["rank"])
    several = [ranks for ranks in ranked.values() if len(ranks) > 1]

    outcomes = run(OpenAssistantRanking, path)
    made = [item for item in outcomes if isinstance(item, Record)]
    assert sorted(len(item["candidates"]) for item in made) == sorted(map(len, several))
    assert len(outcomes) == 1015
    assert {reason: verdicts(outcomes).count(reason) for reason in set(verdicts(outcomes))} == {
        "record": 207,
        "candidate": 562,
        "too-few-ranked": 172,
        "deleted": 21,
        "rejected": 25,
        "unranked": 26,
        "no-rival": 2,
    }
    counts = [verdicts(run(OpenAssistantPairs, path, pairs=how)).count("record") for how in ("adjacent", "all")]
    # the best and the worst of the replies to one question are the same text
    pairs = sum(len(ranks) * (len(ranks) - 1) // 2 for ranks in several)
    assert counts == [sum(len(ranks) - 1 for ranks in several), pairs - 1]
    assert verdicts(run(OpenAssistantPairs, path, pairs="best-worst")).count("record") == len(several) - 1


@pytest.mark.parametrize("name", ["en_100_tree", "en_100_message"])
def test_real_exported_trees(run: Any, real: Any, name: str) -> None:
    path = real(f"oasst/{name}.jsonl.gz")
    assert verdicts(run(OpenAssistantRanking, path, layout="trees")).count("record") == 212
    assert verdicts(run(OpenAssistantPairs, path, layout="trees")).count("record") == 429
