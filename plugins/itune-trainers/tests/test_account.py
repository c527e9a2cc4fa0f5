"""Figures that the report judges: ends of answers, gradients that were cut, sides of pairs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest

from itune_core.api import ModelSource
from itune_core.testing.context import BenchContext
from itune_torch import Encoded
from itune_trainers.objectives.dpo import DPO
from itune_trainers.objectives.sft import SFT
from itune_trainers.objectives.simpo import SimPO
from itune_trainers.rows.example import Example
from itune_trainers.rows.stops import ends, stop_ids
from itune_trainers.training.account import gradient_norms, untrained_ends

Bench = Callable[..., BenchContext]
PLAIN = {"model": "tiny", "dtype": "float32", "device": "cpu", "batch_size": 4}
END = 9


@pytest.mark.parametrize(
    ("ids", "trained", "ended"),
    [
        ([1, 2, 3, END], "0011", True),
        ([1, 2, 3, END, 4], "00111", True),  # ChatML ends a turn with a line
        ([1, 2, 3, END], "0010", False),
        ([1, 2, 3, 4], "0011", False),
        ([1, END, 2, 3], "0101", False),  # the first answer ended, the last did not
        ([1, 2, END], "111", True),
        ([1, 2, 3], "111", True),  # a text need not end
    ],
)
def test_the_last_trained_stretch_must_hold_a_stop(ids: list[int], trained: str, ended: bool) -> None:
    row = Encoded(ids, [flag == "1" for flag in trained])
    assert ends(row, {END}) is ended
    assert untrained_ends([Example("a", (row, row))], {END}) == (0 if ended else 2)


def test_gradients() -> None:
    history = [{"grad_norm": norm} for norm in (0.5, 1.0, 4.0, 2.0)]
    assert gradient_norms(history, 1.0) == {"grad_norm/max": 4.0, "grad_norm/clipped": 0.5}
    assert gradient_norms(history, None) == {"grad_norm/max": 4.0, "grad_norm/clipped": 0.0}


def test_a_training_says_them(conversations: datasets.Dataset, bench: Bench) -> None:
    made = SFT(SFT.Config(**PLAIN)).train({"train": conversations}, bench("a"))
    assert made.metrics["untrained_ends"] == 0
    assert made.metrics["grad_norm/max"] == max(entry["grad_norm"] for entry in made.history)
    cut = SFT(SFT.Config(**PLAIN, max_length=40, overlength="truncate-response"))
    assert cut.train({"train": conversations}, bench("b")).metrics["untrained_ends"] > 0


def test_pairs_say_how_long_their_sides_are_and_how_far_they_went(pairs: datasets.Dataset, bench: Bench) -> None:
    made = DPO(DPO.Config(**PLAIN, learning_rate=1e-3, epochs=2)).train({"train": pairs}, bench("dpo"))
    assert made.metrics["tokens/chosen"] == pytest.approx(made.metrics["tokens/rejected"]), "the same answers, shifted"
    assert made.metrics["tokens/chosen"] * 2 * len(pairs) == pytest.approx(made.metrics["supervised_tokens"])
    first, last = made.history[0], made.history[-1]
    assert first["log_ratio/chosen"] == first["log_ratio/rejected"] == 0
    for side in ("chosen", "rejected"):
        assert last[f"rewards/{side}"] == pytest.approx(0.1 * last[f"log_ratio/{side}"], abs=1e-5)
    free = SimPO(SimPO.Config(**PLAIN)).train({"train": pairs}, bench("simpo"))
    assert "log_ratio/chosen" not in free.history[0]


def test_stops_are_those_of_tokenizer_and_generation_config(tiny: ModelSource, tmp_path: Path) -> None:
    import json
    import shutil
    from dataclasses import replace

    from itune_torch import load_tokenizer

    tokenizer: Any = load_tokenizer(tiny)
    assert stop_ids(tiny, tokenizer) == {tokenizer.eos_token_id}
    shutil.copytree(tiny.files, tmp_path / "copy")
    path = tmp_path / "copy" / "generation_config.json"
    path.write_text(json.dumps({"eos_token_id": [5, 7]}))
    copy = replace(tiny, files=tmp_path / "copy")
    assert stop_ids(copy, tokenizer) == {5, 7, tokenizer.eos_token_id}
    path.unlink()
    assert stop_ids(copy, tokenizer) == {tokenizer.eos_token_id}
