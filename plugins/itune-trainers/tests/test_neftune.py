"""Noise on the embeddings: as large as the paper says, only in training steps, and the same after a kill."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from pydantic import ValidationError

from itune_core.api import ModelSource, TrainedModel
from itune_core.testing.context import BenchContext
from itune_torch import Encoded, lay_out, load_causal, logprobs, pad
from itune_trainers.model.neftune import noisy_embeddings
from itune_trainers.objectives.dpo import DPO
from itune_trainers.objectives.sft import SFT

Bench = Callable[..., BenchContext]
LENGTHS = (3, 50, 1, 200)


def sft(rows: datasets.Dataset, context: BenchContext, held_out: Any = None, **settings: Any) -> TrainedModel:
    plain = {"model": "tiny", "dtype": "float32", "device": "cpu", "learning_rate": 0.01, "batch_size": 4}
    inputs = {"train": rows} if held_out is None else {"train": rows, "eval": held_out}
    return SFT(SFT.Config(**{**plain, **settings})).train(inputs, context)


def noise(model: Any, batch: Any, alpha: float, seed: int = 0) -> torch.Tensor:
    """(B, T, d) what is added to the embeddings of a batch."""
    seen = []
    look = model.model.layers[0].register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
    torch.manual_seed(seed)
    with torch.no_grad():
        with noisy_embeddings(model, alpha):
            logprobs(model, batch)
        look.remove()
        return seen[0] - model.get_input_embeddings()(batch.input_ids)


@pytest.fixture(scope="module")
def model(tiny: ModelSource) -> Any:
    return load_causal(tiny)


@pytest.fixture(scope="module")
def rows() -> list[Encoded]:
    draw = torch.Generator().manual_seed(0)
    return [Encoded(torch.randint(3, 512, (length,), generator=draw).tolist(), [True] * length) for length in LENGTHS]


@pytest.mark.parametrize("joined", [True, False])
def test_each_row_has_noise_by_its_own_length(joined: bool, model: Any, rows: list[Encoded]) -> None:
    """Uniform on +-alpha / sqrt(L d): mean 0, variance a third of the bound's square."""
    batch = lay_out(rows, 1000)[0] if joined else pad(rows)
    added = noise(model, batch, 5.0)
    start = 0
    for number, length in enumerate(batch.lengths):
        part = added[0, start : start + length] if joined else added[number][batch.attention_mask[number].bool()]
        start += length
        bound = 5.0 / math.sqrt(length * 64)
        assert part.shape == (length, 64)
        assert part.abs().max() <= bound * (1 + 1e-4)
        assert part.abs().max() > 0.9 * bound
        deviations = 4 / math.sqrt(part.numel())
        assert abs(part.mean() / bound) < deviations / math.sqrt(3)
        assert part.square().mean() / bound**2 == pytest.approx(1 / 3, abs=deviations * math.sqrt(4 / 45))


def test_it_is_twice_as_large_for_twice_alpha_and_gone_after(model: Any, rows: list[Encoded]) -> None:
    batch = lay_out(rows, 1000)[0]
    plain = logprobs(model, batch)
    once, twice, other = (noise(model, batch, alpha, seed) for alpha, seed in ((5.0, 0), (10.0, 0), (5.0, 1)))
    assert torch.allclose(2 * once, twice, atol=1e-5)
    assert not torch.allclose(once, other, atol=1e-3)
    assert torch.equal(logprobs(model, batch), plain)
    assert not model.get_input_embeddings()._forward_hooks
    assert not model._forward_pre_hooks


def test_neither_held_out_losses_nor_rows_at_rest_have_it(conversations: datasets.Dataset, bench: Bench) -> None:
    # At a rate too small to move a float32, only the noise can tell the two apart.
    still = {"learning_rate": 1e-30, "shuffle": False}
    plain = sft(conversations, bench("plain"), conversations, **still)
    noisy = sft(conversations, bench("noisy"), conversations, neftune_alpha=10.0, **still)
    for name in ("eval/loss/before", "eval/loss"):
        assert noisy.metrics[name] == plain.metrics[name]
    for entry, other in zip(noisy.history, plain.history, strict=True):
        assert abs(entry["loss"] - other["loss"]) > 1e-3


def test_a_killed_training_ends_with_the_same_bits(
    conversations: datasets.Dataset, bench: Bench, tiny: ModelSource, tmp_path: Path
) -> None:
    class Killed(Exception):
        pass

    class KilledAt(BenchContext):
        def progress(self, done: int, total: int | None = None, **figures: float) -> None:
            if done == 5:
                raise Killed

    settings = {"neftune_alpha": 5.0, "epochs": 3, "save_steps": 2}
    whole = sft(conversations, bench("whole"), **settings)
    with pytest.raises(Killed):
        sft(conversations, KilledAt(tmp_path / "killed", models={"tiny": tiny}), **settings)
    resumed = sft(conversations, bench("killed"), **settings)
    assert resumed.history == whole.history
    name = "adapter_model.safetensors"
    assert (resumed.folder / name).read_bytes() == (whole.folder / name).read_bytes()


def test_activation_checkpointing_draws_no_second_time(conversations: datasets.Dataset, bench: Bench) -> None:
    settings = {"neftune_alpha": 5.0, "lora": {"dropout": 0.2}}
    one = sft(conversations, bench("a"), **settings)
    other = sft(conversations, bench("b"), gradient_checkpointing=True, **settings)
    assert one.history == other.history


def test_it_is_a_setting_of_sft_alone() -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        DPO.Config(model="tiny", neftune_alpha=5.0)
    with pytest.raises(ValidationError, match="greater than 0"):
        SFT.Config(model="tiny", neftune_alpha=0)
