"""KTO: its loss by hand and against TRL's, the mismatched rows, and a training."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from itune_core.api import DataError, Kind, ModelSource, Record, feedback, message, records
from itune_core.testing.context import BenchContext
from itune_torch import Encoded, load_causal, load_tokenizer, make_tiny_llama
from itune_trainers.algorithm import Logps
from itune_trainers.forward.causal import Causal
from itune_trainers.losses import kto_loss
from itune_trainers.objectives.kto import KTO
from itune_trainers.rows.encoder import Encoder
from itune_trainers.rows.example import Example
from itune_trainers.rows.mismatched import with_mismatched
from itune_trainers.training.loop import mean_loss

Bench = Callable[..., BenchContext]
SETTINGS = {"model": "tiny", "dtype": "float32", "device": "cpu", "learning_rate": 1e-3, "batch_size": 4}


def column(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


@pytest.fixture(scope="module")
def judged(dataset: Any, pairs: datasets.Dataset) -> datasets.Dataset:
    """Eleven answers, of which every third was not liked."""

    def one(number: int, record: Record) -> Record:
        liked = number % 3 > 0
        said = record["chosen" if liked else "rejected"]
        return feedback(record["prompt"], said, label=liked).replace(id=f"f{number}")

    return dataset(Kind.FEEDBACK, map(one, range(len(pairs)), records(pairs)))


def test_by_hand() -> None:
    """beta 0.5, z 0.4: a liked answer of ratio 1 has 1.5 (1 - s(0.3)), an unliked one of ratio -0.6 has 1 - s(0.5)."""
    loss = kto_loss(
        column(1.0, -0.6),
        torch.tensor([True, False]),
        beta=0.5,
        baseline=column(0.4)[0],
        desirable_weight=1.5,
        undesirable_weight=1.0,
    )
    assert loss.tolist() == pytest.approx([1.5 * (1 - sigmoid(0.3)), 1 - sigmoid(0.5)], rel=1e-12)


def test_no_gradient_goes_through_the_baseline() -> None:
    ratio, baseline = column(0.2).requires_grad_(), column(0.1).requires_grad_()
    kto_loss(
        ratio, torch.tensor([True]), beta=2.0, baseline=baseline[0], desirable_weight=1.0, undesirable_weight=1.0
    ).sum().backward()
    inner = sigmoid(2.0 * 0.1)
    assert ratio.grad is not None
    assert ratio.grad.item() == pytest.approx(-2.0 * inner * (1 - inner))  # derivative of 1 - sigmoid(2 (r - z))
    assert baseline.grad is None


@given(st.lists(st.floats(-20, 20), min_size=1, max_size=5))
def test_the_baseline_is_a_mean_and_never_negative(ratios: list[float]) -> None:
    size = len(ratios)
    zeros, ones = torch.zeros(size), torch.ones(size, dtype=torch.int64)
    found = KTO(KTO.Config(**SETTINGS)).baseline(
        Logps(column(*ratios), column(*[0.0] * size), ones, torch.ones(size), ones, zeros)
    )
    assert found.item() == pytest.approx(max(0.0, math.fsum(ratios) / size), abs=1e-12)


def example(number: int, prompt: int, length: int = 3) -> Example:
    """An answer of its own numbers to one of some prompts."""
    ids = [100 + prompt, 7, *[1000 * number + place for place in range(length)]]
    return Example(f"e{number}", (Encoded(ids, [False, False] + [True] * length),))


def mismatched(examples: list[Example], max_length: int = 64) -> list[tuple[int, int]]:
    """(prompt, whose completion) beside each example."""
    made = with_mismatched(examples, max_length)
    assert [item.id for item in made] == [item.id for item in examples]
    beside = [item.beside.rows[0] for item in made if item.beside is not None]
    return [(row.ids[0] - 100, row.ids[2] // 1000) for row in beside]


def test_each_prompt_meets_the_answer_before() -> None:
    assert mismatched([example(number, prompt=number) for number in range(4)]) == [(0, 3), (1, 0), (2, 1), (3, 2)]


def test_of_pairs_good_meets_good_and_bad_meets_bad() -> None:
    rows = [example(number, prompt=number // 2) for number in range(6)]
    assert mismatched(rows) == [(0, 4), (0, 5), (1, 0), (1, 1), (2, 2), (2, 3)]


@given(st.lists(st.integers(0, 4), min_size=2, max_size=20))
def test_no_answer_meets_its_own_prompt_and_each_is_used_once(prompts: list[int]) -> None:
    rows = [example(number, prompt) for number, prompt in enumerate(prompts)]
    if 2 * max(map(prompts.count, prompts)) > len(prompts):
        with pytest.raises(DataError) as error:
            mismatched(rows)
        assert error.value.code == "E-TRAIN-070"
        return
    found = mismatched(rows)
    assert [prompt for prompt, _ in found] == prompts
    assert all(prompts[other] != prompt for prompt, other in found)
    assert sorted(other for _, other in found) == list(range(len(prompts)))


def test_one_example_is_refused() -> None:
    with pytest.raises(DataError, match="same prompt"):
        with_mismatched([example(0, 0)], 64)


def test_a_long_mismatched_row_loses_its_end() -> None:
    made = with_mismatched([example(0, prompt=0, length=2), example(1, prompt=1, length=9)], 5)
    assert made[0].beside is not None
    row = made[0].beside.rows[0]
    assert row.ids == [100, 7, 1000, 1001, 1002]
    assert row.trained == [False, False, True, True, True]


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> ModelSource:
    """A reference that is another model, or every log-ratio would be 0 and nothing compared."""
    return ModelSource(make_tiny_llama(tmp_path_factory.mktemp("other"), seed=1), "transformers", "tiny-2", "other")


def measure(
    tiny: ModelSource, other: ModelSource, rows: datasets.Dataset, limit: int, **settings: Any
) -> dict[str, float]:
    """The loss of all rows as one batch, and its figures."""
    kto = KTO(KTO.Config(model="tiny", **settings))
    encoder = Encoder(load_tokenizer(tiny), 256, "error")
    examples = kto.complete([kto.example(record, encoder) for record in records(rows)])
    beside = [example.beside for example in examples if example.beside is not None]
    assert len(beside) == len(examples)
    with torch.no_grad():
        reference = Causal(load_causal(other), "cpu", 64)
        forward = Causal(load_causal(tiny), "cpu", limit)
        forward.reference = {item.key: reference([item]).policy for item in [*examples, *beside]}
        return mean_loss(kto, forward, examples)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("tuned", "held"), [("tiny", "other"), ("other", "tiny")])
def test_the_loss_of_a_batch_equals_trls(
    tuned: str,
    held: str,
    judged: datasets.Dataset,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    """Both ways round, so that once the baseline is above 0: it is mean(lp - ref), whose sign turns with them."""
    pytest.importorskip("trl")
    from trl import KTOConfig, KTOTrainer

    model, reference = request.getfixturevalue(tuned), request.getfixturevalue(held)
    rows = datasets.Dataset.from_list(
        [
            {
                **{key: [{"role": turn["role"], "content": turn["content"]} for turn in row[key]] for key in TURNS},
                "label": row["label"],
            }
            for row in judged.to_list()
        ]
    )
    trainer = KTOTrainer(
        model=load_causal(model),
        ref_model=load_causal(reference),
        args=KTOConfig(
            str(tmp_path),
            beta=0.3,
            desirable_weight=1.0,
            undesirable_weight=1.5,
            per_device_train_batch_size=len(judged),
            max_length=256,
            use_cpu=True,
            bf16=False,
            report_to="none",
            save_strategy="no",
            gradient_checkpointing=False,
            disable_tqdm=True,
        ),
        train_dataset=rows,
        processing_class=load_tokenizer(model),
    )
    theirs = trainer.compute_loss(trainer.model, next(iter(trainer.get_train_dataloader()))).item()
    ours = measure(model, reference, judged, 64, beta=0.3, undesirable_weight=1.5)
    assert ours["loss"] == pytest.approx(theirs, abs=1e-5)
    assert ours["kl"] == pytest.approx(trainer._metrics["eval"]["kl"][-1], abs=1e-3)
    assert ours["rewards/desirable"] == pytest.approx(trainer._metrics["eval"]["rewards/chosen"][-1], abs=1e-3)
    assert ours["rewards/undesirable"] == pytest.approx(trainer._metrics["eval"]["rewards/rejected"][-1], abs=1e-3)


TURNS = ("prompt", "completion")


def test_how_rows_are_joined_changes_nothing(tiny: ModelSource, other: ModelSource, judged: datasets.Dataset) -> None:
    """The baseline is the whole batch's, however it is split."""
    alone, together = (measure(tiny, other, judged, limit) for limit in (1, 4096))
    assert alone == pytest.approx(together, abs=1e-4)


