"""The formatters of conversations, preferences and texts keep to the contract that all formatters keep to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from itune_core.testing import FormatterConformance


def said(role: str, name: str, parent: str | None, tree: str = "t1", **more: Any) -> dict[str, Any]:
    return {
        "message_id": name,
        "parent_id": parent,
        "message_tree_id": tree,
        "text": f"This is {name}.",
        "role": role,
        "lang": "en",
        "review_result": True,
        **more,
    }


TABLE = [
    said("prompter", "q1", None),
    said("assistant", "a1", "q1", rank=1),
    said("prompter", "p1", None, "t2"),
    said("assistant", "a2", "q1", rank=0),
    said("assistant", "b1", "p1", "t2", rank=0),
    said("prompter", "q2", "a2"),
    said("assistant", "b2", "p1", "t2", rank=1),
    said("assistant", "b3", "p1", "t2", deleted=True),
    said("prompter", "z1", None, "t3"),
    said("assistant", "c1", "z0", "t3"),
]
"""Three trees; their rows stand among each other."""

BRANCH = {
    "message_id": "q1",
    "text": "A tree?",
    "role": "prompter",
    "review_result": True,
    "replies": [
        {"message_id": name, "text": text, "role": "assistant", "review_result": True, "rank": rank}
        for name, text, rank in (("a1", "The ash.", 0), ("a2", "No.", 1), ("a3", "The oak.", 2))
    ],
}
TREES = [{"message_tree_id": "q1", "prompt": BRANCH}, {**BRANCH, "text": "Tea?"}, {"prompt": {**BRANCH, "replies": []}}]


class TestOpenAssistant(FormatterConformance):
    component = "formatters/openassistant"
    rows = TABLE
    scope, group = "group", "message_tree_id"


class TestOpenAssistantOfTrees(FormatterConformance):
    component = "formatters/openassistant"
    config = {"layout": "trees"}
    rows = TREES


class TestOpenAssistantRanking(FormatterConformance):
    component = "formatters/openassistant-ranking"
    rows = TABLE
    scope, group = "group", "message_tree_id"


class TestOpenAssistantRankingOfTrees(FormatterConformance):
    component = "formatters/openassistant-ranking"
    config = {"layout": "trees"}
    rows = TREES


class TestOpenAssistantPairs(FormatterConformance):
    component = "formatters/openassistant-pairs"
    rows = TABLE
    scope, group = "group", "message_tree_id"


class TestOpenAssistantPairsOfTrees(FormatterConformance):
    component = "formatters/openassistant-pairs"
    config = {"layout": "trees", "pairs": "best-random"}
    rows = TREES


class TestShareGPT(FormatterConformance):
    component = "formatters/sharegpt"
    rows = [
        {"id": 1, "conversations": [{"from": "human", "value": "A tree?"}, {"from": "gpt", "value": "The ash."}]},
        {"id": 2, "conversations": [{"from": "gpt", "value": "Hello."}, {"from": "human", "value": "Tea?"}]},
        {
            "conversations": [
                {"from": "human", "value": "Warm?"},
                {"from": "function_call", "value": '{"name": "weather", "arguments": {}}'},
                {"from": "observation", "value": "17"},
                {"from": "gpt", "value": "17 degrees."},
            ],
            "tools": "[]",
        },
    ]


class TestShareGPTRepaired(TestShareGPT):
    config = {"order": "repair", "html": "keep"}


class TestShareGPTPairs(FormatterConformance):
    component = "formatters/pairs"
    config = {"layout": "sharegpt"}
    rows = [
        {
            "conversations": [{"from": "human", "value": "Four?"}],
            "chosen": {"from": "gpt", "value": answer},
            "rejected": {"from": "gpt", "value": "Five."},
        }
        for answer in ("Two and two.", "Five.", "Three and one.")
    ]


class TestTLDRComparisons(FormatterConformance):
    component = "formatters/tldr-comparisons"
    rows = [
        {
            "info": {"id": split, "post": f"A {split} story about a cat.", "title": "Cat", "subreddit": "cats"},
            "summaries": [{"text": "A cat.", "policy": "sup"}, {"text": "A story.", "policy": "ref"}],
            "choice": choice,
            "split": split,
        }
        for split, choice in (("train", 0), ("valid1", 1), ("valid2", 0))
    ]
    config = {"splits": ["train", "valid2"]}


def comments(number: int, post: str = "p1") -> dict[str, Any]:
    return {
        "post_id": post,
        "domain": "askculinary_train",
        "history": "How long does rice keep?",
        "human_ref_A": f"{number} days.",
        "human_ref_B": "A year.",
        "score_A": 9,
        "score_B": 4,
        "created_at_utc_A": 1_600_000_000 + number,
        "created_at_utc_B": 1_600_000_002,
        "labels": 1,
    }


class TestSHP(FormatterConformance):
    component = "formatters/shp"
    rows = [comments(number) for number in range(1, 5)]


class TestSHPWithFewPairs(FormatterConformance):
    component = "formatters/shp"
    config = {"pairs_per_post": 2}
    rows = [comments(number, f"p{number % 2}") for number in range(1, 9)]
    scope, group = "group", "post_id"


class TestAlpacaFarm(FormatterConformance):
    component = "formatters/alpaca-farm"
    rows = [
        {
            "instruction": task,
            "input": "",
            "output_1": "The ash.",
            "output_2": "No.",
            "preference": given,
            "annotator": by,
        }
        for task, given, by in (
            ("A tree?", 1, "ana"),
            ("A plant?", 0, "ana"),
            ("A tree?", 2, "ben"),
            ("A tree?", 1, "cem"),
        )
    ]


class TestAlpacaFarmJoined(TestAlpacaFarm):
    config = {"annotations": "joined"}
    scope, group = "group", "instruction"


class TestBinaryFeedback(FormatterConformance):
    component = "formatters/binary-feedback"
    rows = [
        {"prompt": "A tree?", "completion": "The ash.", "label": True},
        {"prompt": [{"role": "user", "content": "Tea?"}], "completion": "No.", "label": False, "value": 0.5},
        {"prompt": "Four?", "completion": " ", "label": True},
    ]


class TestBinaryFeedbackOfMessages(FormatterConformance):
    component = "formatters/binary-feedback"
    config = {"layout": "whole"}
    rows = [
        {"messages": [{"role": "user", "content": "Tea?"}, {"role": "assistant", "content": answer}], "label": True}
        for answer in ("Gladly.", "Never.", "")
    ]


def rated(instruction: str, *ratings: int) -> dict[str, Any]:
    return {
        "instruction": instruction,
        "completions": [
            {
                "model": f"m{number}",
                "response": f"Answer {number}.",
                "annotations": {"honesty": {"Rating": "N/A"}, "helpfulness": {"Rating": str(rating)}},
                "overall_score": 10.0 if rating == 1 else rating,
            }
            for number, rating in enumerate(ratings)
        ],
    }


RATED = [rated("A tree?", 5, 1, 3, 3), rated("Tea?", 4, 4), rated("Four?", 2)]


class TestUltraFeedback(FormatterConformance):
    component = "formatters/ultrafeedback"
    config = {"score": "overall"}
    rows = RATED


class TestUltraFeedbackPairs(FormatterConformance):
    component = "formatters/ultrafeedback-pairs"
    rows = RATED


class TestText(FormatterConformance):
    component = "formatters/text"
    rows = [{"text": "An ash is a tree.", "url": "u"}, {"text": "An oak\n\nis another."}, {"text": " "}]


class TestLinesOfText(FormatterConformance):
    component = "formatters/text"
    config = {"unit": "paragraph"}
    file = "words.txt"
    rows = ["An ash is a tree.", "An oak\nis another.", "The end."]
    bad_rows = [b"not \xff text", b"a\x00b"]

    def write(self, rows: Sequence[Any], path: Path) -> None:
        path.write_bytes(b"\n\n".join(row if isinstance(row, bytes) else row.encode() for row in rows))
