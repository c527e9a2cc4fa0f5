"""Dropout is on in training steps that want it, and nowhere else: not beside recomputed activations either."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from typing import Any

import datasets
import pytest
import torch
from torch import Tensor, nn

from itune_core.api import ModelSource, TrainedModel
from itune_core.testing.context import BenchContext
from itune_trainers.forward.causal import Causal
from itune_trainers.model.opening import open_model
from itune_trainers.objectives.dpo import DPO
from itune_trainers.objectives.sft import SFT

Bench = Callable[..., BenchContext]
PLAIN = {"model": "opt", "dtype": "float32", "device": "cpu", "learning_rate": 1e-3, "batch_size": 11}


@pytest.fixture(scope="module")
def opt(tiny: ModelSource, tmp_path_factory: pytest.TempPathFactory) -> ModelSource:
    """A random model whose layers apply dropout themselves, by their own mode: there is no module for it."""
    from transformers import AutoTokenizer, OPTConfig, OPTForCausalLM

    folder = tmp_path_factory.mktemp("opt")
    shutil.copytree(tiny.files, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.safetensors"))
    config = OPTConfig(
        vocab_size=len(AutoTokenizer.from_pretrained(tiny.files)),
        hidden_size=32,
        word_embed_proj_dim=32,
        ffn_dim=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=256,
        dropout=0.5,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        OPTForCausalLM(config).save_pretrained(folder)
    return ModelSource(folder, "transformers", "opt-1", "opt")


def opened(opt: ModelSource, *, checkpointing: bool, dropout: bool) -> nn.Module:
    model = open_model(Causal, SFT.Config(**PLAIN, gradient_checkpointing=checkpointing), opt, seed=0)
    model.train(dropout)
    return model


def gradients(model: nn.Module) -> tuple[Tensor, list[Tensor]]:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        logits = model(input_ids=torch.arange(8)[None], use_cache=False).logits
        logits.square().sum().backward()
    return logits, [weight.grad for weight in model.parameters() if weight.grad is not None]


@pytest.mark.parametrize("dropout", [False, True])
def test_recomputed_layers_are_in_the_mode_of_the_model(opt: ModelSource, dropout: bool) -> None:
    plain = opened(opt, checkpointing=False, dropout=dropout)
    again = opened(opt, checkpointing=True, dropout=dropout)
    assert all(module.training is dropout for module in again.modules())
    runs = 0

    def count(*_: object) -> None:
        nonlocal runs
        runs += 1

    for name, module in again.named_modules():
        if name.endswith("fc1"):
            module.register_forward_hook(count)
    wanted, found = gradients(plain), gradients(again)
    assert runs == 4  # two layers, each run twice
    assert torch.equal(found[0], wanted[0])
    assert all(torch.equal(one, other) for one, other in zip(found[1], wanted[1], strict=True))


def test_without_dropout_a_model_gives_the_same_twice(opt: ModelSource) -> None:
    model = opened(opt, checkpointing=False, dropout=False)
    assert torch.equal(gradients(model)[0], gradients(model)[0])
    with torch.no_grad():
        ids = torch.arange(8)[None]
        assert torch.equal(model(input_ids=ids).logits, model(input_ids=ids).logits)


@pytest.mark.parametrize("settings", [{}, {"gradient_checkpointing": True}])
def test_model_and_reference_are_the_same_at_the_start(
    pairs: datasets.Dataset, bench: Bench, opt: ModelSource, settings: dict[str, Any]
) -> None:
    made = DPO(DPO.Config(**PLAIN, **settings)).train({"train": pairs, "eval": pairs}, bench(opt=opt))
    assert made.metrics["eval/loss/before"] == pytest.approx(math.log(2), abs=1e-5)
    assert made.history[0]["loss"] == pytest.approx(math.log(2), abs=1e-5)


@pytest.mark.parametrize("settings", [{}, {"gradient_checkpointing": True}])
def test_measuring_draws_nothing(
    conversations: datasets.Dataset, bench: Bench, opt: ModelSource, settings: dict[str, Any]
) -> None:
    def sft(name: str) -> TrainedModel:
        inputs = {"train": conversations, "eval": conversations}
        return SFT(SFT.Config(**PLAIN, **settings)).train(inputs, bench(name, opt=opt))

    state = torch.get_rng_state()
    first, second = sft("first"), sft("second")
    assert torch.equal(torch.get_rng_state(), state)
    assert first.metrics["eval/loss"] == second.metrics["eval/loss"]
    # Dropout is on in the steps themselves: of a half of everything, it can be seen.
    assert abs(first.history[0]["loss"] - first.metrics["eval/loss/before"]) > 1e-3
