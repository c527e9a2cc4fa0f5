"""Reward models: the loss, what is measured beside it, and adapters that bring their head."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from itune_core.api import Failed, Kind, ModelError, ModelSource, Record, TrainedModel, records
from itune_core.testing.context import BenchContext
from itune_torch import lay_out, load_causal, load_reward, load_tokenizer, sequence_rewards
from itune_trainers import Encoder, Logps
from itune_trainers.forward.reward import Reward as Forward
from itune_trainers.losses import bradley_terry_loss
from itune_trainers.objectives.dpo import DPO
from itune_trainers.objectives.reward import Reward
from itune_trainers.training.loop import mean_loss

Bench = Callable[..., BenchContext]
SETTINGS = {"model": "tiny", "dtype": "float32", "device": "cpu", "batch_size": 4}


def objective(**settings: Any) -> Reward:
    return Reward(Reward.Config(**{"model": "tiny", "learning_rate": 1e-3, **settings}))


def column(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


number = st.floats(-30, 30)


@given(w=number, l=number, m=st.floats(0, 5), c=st.floats(0, 0.1))
def test_the_loss_by_hand(w: float, l: float, m: float, c: float) -> None:  # noqa: E741
    found = bradley_terry_loss(column(w), column(l), margin=column(m), centring=c).item()
    gap = w - l - m
    by_hand = math.log1p(math.exp(-abs(gap))) + max(-gap, 0) + c * (w + l) ** 2
    assert found == pytest.approx(by_hand, rel=1e-9, abs=1e-12)


def pair(w: float, l: float, label: float = 1.0, margin: float = 0.0) -> Logps:  # noqa: E741
    return Logps(column(w, l), None, torch.tensor([3, 5]), column(label), torch.tensor([2]), column(margin, 0))


def test_golden_values() -> None:
    """By hand in float64: log(1 + e^-1), log(1 + e^-0.5), log(1 + e^-1) + 0.01 * 9, 0.7 a + 0.3 (a + 1)."""
    assert objective().loss(pair(2, 1)).item() == pytest.approx(0.3132616875182228)
    assert objective(margins=True).loss(pair(2, 1, margin=0.5)).item() == pytest.approx(0.4740769841801067)
    assert objective(centring=0.01).loss(pair(2, 1)).item() == pytest.approx(0.4032616875182228)
    assert objective().loss(pair(2, 1, label=0.7)).item() == pytest.approx(0.6132616875182228)
    even = objective(margins=True)
    assert even.loss(pair(1, 1, 0.5, 2.0)).item() == pytest.approx(even.loss(pair(1, 1, 1.0, 2.0)).item())


@given(p=st.floats(0, 1), m=st.floats(0, 3))
def test_a_pair_as_likely_either_way_asks_for_no_difference(p: float, m: float) -> None:
    """The margin is of the better answer, whichever it is: at p = 1/2 equal rewards are best, whatever the margin."""
    both = objective(margins=True)
    assert both.loss(pair(1, 1, 0.5, m)).item() <= both.loss(pair(1 + p, 1 - p, 0.5, m)).item() + 1e-12


def summary(rewards: list[float], tokens: list[int]) -> dict[str, float]:
    pairs = len(rewards) // 2
    logps = Logps(
        column(*rewards), None, torch.tensor(tokens), torch.ones(pairs), torch.full((pairs,), 2), torch.zeros(2 * pairs)
    )
    return dict(objective().summary(logps))


def test_accuracy_stands_beside_that_of_length() -> None:
    found = summary([2, 1, 0, 3, 1, 1, 5, 4], [7, 3, 2, 2, 9, 4, 6, 8])
    assert found["accuracy"] == (1 + 0 + 0.5 + 1) / 4
    assert found["length_only_accuracy"] == (1 + 0.5 + 1 + 0) / 4


def test_the_correlation_is_of_ranks() -> None:
    assert summary([1, 10, 100, 1000], [1, 2, 3, 4])["length_correlation"] == pytest.approx(1)
    assert summary([1, 10, 100, 1000], [4, 3, 2, 1])["length_correlation"] == pytest.approx(-1)
    # Ranks 1 2 3 4 and, with a tie, 1.5 1.5 4 3: covariance 7/8, variances 5/4 and 9/8.
    assert summary([0, 1, 2, 3], [5, 5, 9, 7])["length_correlation"] == pytest.approx(7 / 8 / math.sqrt(5 / 4 * 9 / 8))
    assert "length_correlation" not in summary([0, 1, 2, 3], [5, 5, 5, 5])
    assert "length_correlation" not in summary([1, 1], [5, 6])


@pytest.fixture(scope="module")
def judge(tiny: ModelSource) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return load_reward(tiny, new_head=True).requires_grad_(False)


def test_rows_may_be_joined_padded_or_run_one_by_one(
    judge: Any, tiny: ModelSource, pairs: datasets.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    reward, encoder = objective(centring=0.01), Encoder(load_tokenizer(tiny), 256, "error")
    examples = [reward.example(record, encoder) for record in records(pairs)]
    alone = torch.cat([sequence_rewards(judge, lay_out([row], 999)) for example in examples for row in example.rows])
    joined = Forward(judge, "cpu", 300)
    assert joined.padding_free
    assert joined.prefix_shared
    monkeypatch.setattr("itune_torch.rows_are_isolated", lambda model: False)
    padded = Forward(judge, "cpu", 300)
    assert not padded.padding_free
    losses = []
    for forward in (joined, padded):
        found = torch.cat([forward(group).policy for group in forward.groups(examples)])
        torch.testing.assert_close(found, alone, atol=1e-5, rtol=1e-5)
        losses.append(mean_loss(reward, forward, examples)["loss"])
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


@pytest.mark.parametrize("settings", [{}, {"margins": True}, {"centring": 0.01}, {"margins": True, "centring": 0.05}])
def test_the_loss_is_that_of_trl(
    judge: Any, tiny: ModelSource, pairs: datasets.Dataset, tmp_path: Path, settings: dict[str, Any]
) -> None:
    trl = pytest.importorskip("trl")
    rows = [
        {key: [{"role": turn["role"], "content": turn["content"]} for turn in row[key]] for key in KEYS}
        for row in pairs.to_list()
    ]
    if "margins" in settings:
        rows = [{**row, "margin": number / 4} for number, row in enumerate(rows)]
    trainer = trl.RewardTrainer(
        model=judge,
        args=trl.RewardConfig(
            str(tmp_path),
            per_device_train_batch_size=11,
            use_cpu=True,
            bf16=False,
            report_to="none",
            save_strategy="no",
            gradient_checkpointing=False,
            disable_tqdm=True,
            max_length=256,
            center_rewards_coefficient=settings.get("centring"),
        ),
        train_dataset=datasets.Dataset.from_list(rows),
        processing_class=load_tokenizer(tiny),
    )
    trainer.model.eval()
    theirs = trainer.compute_loss(trainer.model, next(iter(trainer.get_train_dataloader()))).item()

    reward, encoder = objective(**settings), Encoder(load_tokenizer(tiny), 256, "error")
    marked = (record.replace(margin=number / 4) for number, record in enumerate(records(pairs)))
    examples = [reward.example(record, encoder) for record in marked]
    assert mean_loss(reward, Forward(judge, "cpu", 300), examples)["loss"] == pytest.approx(theirs, rel=1e-5, abs=1e-5)


KEYS = ("prompt", "chosen", "rejected")


def test_a_margin_that_is_asked_for_must_be_there(dataset: Any, pairs: datasets.Dataset, bench: Bench) -> None:
    found = [record.replace(margin=1.5 if number else None) for number, record in enumerate(records(pairs))]
    rows = dataset(Kind.PREFERENCE, found)
    made = objective(**SETTINGS, margins=True).train({"train": rows}, bench())
    [failed] = made.dropped.values()
    assert isinstance(failed, Failed)
    assert failed.code == "E-TRAIN-050"
    assert made.metrics["records"] == 10


def source_of(made: TrainedModel, base: ModelSource, name: str) -> ModelSource:
    """As the engine finds the model of a step."""
    if made.adapter_of is None:
        return ModelSource(made.folder, "transformers", name, name, architecture=made.architecture)
    return replace(base, adapter=made.folder, identity=name, spec=name, architecture=made.architecture)


def rewards_of(source: ModelSource, pairs: datasets.Dataset, **how: Any) -> torch.Tensor:
    encoder = Encoder(load_tokenizer(source), 256, "error")
    rows = [row for record in records(pairs) for row in objective().example(record, encoder).rows]
    with torch.no_grad():
        return sequence_rewards(load_reward(source, **how), lay_out(rows, 400))


@pytest.mark.parametrize("adapter", ["lora", "none"])
def test_what_is_saved_says_what_was_trained(
    adapter: str, tiny: ModelSource, pairs: datasets.Dataset, bench: Bench
) -> None:
    made = objective(**SETTINGS, adapter=adapter, epochs=2).train({"train": pairs, "eval": pairs}, bench())
    assert made.architecture == "reward"
    source = source_of(made, tiny, "judge")
    for how in ({"adapter": "attach"}, {"adapter": "merge"}):
        found = rewards_of(source, pairs, **how)
        assert found[::2].mean().item() == pytest.approx(made.metrics["eval/rewards/chosen"], abs=1e-4)
        assert found[1::2].mean().item() == pytest.approx(made.metrics["eval/rewards/rejected"], abs=1e-4)
    if adapter == "lora":
        from safetensors.torch import load_file

        saved = load_file(made.folder / "adapter_model.safetensors")
        assert saved["base_model.model.score.weight"].shape == (1, 64)
        assert not any("score" in name and "lora" in name for name in saved)
    else:
        from transformers import AutoModelForSequenceClassification

        plain = AutoModelForSequenceClassification.from_pretrained(made.folder)
        assert (plain.num_labels, type(plain).__name__) == (1, "LlamaForSequenceClassification")


def test_the_head_is_drawn_from_the_steps_seed(pairs: datasets.Dataset, bench: Bench) -> None:
    heads = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        state = torch.random.get_rng_state()
        made = objective(**SETTINGS, learning_rate=1e-30).train({"train": pairs}, bench(name, seed=seed))
        assert torch.equal(state, torch.random.get_rng_state())
        from safetensors.torch import load_file

        heads.append(load_file(made.folder / "adapter_model.safetensors")["base_model.model.score.weight"])
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


@pytest.mark.parametrize("first", ["lora", "none"])
def test_a_judge_is_trained_further(first: str, tiny: ModelSource, pairs: datasets.Dataset, bench: Bench) -> None:
    """Its head and what it has learned are where the second training begins."""
    learned = objective(**SETTINGS, adapter=first, epochs=3).train({"train": pairs, "eval": pairs}, bench("first"))
    source = source_of(learned, tiny, "judge")
    for adapter in ("lora", "none"):
        again = objective(**{**SETTINGS, "model": "judge"}, adapter=adapter)
        made = again.train({"train": pairs, "eval": pairs}, bench(adapter, judge=source))
        assert made.metrics["eval/loss/before"] == pytest.approx(learned.metrics["eval/loss"], abs=1e-4)
        assert made.metrics["eval/loss"] < learned.metrics["eval/loss"]
        # An adapter that is trained further sits where the first one sat; a new one sits on the judge.
        below = source if first == "none" else tiny
        found = rewards_of(source_of(made, below, "again"), pairs)
        assert found[::2].mean().item() == pytest.approx(made.metrics["eval/rewards/chosen"], abs=1e-4)


def test_an_adapted_language_model_becomes_a_judge(tiny: ModelSource, pairs: datasets.Dataset, bench: Bench) -> None:
    """What its adapter has learned is kept: with a rate of nearly zero, the backbone is that of the language model."""
    policy = DPO(DPO.Config(**SETTINGS, learning_rate=0.01)).train({"train": pairs}, bench("policy"))
    source = source_of(policy, tiny, "policy")
    still = Reward(Reward.Config(**{**SETTINGS, "model": "policy"}, learning_rate=1e-30))
    made = still.train({"train": pairs}, bench("judge", policy=source))
    judge, ids = load_reward(source_of(made, tiny, "judge")), torch.tensor([[5, 9, 301, 44, 7, 2]])
    with torch.no_grad():
        states = judge.get_base_model().model(input_ids=ids)[0]
        expected = load_causal(source).get_base_model().model(input_ids=ids)[0]
        untrained = load_causal(tiny).model(input_ids=ids)[0]
    torch.testing.assert_close(states, expected, atol=1e-5, rtol=1e-5)
    assert (states - untrained).abs().max() > 1e-2


def test_a_judge_is_not_trained_to_write(tiny: ModelSource, pairs: datasets.Dataset, bench: Bench) -> None:
    made = objective(**SETTINGS).train({"train": pairs}, bench("judge"))
    for adapter in ("lora", "none"):
        dpo = DPO(DPO.Config(**{**SETTINGS, "model": "judge"}, learning_rate=1e-3, adapter=adapter))
        with pytest.raises(ModelError, match="judges answers and writes none") as error:
            dpo.train({"train": pairs}, bench(adapter, judge=source_of(made, tiny, "judge")))
        assert error.value.code == "E-TORCH-035"


def test_targets_may_not_be_the_head(pairs: datasets.Dataset, bench: Bench) -> None:
    with pytest.raises(ModelError, match="score") as error:
        objective(**SETTINGS, lora={"targets": ["score"]}).train({"train": pairs}, bench())
    assert error.value.code == "E-TRAIN-011"


def test_an_example_without_margin_says_nothing_of_it(tiny: ModelSource, pairs: datasets.Dataset) -> None:
    encoder = Encoder(load_tokenizer(tiny), 256, "error")
    record: Record = next(iter(records(pairs))).replace(margin=2.0)
    assert objective().example(record, encoder).scores == ()
    assert objective(margins=True).example(record, encoder).scores == (2.0, 0.0)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_judge_can_be_merged(
    dtype: Any, tiny: ModelSource, pairs: datasets.Dataset, bench: Bench, tmp_path: Path
) -> None:
    reward = objective(**SETTINGS, learning_rate=0.01)
    source = source_of(reward.train({"train": pairs}, bench()), tiny, "judge")
    found = reward.merge(source, tmp_path / "merged", dtype)
    assert found["saving"] <= found["tolerance"]
    merged = ModelSource(tmp_path / "merged", "transformers", "merged", "merged", architecture="reward")
    torch.testing.assert_close(rewards_of(merged, pairs), rewards_of(source, pairs), atol=0.2, rtol=0.05)