def test_it_learns_who_was_liked(judged: datasets.Dataset, bench: Bench) -> None:
    kto = KTO(KTO.Config(**SETTINGS, epochs=8, desirable_weight=0.75))
    made = kto.train({"train": judged, "eval": judged}, bench())
    metrics = made.metrics
    assert metrics["eval/loss"] < metrics["eval/loss/before"]
    assert metrics["eval/rewards/desirable/before"] == pytest.approx(0, abs=1e-5)
    assert metrics["eval/rewards/desirable"] > 0.05 > -0.05 > metrics["eval/rewards/undesirable"]
    assert (metrics["desirable"], metrics["undesirable"]) == (7, 4)
    assert metrics["desirable_ratio"] == pytest.approx(0.75 * 7 / 4)


def test_a_batch_of_one_sort_says_nothing_of_the_other(judged: datasets.Dataset, bench: Bench) -> None:
    liked = judged.filter(lambda row: row["label"])
    made = KTO(KTO.Config(**SETTINGS)).train({"train": liked}, bench())
    assert made.metrics["desirable_ratio"] is None
    assert all("rewards/desirable" in entry and "rewards/undesirable" not in entry for entry in made.history)


def test_what_was_not_judged_fails_alone(dataset: Any, judged: datasets.Dataset, bench: Bench) -> None:
    ask = [message("user", "And?")]
    bad = dataset(Kind.FEEDBACK, [feedback(ask, [message("assistant", "So.")], value=0.5).replace(id="unjudged")])
    made = KTO(KTO.Config(**SETTINGS)).train({"train": datasets.concatenate_datasets([judged, bad])}, bench())
    assert {name: failed.code for name, failed in made.dropped.items()} == {"unjudged": "E-TRAIN-071"}
    assert made.metrics["records"] == len(judged)
