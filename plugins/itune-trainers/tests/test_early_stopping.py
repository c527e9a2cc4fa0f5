"""Training ends where the held-out loss has stopped falling, with the best weights, also after a kill."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from itune_core.api import DataError, Kind, ModelError, ModelSource, TrainedModel, conversation, message
from itune_core.testing.context import BenchContext
from itune_trainers.objectives.dpo import DPO
from itune_trainers.objectives.sft import SFT
from itune_trainers.training.early_stopping import standing

Bench = Callable[..., BenchContext]
PLAIN = {"model": "tiny", "dtype": "float32", "device": "cpu", "learning_rate": 0.05, "batch_size": 4}
WEIGHTS = "adapter_model.safetensors"


def run(rows: Any, held_out: Any, context: BenchContext, objective: Any = SFT, **settings: Any) -> TrainedModel:
    inputs = {"train": rows} if held_out is None else {"train": rows, "eval": held_out}
    return objective(objective.Config(**{**PLAIN, "epochs": 12, **settings})).train(inputs, context)


@pytest.fixture(scope="module")
def strangers(dataset: Any) -> datasets.Dataset:
    """Rows that have nothing to do with those trained on: the loss on them falls, and then rises."""
    return dataset(
        Kind.CONVERSATION,
        [
            conversation([message("user", f"Say {word}."), message("assistant", word)]).replace(id=word)
            for word in ("bridge over the river", "under the old mill", "snow on the roof")
        ],
    )


def measured(made: TrainedModel) -> dict[int, float]:
    return {entry["step"]: entry["eval/loss"] for entry in made.history if "eval/loss" in entry}


def test_it_stops_and_gives_the_best(
    conversations: datasets.Dataset, strangers: datasets.Dataset, bench: Bench
) -> None:
    stopping = {"every": 2, "patience": 2}
    made = run(conversations, strangers, bench(), early_stopping=stopping)
    losses = measured(made)
    best = min(losses, key=lambda step: losses[step])
    assert list(losses) == list(range(2, len(made.history) + 1, 2))
    assert made.metrics["best_step"] == best
    assert made.metrics["stopped_at"] == made.metrics["steps"] == len(made.history) == best + 4 < 36
    assert made.metrics["eval/loss"] == losses[best]
    last = run(conversations, strangers, bench("last"), early_stopping={**stopping, "keep": "last"})
    assert last.history == made.history
    assert last.metrics["best_step"] == best
    assert last.metrics["eval/loss"] == losses[last.metrics["stopped_at"]] > losses[best]


def test_evaluating_changes_nothing_of_the_course(
    conversations: datasets.Dataset, strangers: datasets.Dataset, bench: Bench
) -> None:
    settings = {"lora": {"dropout": 0.2}, "epochs": 2}
    plain = run(conversations, strangers, bench("plain"), **settings)
    watched = run(
        conversations,
        strangers,
        bench("watched"),
        early_stopping={"every": 1, "patience": 99, "keep": "last"},
        **settings,
    )
    assert [entry["loss"] for entry in plain.history] == [entry["loss"] for entry in watched.history]
    assert (plain.folder / WEIGHTS).read_bytes() == (watched.folder / WEIGHTS).read_bytes()
    assert "stopped_at" not in watched.metrics


def test_there_is_an_evaluation_after_the_last_step(
    conversations: datasets.Dataset, strangers: datasets.Dataset, bench: Bench
) -> None:
    made = run(conversations, strangers, bench(), epochs=1, early_stopping={"every": 50})
    assert list(measured(made)) == [3]
    assert made.metrics["best_step"] == 3


def test_pairs_can_be_stopped_too(pairs: datasets.Dataset, bench: Bench) -> None:
    held_out = pairs.select([0, 5])
    made = run(pairs.select([1, 2, 3]), held_out, bench(), DPO, early_stopping={"every": 1, "patience": 3})
    losses = measured(made)
    assert made.metrics["eval/loss"] == min(losses.values())
    assert all("eval/rewards/margins" in entry for entry in made.history)


@pytest.mark.parametrize("settings", [{}, {"adapter": "none", "learning_rate": 0.02}])
def test_a_killed_training_ends_with_the_same_bits(
    settings: dict[str, Any],
    conversations: datasets.Dataset,
    strangers: datasets.Dataset,
    bench: Bench,
    tiny: ModelSource,
    tmp_path: Path,
) -> None:
    """Killed first where no checkpoint is yet, then where the best weights are in the checkpoint alone."""

    class Killed(Exception):
        pass

    class KilledAt(BenchContext):
        at = 0

        def progress(self, done: int, total: int | None = None, **figures: float) -> None:
            if figures and done == self.at:
                raise Killed

    settings = {**settings, "early_stopping": {"every": 1, "patience": 2}}
    whole = run(conversations, strangers, bench("whole"), **settings)
    best, end = whole.metrics["best_step"], whole.metrics["stopped_at"]
    assert 2 < best < end < 36
    context = KilledAt(tmp_path / "killed", models={"tiny": tiny})
    for context.at in (2, end):
        with pytest.raises(Killed):
            run(conversations, strangers, context, save_steps=best + 1, **settings)
    resumed = run(conversations, strangers, bench("killed"), **settings)
    assert resumed.history == whole.history
    assert resumed.metrics == whole.metrics
    name = WEIGHTS if "adapter" not in settings else "model.safetensors"
    assert (resumed.folder / name).read_bytes() == (whole.folder / name).read_bytes()


def test_other_held_out_rows_are_another_training(
    conversations: datasets.Dataset, strangers: datasets.Dataset, tiny: ModelSource, tmp_path: Path
) -> None:
    class Killed(Exception):
        pass

    class KilledAt(BenchContext):
        def progress(self, done: int, total: int | None = None, **figures: float) -> None:
            if done == 3:
                raise Killed

    context = KilledAt(tmp_path / "x", models={"tiny": tiny})
    settings = {"save_steps": 1, "early_stopping": {"every": 1}}
    with pytest.raises(Killed):
        run(conversations, strangers, context, **settings)
    with pytest.raises(ModelError, match="held_out changed") as caught:
        run(conversations, strangers.select([0]), BenchContext(tmp_path / "x", models={"tiny": tiny}), **settings)
    assert caught.value.code == "E-TRAIN-021"


def test_without_held_out_rows_it_is_refused_before_any_row_is_read(bench: Bench) -> None:
    with pytest.raises(DataError, match="needs held-out rows") as caught:
        run(None, None, bench(), early_stopping={"every": 1})
    assert caught.value.code == "E-TRAIN-012"


def test_a_loss_that_is_no_number_ends_it(
    conversations: datasets.Dataset, strangers: datasets.Dataset, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("itune_trainers.training.task._evaluate", lambda *_: {"loss": math.nan})
    with pytest.raises(ModelError, match="after step 2 is nan") as caught:
        run(conversations, strangers, bench(), early_stopping={"every": 2})
    assert caught.value.code == "E-TRAIN-014"


@pytest.mark.parametrize(
    ("given", "says"),
    [({}, "Field required"), ({"every": 0}, "greater than or equal to 1"), ({"every": 1, "keep": "first"}, "best")],
)
def test_settings_that_cannot_be_meant_are_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        SFT.Config(model="tiny", early_stopping=given)


def history(losses: list[float]) -> list[dict[str, Any]]:
    return [{"step": step + 1, "loss": 0.0, "eval/loss": loss} for step, loss in enumerate(losses)]


def test_standing_by_hand() -> None:
    assert standing([{"step": 1, "loss": 1.0}], 0.0) == standing([], 0.0)
    assert (standing(history([3, 2, 2, 4]), 0.0).best, standing(history([3, 2, 2, 4]), 0.0).stale) == (2, 2)
    # 3 -> 2.95 -> 2.8: each is the best so far, but only the last is lower by more than 0.1 than what counted.
    slow = standing(history([3, 2.95, 2.8]), 0.1)
    assert (slow.best, slow.stale) == (3, 0)
    assert standing(history([3, 2.95]), 0.1).stale == 1


@given(st.lists(st.floats(0, 10), min_size=1, max_size=20), st.floats(0, 1))
def test_the_best_is_the_first_lowest_and_stale_starts_over_with_each_fall(losses: list[float], delta: float) -> None:
    stands = standing(history(losses), delta)
    assert stands.best == losses.index(min(losses)) + 1
    assert 0 <= stands.stale < len(losses)
    if min(losses[:-1], default=math.inf) - delta > losses[-1]:
        assert stands.stale == 0
    if losses[-1] >= min(losses[:-1], default=math.inf):
        assert stands.stale >= 1
