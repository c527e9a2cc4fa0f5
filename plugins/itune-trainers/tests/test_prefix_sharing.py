"""Rows of one example share their prompt, where that is exact: in what is learnt, in what is run, in what is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch

from itune_core.api import Kind, ModelSource, TrainedModel, message, ranking
from itune_core.testing.context import BenchContext
from itune_torch import Encoded, load_causal
from itune_trainers.forward.causal import Causal
from itune_trainers.objectives.dpo import DPO
from itune_trainers.objectives.orpo import ORPO
from itune_trainers.objectives.rrhf import RRHF
from itune_trainers.objectives.sft import SFT
from itune_trainers.rows.example import Example

Bench = Callable[..., BenchContext]
PLAIN = {"model": "tiny", "dtype": "float32", "device": "cpu", "learning_rate": 1e-3, "batch_size": 4}


def unshared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("itune_torch.prefixes_can_be_shared", lambda model: False)


@pytest.fixture(scope="module")
def lists(dataset: Any) -> datasets.Dataset:
    """Five questions with two to four answers, best first."""
    answers = ["At noon.", "At noon, I think, or a little later.", "Late.", "Nobody has said when."]
    return dataset(
        Kind.RANKING,
        (
            ranking(
                [message("user", f"When does shop number {number} close?")],
                [
                    {"completion": [message("assistant", text)], "score": float(-place)}
                    for place, text in enumerate(answers[: 2 + number % 3])
                ],
            ).replace(id=f"l{number}")
            for number in range(5)
        ),
    )


def train(objective: Any, rows: datasets.Dataset, context: BenchContext, **settings: Any) -> TrainedModel:
    return objective(objective.Config(**{**PLAIN, **settings})).train({"train": rows, "eval": rows}, context)


@pytest.mark.parametrize(("objective", "kind"), [(DPO, "pairs"), (ORPO, "pairs"), (RRHF, "lists")])
def test_a_shared_prompt_changes_only_rounding(
    objective: Any, kind: str, request: pytest.FixtureRequest, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = request.getfixturevalue(kind)
    shared = train(objective, rows, bench("shared"), epochs=3)
    assert shared.metrics["prefix_shared"] is True
    unshared(monkeypatch)
    apart = train(objective, rows, bench("apart"), epochs=3)
    assert apart.metrics["prefix_shared"] is False
    assert len(shared.history) > 3
    for entry, same in zip(shared.history, apart.history, strict=True):
        assert entry == pytest.approx(same, abs=2e-4)
    assert shared.metrics["eval/loss"] == pytest.approx(apart.metrics["eval/loss"], abs=2e-4)


def test_rows_that_stand_alone_say_nothing_of_it(conversations: datasets.Dataset, bench: Bench) -> None:
    assert "prefix_shared" not in train(SFT, conversations, bench()).metrics


def test_the_reference_is_kept_apart_from_an_unshared_one(
    pairs: datasets.Dataset, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their last digits differ, and a training must not depend on which was there first."""
    made = []

    class Counting(BenchContext):
        def artifact(self, key: Any, make: Any) -> Path:
            return super().artifact(key, lambda folder: (made.append(key["content"]), make(folder)))

    plain = bench()
    context = Counting(plain.folder, models=plain.models)
    train(DPO, pairs, context)
    train(DPO, pairs, context)
    assert made.count("sequence log-probabilities") == 1
    unshared(monkeypatch)
    train(DPO, pairs, context)
    assert made.count("sequence log-probabilities") == 2


def pair(prompt: int, *answers: int) -> Example:
    rows = (
        Encoded([7] * prompt + [number + 20] * size, [False] * prompt + [True] * size)
        for number, size in enumerate(answers)
    )
    return Example(f"{prompt}-{answers}", tuple(rows))


def test_groups_count_what_is_run(tiny: ModelSource, monkeypatch: pytest.MonkeyPatch) -> None:
    examples = [pair(10, 3, 4), pair(10, 3, 4), pair(10, 2, 2, 2)]
    forward = Causal(load_causal(tiny), "cpu", 34)
    assert [len(group) for group in forward.groups(examples)] == [2, 1]
    (batch,) = forward.batches([example.rows for example in examples[:2]])
    assert batch.input_ids.shape == (1, 34)
    unshared(monkeypatch)
    apart = Causal(load_causal(tiny), "cpu", 34)
    assert [len(group) for group in apart.groups(examples)] == [1, 1, 1]
    with torch.no_grad():
        torch.testing.assert_close(forward(examples).policy, apart(examples).policy, atol=1e-5, rtol=1e-5)


def test_padded_rows_share_nothing(tiny: ModelSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("itune_torch.rows_are_isolated", lambda model: False)
    forward, examples = Causal(load_causal(tiny), "cpu", 100), [pair(10, 3, 4)]
    facts = forward.facts(examples)
    assert (facts["padding_free"], facts["prefix_shared"]) == (False, False)
    (batch,) = forward.batches([example.rows for example in examples])
    assert batch.input_ids.shape == (2, 14)
    assert batch.parts == ()


def test_conversations_that_begin_alike_share_their_beginning_if_told(
    conversations: datasets.Dataset, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    run: list[int] = []
    one_by_one = Causal.batches

    def counted(self: Causal, rows: Any) -> Any:
        made = one_by_one(self, rows)
        run.append(sum(batch.input_ids.numel() for batch in made))
        return made

    monkeypatch.setattr(Causal, "batches", counted)
    apart = train(SFT, conversations, bench("apart"), epochs=3)
    tokens_apart = sum(run)
    run.clear()
    shared = train(SFT, conversations, bench("shared"), epochs=3, share_prefix=True)
    assert (apart.metrics.get("prefix_shared"), shared.metrics["prefix_shared"]) == (None, True)
    assert sum(run) < tokens_apart  # the template opens every conversation with the same tokens
    for entry, same in zip(shared.history, apart.history, strict=True):
        assert entry == pytest.approx(same, abs=2e-4)
    assert shared.metrics["eval/loss"] == pytest.approx(apart.metrics["eval/loss"], abs=1e-4)


@pytest.mark.parametrize("noise", [{"neftune_alpha": 5.0}, {"lora": {"dropout": 0.1}}])
def test_what_is_shared_has_no_noise(noise: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="share_prefix would draw the same noise"):
        SFT.Config(model="tiny", share_prefix=True, **noise)
