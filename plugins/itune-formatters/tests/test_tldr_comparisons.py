from __future__ import annotations

import json
from typing import Any

import pytest

from itune_core.api import Kind
from itune_formatters.preferences.tldr_comparisons import TLDRComparisons

POST = {
    "info": {"id": "t3_1", "post": "My cat sits on the map.\nAlways.", "title": "Cat", "subreddit": "cats"},
    "summaries": [
        {"text": "A cat sits on a map.", "policy": "sup1", "note": "short"},
        {"text": " A map is under a cat.", "policy": "ref", "note": None},
    ],
    "choice": 1,
    "worker": "w1",
    "batch": "batch3",
    "split": "train",
    "extra": {"confidence": 8},
}


def outcome(run: Any, row: Any, **config: Any) -> Any:
    [found] = run(TLDRComparisons, [row], **config)
    return found


def test_a_post(run: Any) -> None:
    made = outcome(run, POST)
    assert made.kind is Kind.PREFERENCE
    assert [(turn["role"], turn["content"]) for turn in made["prompt"]] == [
        (
            "user",
            "Write a short summary of the text below.\n\n"
            "Subreddit: r/cats\nTitle: Cat\n\nMy cat sits on the map.\nAlways.",
        )
    ]
    assert made["chosen"][0]["content"] == " A map is under a cat."
    assert made["rejected"][0]["content"] == "A cat sits on a map."
    assert (made["category"], made["margin"], made["probability"]) == ("cats", None, None)
    assert json.loads(made["meta"]) == {
        "info": {"id": "t3_1"},
        "summaries": [{"policy": "sup1", "note": "short"}, {"policy": "ref", "note": None}],
        "choice": 1,
        "worker": "w1",
        "batch": "batch3",
        "split": "train",
        "extra": {"confidence": 8},
    }


def test_an_article(run: Any) -> None:
    article = {"id": "f1", "site": "cnn", "article": "It rained in Łódź.", "title": None}
    made = outcome(run, {**POST, "info": article, "choice": 0}, instruction="Sum it up.", frame={"input": "before"})
    assert made["prompt"][0]["content"] == "It rained in Łódź.\n\nSum it up."
    assert made["chosen"][0]["content"] == "A cat sits on a map."
    assert made["category"] is None
    assert json.loads(made["meta"])["info"] == {"id": "f1", "site": "cnn"}


def test_splits_are_said(run: Any) -> None:
    rows = [{**POST, "split": split} for split in ("train", "valid1", "valid2", "test")]
    reasons = [getattr(item, "reason", "record") for item in run(TLDRComparisons, rows)]
    assert reasons == ["record", "other-split", "other-split", "other-split"]
    reasons = [getattr(item, "reason", "record") for item in run(TLDRComparisons, rows, splits=["valid2", "train"])]
    assert reasons == ["record", "other-split", "record", "other-split"]


def summaries(*texts: Any) -> dict[str, Any]:
    return {"summaries": [{"text": text} for text in texts]}


@pytest.mark.parametrize(
    ("fields", "result"),
    [
        (summaries("a", " "), "empty-output"),
        (summaries("a", " a\n"), "equal-responses"),
        ({"info": {"post": " ", "title": "x"}}, "empty-prompt"),
        (summaries("a", None), "E-DATA-002"),
        (summaries("a", 7), "E-DATA-003"),
        (summaries("a"), "E-FORMAT-046"),
        ({"summaries": ["a", "b"]}, "E-FORMAT-046"),
        ({"info": None}, "E-FORMAT-046"),
        ({"info": {"title": "x"}}, "E-FORMAT-046"),
        ({"info": {"post": "x", "article": "y"}}, "E-FORMAT-046"),
        ({"info": {"post": None}}, "E-DATA-002"),
        ({"choice": None}, "E-FORMAT-046"),
        ({"choice": True}, "E-FORMAT-046"),
        ({"choice": 2}, "E-FORMAT-046"),
        ({"split": None}, "E-DATA-002"),
    ],
)
def test_drops_and_failures(run: Any, fields: Any, result: str) -> None:
    found = outcome(run, {**POST, **fields})
    assert getattr(found, "reason", getattr(found, "code", "record")) == result
