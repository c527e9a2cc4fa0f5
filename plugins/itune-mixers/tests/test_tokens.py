"""Tokens that were drawn, counted by a real tokenizer."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import datasets
import pytest

from itune_core.api import Kind, Mix, ModelError, ModelSource, Record, conversation, features, message, preference, text
from itune_core.testing import BenchContext
from itune_mixers.proportional import Proportional
from itune_mixers.stages import Stages

ASK, GOOD, BAD = "Name a prime number.", "Seven is one.", "Eight, I would say, or nine."


def data_set(*made: Record) -> datasets.Dataset:
    return datasets.Dataset.from_list(
        [{**record, "id": f"r{number}"} for number, record in enumerate(made)], features=features(made[0].kind)
    )


def talk(*turns: str) -> Record:
    roles = ("user", "assistant")
    return conversation([message(roles[number % 2], turn) for number, turn in enumerate(turns)])


@pytest.fixture
def context(tiny_folder: Path, tmp_path: Path) -> BenchContext:
    source = ModelSource(tiny_folder, "transformers", "tiny", str(tiny_folder))
    return BenchContext(tmp_path, models={"tiny": source}, seed=1)


def tokens(folder: Path, words: str) -> int:
    from transformers import AutoTokenizer

    return len(AutoTokenizer.from_pretrained(folder)(words, add_special_tokens=False)["input_ids"])


def test_each_draw_counts_and_each_turn(context: BenchContext, tiny_folder: Path) -> None:
    long = talk(ASK, GOOD, "Another?", BAD)
    inputs = {"records": [data_set(talk(ASK, GOOD), long), data_set(long)]}
    mixer = Proportional(Proportional.Config(size=30, epochs=2, tokens_of="tiny"))
    mix = mixer.itune_mix(inputs=inputs, context=context)
    times = Counter(item[:2] for item in mix.draws)
    short = tokens(tiny_folder, ASK) + tokens(tiny_folder, GOOD)
    longer = short + tokens(tiny_folder, "Another?") + tokens(tiny_folder, BAD)
    assert mix.tokens == [[times[0, 0] * short + times[0, 1] * longer, times[1, 0] * longer]]
    assert times.total() == 60
    assert context.reported[-1][:2] == (3, 3), "each distinct row is counted once"


def test_a_preference_has_both_sides_and_text_is_text(context: BenchContext, tiny_folder: Path) -> None:
    pair = preference([message("user", ASK)], [message("assistant", GOOD)], [message("assistant", BAD)])
    wholes = {Kind.PREFERENCE: (pair, (ASK, GOOD, BAD)), Kind.TEXT: (text(BAD), (BAD,))}
    for record, words in wholes.values():
        mixer = Proportional(Proportional.Config(tokens_of="tiny"))
        mix = mixer.itune_mix(inputs={"records": [data_set(record)]}, context=context)
        assert mix.tokens == [[sum(tokens(tiny_folder, each) for each in words)]]


def test_by_phase(context: BenchContext, tiny_folder: Path) -> None:
    first, second = data_set(talk(ASK, GOOD)), data_set(talk(ASK, BAD))
    mixer = Stages(Stages.Config(second={"size": 4}, replay=0.25, tokens_of="tiny"))
    mix = mixer.itune_mix(inputs={"first": [first], "second": [second]}, context=context)
    asked = tokens(tiny_folder, ASK)
    good, bad = asked + tokens(tiny_folder, GOOD), asked + tokens(tiny_folder, BAD)
    assert mix.tokens == [[good, 0], [good, 3 * bad]]


def test_nothing_is_counted_unless_it_is_wanted_or_there(context: BenchContext) -> None:
    empty = data_set(talk(ASK, GOOD)).select([])
    counted = Proportional(Proportional.Config(tokens_of="tiny"))
    mix = counted.itune_mix(inputs={"records": [empty, empty]}, context=context)
    assert Mix(list(mix.draws), mix.asked, mix.tokens) == Mix([], [[0.0, 0.0]], [[0, 0]])
    assert Proportional(Proportional.Config()).itune_mix(inputs={"records": [empty]}, context=context).tokens == ()


def test_without_itune_torch_it_says_what_to_install(context: BenchContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "itune_torch", None)
    mixer = Proportional(Proportional.Config(tokens_of="tiny"))
    with pytest.raises(ModelError, match="itune-mixers\\[tokens\\]") as caught:
        mixer.itune_mix(inputs={"records": [data_set(talk(ASK, GOOD))]}, context=context)
    assert caught.value.code == "E-MIX-011"
