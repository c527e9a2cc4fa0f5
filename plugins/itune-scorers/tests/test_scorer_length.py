from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
import pytest

from itune_core.api import Kind, Record, conversation, example, features, message
from itune_core.testing import BenchContext
from itune_scorers.length import Length


def scores(tmp_path: Path, *rows: Record) -> list[Any]:
    data = datasets.Dataset.from_list([dict(row) for row in rows], features=features(rows[0].kind))
    return list(Length(Length.Config()).itune_score(inputs={"records": data}, context=BenchContext(tmp_path)))


def test_a_conversation(tmp_path: Path) -> None:
    turns = [("system", "Be brief."), ("user", "Gdzie jest Łódź?"), ("assistant", "W\n Polsce. ")]
    record = conversation([message(role, content) for role, content in turns], id="1")
    assert scores(tmp_path, record) == [
        {
            "prompt_characters": 25,
            "prompt_words": 5,
            "response_characters": 11,
            "response_words": 2,
            "total_characters": 36,
            "total_words": 7,
        }
    ]


@pytest.mark.parametrize(
    ("kind", "prompt", "response", "total"),
    [
        (Kind.CONVERSATION, 20, 6, 26),
        (Kind.PROMPT, 20, 0, 20),
        (Kind.PREFERENCE, 20, 6, 32),
        (Kind.RANKING, 20, 6, 32),
        (Kind.FEEDBACK, 20, 6, 26),
        (Kind.TEXT, 0, 24, 24),
    ],
)
def test_every_kind(tmp_path: Path, kind: Kind, prompt: int, response: int, total: int) -> None:
    [found] = scores(tmp_path, example(kind).replace(id="1"))
    assert set(found) == set(Length.columns)
    assert (found["prompt_characters"], found["response_characters"], found["total_characters"]) == (
        prompt,
        response,
        total,
    )


def test_emoji_and_scripts_without_spaces(tmp_path: Path) -> None:
    record = conversation([message("user", "東京は\u3000どこ"), message("assistant", "日本 👍🏽")], id="1")
    [found] = scores(tmp_path, record)
    # An ideographic space is white space; an emoji with a skin tone is two code points.
    assert (found["prompt_characters"], found["prompt_words"]) == (6, 2)
    assert (found["response_characters"], found["response_words"]) == (5, 2)
