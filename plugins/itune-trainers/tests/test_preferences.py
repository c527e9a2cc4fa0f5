"""DPO as a whole: references, soft labels, and what it reports."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import pytest

from itune_core.api import Kind, ModelSource, TrainedModel, message, preference
from itune_core.testing.context import BenchContext
from itune_trainers.objectives.dpo import DPO
from itune_trainers.objectives.sft import SFT

Bench = Callable[..., BenchContext]


def dpo(rows: datasets.Dataset, context: BenchContext, held_out: Any = None, **settings: Any) -> TrainedModel:
    plain = {"model": "tiny", "dtype": "float32", "device": "cpu", "learning_rate": 1e-3, "batch_size": 4}
    inputs = {"train": rows} if held_out is None else {"train": rows, "eval": held_out}
    return DPO(DPO.Config(**{**plain, **settings})).train(inputs, context)


def test_it_learns_the_preferences(pairs: datasets.Dataset, bench: Bench) -> None:
    made = dpo(pairs, bench(), pairs, epochs=4)
    first, metrics = made.history[0], made.metrics
    assert first["loss"] == pytest.approx(math.log(2))
    assert first["rewards/margins"] == 0.0
    assert metrics["eval/loss/before"] == pytest.approx(math.log(2))
    assert metrics["eval/loss"] < 0.3
    assert metrics["eval/rewards/accuracies"] == 1.0
    assert metrics["eval/rewards/margins"] == pytest.approx(
        metrics["eval/rewards/chosen"] - metrics["eval/rewards/rejected"], abs=1e-5
    )
    moved = metrics["eval/logps/chosen"] - metrics["eval/logps/chosen/before"]
    assert metrics["eval/rewards/chosen"] == pytest.approx(0.1 * moved, abs=1e-4)


@pytest.mark.parametrize("limit", [1, 60])
def test_how_pairs_are_joined_changes_only_rounding(limit: int, pairs: datasets.Dataset, bench: Bench) -> None:
    some = dpo(pairs, bench("some"), tokens_per_forward=limit)
    other = dpo(pairs, bench("other"), tokens_per_forward=4096)
    for entry, same in zip(some.history, other.history, strict=True):
        assert entry == pytest.approx(same, abs=2e-4)


def test_a_killed_training_ends_with_the_same_bits(pairs: datasets.Dataset, bench: Bench, tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    whole = dpo(pairs, bench("whole"), epochs=3, save_steps=2)
    context = bench("killed")
    report = context.progress

    def progress(done: int, total: int | None = None, **figures: float) -> None:
        report(done, total, **figures)
        if done == 5 and total == 9:
            raise Killed

    context.progress = progress  # type: ignore[method-assign]
    with pytest.raises(Killed):
        dpo(pairs, context, epochs=3, save_steps=2)
    resumed = dpo(pairs, bench("killed"), epochs=3, save_steps=2)
    assert resumed.history == whole.history
    name = "adapter_model.safetensors"
    assert (whole.folder / name).read_bytes() == (resumed.folder / name).read_bytes()


def test_the_reference_is_computed_once_and_kept_by_content(
    pairs: datasets.Dataset, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    class Counting(BenchContext):
        def artifact(self, key: Any, make: Any) -> Path:
            if key["content"] == "token rows":
                return super().artifact(key, make)
            return super().artifact(key, lambda folder: (made.append(key), make(folder))[1])

    context = Counting(bench("x").folder, models=bench("x").models)
    one = dpo(pairs, context)
    for folder in (context.scratch / "model", context.scratch / "checkpoints"):
        assert folder.name == "checkpoints" or folder.exists()
    # Another loss of a matrix: other beta, rate and order; same model and rows.
    two = dpo(pairs, context, beta=0.5, learning_rate=1e-4, shuffle=False)
    assert len(made) == 1
    assert one.history[0]["loss"] == pytest.approx(two.history[0]["loss"])
    dpo(pairs.select(range(5)), context)
    assert len(made) == 2
    dpo(pairs, Counting(context.folder, models={"tiny": replace(context.models["tiny"], identity="tiny-2")}))
    assert len(made) == 3


def test_the_reference_of_an_adapted_model_is_the_adapter(
    pairs: datasets.Dataset, conversations: datasets.Dataset, bench: Bench, tiny: ModelSource
) -> None:
    settings = SFT.Config(model="tiny", dtype="float32", device="cpu", learning_rate=0.01, epochs=4)
    tuned = SFT(settings).train({"train": conversations}, bench("sft"))
    parent = replace(tiny, spec="sft", identity="tiny-1+sft", adapter=tuned.folder)
    made = dpo(pairs, bench("dpo", sft=parent), pairs, model="sft")
    plain = dpo(pairs, bench("plain"), pairs)
    assert made.adapter_of == "sft"
    assert made.history[0]["loss"] == pytest.approx(math.log(2))
    # The tuned model knows the chosen answers, the plain one does not.
    assert made.metrics["eval/logps/chosen/before"] > plain.metrics["eval/logps/chosen/before"] + 10


def test_a_soft_label_is_a_weight_on_both_directions(dataset: Any, bench: Bench) -> None:
    def rows(probability: float | None) -> datasets.Dataset:
        ask, good, bad = message("user", "Name a bird."), message("assistant", "Owl."), message("assistant", "Mill.")
        record = preference([ask], [good], [bad], probability=probability).replace(id="a")
        return dataset(Kind.PREFERENCE, [record])

    settings = {"epochs": 30, "learning_rate": 3e-3, "schedule": "constant"}
    margins = {p: dpo(rows(p), bench(str(p)), **settings).history[-1]["rewards/margins"] for p in (None, 1.0, 0.7, 0.5)}
    assert margins[None] == margins[1.0] > margins[0.7] > 0
    # The loss is least where sigmoid(margin) is the label.
    assert margins[0.7] == pytest.approx(math.log(0.7 / 0.3), abs=0.1)
    assert abs(margins[0.5]) < 0.05


def test_records_of_two_data_sets_may_have_the_same_ids(pairs: datasets.Dataset, bench: Bench) -> None:
    """As those of train.jsonl and test.jsonl have, whose rows are numbered."""
    ids = pairs["id"][:]
    others = pairs.select(range(10, -1, -1)).remove_columns("id").add_column("id", ids).cast(pairs.features)
    made = dpo(pairs, bench(), others)
    # Under its own reference, no answer has moved yet.
    assert made.metrics["eval/loss/before"] == pytest.approx(math.log(2), abs=1e-5)
    assert made.metrics["eval/log_ratio/chosen/before"] == pytest.approx(0, abs=1e-4)
