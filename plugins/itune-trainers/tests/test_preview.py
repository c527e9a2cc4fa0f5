from __future__ import annotations

from collections.abc import Callable
from typing import Any

import datasets

from itune_core.api import Kind, conversation, message
from itune_core.testing.context import BenchContext
from itune_trainers.objectives.dpo import DPO
from itune_trainers.objectives.sft import SFT

Bench = Callable[..., BenchContext]


def test_the_tokens_are_the_text_and_the_flags_the_answer(dataset: Any, bench: Bench) -> None:
    record = conversation([message("user", "Größer? 日本"), message("assistant", "Ja, 日本 🙂.")]).replace(id="a")
    config = SFT.Config(model="tiny")
    ((row, tokens),) = SFT(config).preview({"train": dataset(Kind.CONVERSATION, [record])}, bench())
    assert row == "a"
    text = "".join(text for text, _ in tokens)
    assert text == "<|im_start|>user\nGrößer? 日本<|im_end|>\n<|im_start|>assistant\nJa, 日本 🙂.<|im_end|>\n"
    assert "".join(text for text, trained in tokens if trained) == "Ja, 日本 🙂.<|im_end|>\n"


def test_a_pair_shows_both_sides(pairs: datasets.Dataset, bench: Bench) -> None:
    rows = list(DPO(DPO.Config(model="tiny")).preview({"train": pairs.select([0])}, bench()))
    trained = ["".join(text for text, on in tokens if on) for _, tokens in rows]
    assert [row for row, _ in rows] == ["p0", "p0"]
    assert trained[0].startswith("Green, on a windy day.<|im_end|>")
    assert trained[1].startswith("Seven minutes.<|im_end|>")


def test_rows_that_are_not_trained_on_are_not_shown(conversations: datasets.Dataset, bench: Bench) -> None:
    settings = SFT.Config(model="tiny", max_length=30, overlength="drop")
    shown = [row for row, _ in SFT(settings).preview({"train": conversations}, bench())]
    assert 0 < len(shown) < len(conversations)
