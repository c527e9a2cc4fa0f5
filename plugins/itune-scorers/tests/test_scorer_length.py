from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import datasets
import pytest

from itune_core.api import Failed, Kind, ModelError, ModelSource, Record, conversation, example, features, message
from itune_core.testing import BenchContext, samples
from itune_scorers import length as length_module
from itune_scorers.length import BATCH, Length


def scores(context: BenchContext | Path, *rows: Record, **settings: Any) -> list[Any]:
    data = datasets.Dataset.from_list(
        [{**row, "id": row["id"] or f"r{number}"} for number, row in enumerate(rows)], features=features(rows[0].kind)
    )
    context = context if isinstance(context, BenchContext) else BenchContext(context)
    return list(Length(Length.Config(**settings)).itune_score(inputs={"records": data}, context=context))


@pytest.fixture
def tokenizing(tiny_folder: Path, tmp_path: Path) -> BenchContext:
    source = ModelSource(tiny_folder, "transformers", "tiny", str(tiny_folder))
    return BenchContext(tmp_path, models={"tiny": source})


def tokens(folder: Path, *contents: str) -> int:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    return sum(len(tokenizer(content, add_special_tokens=False)["input_ids"]) for content in contents)


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
    assert list(found) == list(Length.columns_for(Length.Config()))
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


def test_words_of_japanese(tmp_path: Path) -> None:
    record = conversation([message("user", "東京はどこですか。"), message("assistant", "日本です。")], id="1")
    [found] = scores(tmp_path, record, language="ja")
    assert (found["prompt_words"], found["response_words"], found["total_words"]) == (5, 2, 7)


def test_words_by_the_language_of_each_record(tmp_path: Path) -> None:
    turns = [message("user", "东京在哪里？"), message("assistant", "在 日本。")]
    rows = [conversation(turns, id=f"{language}", language=language) for language in ("zh-CN", "en", None, "th")]
    chinese, english, unsaid, thai = scores(tmp_path, *rows, language="record")
    assert (chinese["response_words"], english["response_words"]) == (2, 2)
    assert (chinese["prompt_words"], english["prompt_words"]) == (3, 1)
    assert isinstance(unsaid, Failed)
    assert unsaid.code == "E-SCORE-011"
    assert isinstance(thai, Failed)
    assert thai.code == "E-SCORE-012"


def test_there_are_columns_of_tokens_where_a_model_is_named() -> None:
    without = Length.columns_for(Length.Config())
    assert len(without) == 6
    assert not any("tokens" in name for name in without)
    assert Length.columns_for(Length.Config(model="tiny")) == Length.columns


@pytest.mark.parametrize("kind", Kind)
def test_tokens_of_every_kind(tokenizing: BenchContext, tiny_folder: Path, kind: Kind) -> None:
    sides = {
        Kind.CONVERSATION: lambda row: (row["messages"][:-1], [row["messages"][-1:]]),
        Kind.PROMPT: lambda row: (row["prompt"], []),
        Kind.PREFERENCE: lambda row: (row["prompt"], [row["chosen"], row["rejected"]]),
        Kind.RANKING: lambda row: (row["prompt"], [candidate["completion"] for candidate in row["candidates"]]),
        Kind.FEEDBACK: lambda row: (row["prompt"], [row["completion"]]),
        Kind.TEXT: lambda row: ([], [[message("assistant", row["text"])]]),
    }
    rows = samples(kind)
    for row, found in zip(rows, scores(tokenizing, *rows, model="tiny"), strict=True):
        assert set(found) == set(Length.columns)
        prompt, responses = sides[kind](row)
        counted = [tokens(tiny_folder, *(turn["content"] for turn in turns)) for turns in (prompt, *responses)]
        assert found["prompt_tokens"] == counted[0]
        assert found["response_tokens"] == (counted[1] if responses else 0)
        assert found["total_tokens"] == sum(counted)


def test_tokens_stay_with_their_record_across_batches(tokenizing: BenchContext, tiny_folder: Path) -> None:
    rows = [
        conversation([message("user", "Say it."), message("assistant", "word " * (number % 7 + 1))])
        for number in range(2 * BATCH + 3)
    ]
    once = {number: tokens(tiny_folder, "word " * number) for number in range(1, 8)}
    found = scores(tokenizing, *rows, model="tiny")
    assert [each["response_tokens"] for each in found] == [once[number % 7 + 1] for number in range(len(rows))]


def test_a_record_that_fails_has_no_tokens_either(tokenizing: BenchContext) -> None:
    turns = [message("user", "Where?"), message("assistant", "Here.")]
    rows = [conversation(turns, language=language) for language in ("en", None, "en")]
    first, second, third = scores(tokenizing, *rows, model="tiny", language="record")
    assert isinstance(second, Failed)
    assert first == third
    assert first["response_tokens"] > 0


def test_without_itune_torch_it_says_what_to_install(tokenizing: BenchContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "itune_torch", None)
    length_module._tokenizer.cache_clear()
    with pytest.raises(ModelError, match=r"itune-scorers\[tokens\]") as caught:
        scores(tokenizing, example(Kind.CONVERSATION), model="tiny")
    assert caught.value.code == "E-SCORE-015"
