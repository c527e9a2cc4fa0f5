"""Training an adapter on weights held in 4 and 8 bits."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import datasets
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from itune_core.api import ModelError, ModelSource, TrainedModel
from itune_core.testing.context import BenchContext
from itune_trainers.objectives.dpo import DPO
from itune_trainers.objectives.sft import SFT

Bench = Callable[..., BenchContext]

needed = pytest.mark.skipif(
    find_spec("bitsandbytes") is None,
    reason="bitsandbytes is not installed: pip install 'itune-trainers[quantize]'",
)


def run(rows: Any, context: BenchContext, held_out: Any = None, objective: Any = SFT, **settings: Any) -> TrainedModel:
    plain = {"model": "tiny", "dtype": "float32", "device": "cpu", "learning_rate": 0.01, "batch_size": 4}
    inputs = {"train": rows} if held_out is None else {"train": rows, "eval": held_out}
    return objective(objective.Config(**{**plain, **settings})).train(inputs, context)


@needed
@pytest.mark.parametrize("bits", ["4bit", "8bit"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_it_learns_and_the_adapter_fits_the_plain_model(
    bits: str, dtype: str, conversations: datasets.Dataset, bench: Bench, tiny: ModelSource
) -> None:
    from itune_core.api import records
    from itune_torch import lay_out, load_causal, load_tokenizer, sequence_logprobs
    from itune_trainers.rows.encoder import Encoder

    made = run(conversations, bench(), conversations, epochs=8, quantize=bits, dtype=dtype)
    assert made.metrics["quantize"] == bits
    assert made.metrics["padding_free"] is True
    assert made.metrics["eval/loss"] < 0.6 * made.metrics["eval/loss/before"]
    assert made.adapter_of == "tiny"
    assert {tensor.dtype for tensor in load_file(made.folder / "adapter_model.safetensors").values()} == {torch.float32}

    source = replace(tiny, adapter=made.folder)
    encoder = Encoder(load_tokenizer(source), 256, "error")
    rows = [encoder.conversation(record) for record in records(conversations)]
    for how in ("attach", "merge"):
        with torch.no_grad():
            sums, counts = sequence_logprobs(load_causal(source, adapter=how), lay_out(rows, 256))
        loss = -(sums.sum() / counts.sum()).item()
        assert loss < 0.75 * made.metrics["eval/loss/before"], "most of what was learned is there without quantisation"
    with torch.no_grad():
        sums, counts = sequence_logprobs(load_causal(source, quantize=bits, dtype=dtype), lay_out(rows, 256))
    assert -(sums.sum() / counts.sum()).item() == pytest.approx(made.metrics["eval/loss"], rel=0.02)


@needed
@pytest.mark.parametrize("bits", ["4bit", "8bit"])
def test_how_rows_are_joined_changes_only_rounding(bits: str, conversations: datasets.Dataset, bench: Bench) -> None:
    one = run(conversations, bench("one"), tokens_per_forward=1, quantize=bits)
    joined = run(conversations, bench("joined"), tokens_per_forward=4096, quantize=bits)
    for entry, other in zip(one.history, joined.history, strict=True):
        assert entry["loss"] == pytest.approx(other["loss"], abs=1e-4)
        assert entry["grad_norm"] == pytest.approx(other["grad_norm"], rel=1e-3)


@needed
def test_dora_and_a_parent_s_adapter_on_quantised_weights(
    conversations: datasets.Dataset, bench: Bench, tiny: ModelSource
) -> None:
    made = run(conversations, bench("dora"), conversations, epochs=4, quantize="4bit", lora={"dora": True})
    assert made.metrics["eval/loss"] < 0.8 * made.metrics["eval/loss/before"]
    parent = replace(tiny, spec="parent", identity="tiny-1+dora", adapter=made.folder)
    on = run(conversations, bench("on", parent=parent), conversations, model="parent", quantize="4bit")
    assert json.loads((on.folder / "adapter_config.json").read_text())["use_dora"] is True
    assert on.metrics["eval/loss/before"] == pytest.approx(made.metrics["eval/loss"], rel=1e-3)
    with pytest.raises(ModelError, match="cannot be computed on weights in 8 bits") as caught:
        run(conversations, bench("8bit", parent=parent), model="parent", quantize="8bit")
    assert caught.value.code == "E-TRAIN-015"


@needed
def test_peft_s_own_layers_are_used(tiny: ModelSource) -> None:
    from itune_trainers.forward.causal import Causal
    from itune_trainers.model.fused_lora import FusedLinear
    from itune_trainers.model.opening import open_model

    settings = {"model": "tiny", "dtype": "float32", "device": "cpu"}
    plain = open_model(Causal, SFT.Config(**settings), tiny, 0)
    held = open_model(Causal, SFT.Config(**settings, quantize="4bit"), tiny, 0)
    assert any(isinstance(module, FusedLinear) for module in plain.modules())
    assert not any(isinstance(module, FusedLinear) for module in held.modules())
    assert sum(type(module).__name__ == "Linear4bit" for module in held.modules()) == 28, "14 layers, each wrapped"


@needed
def test_the_reference_is_the_quantised_model_and_kept_apart(pairs: datasets.Dataset, bench: Bench) -> None:
    context = bench()
    plain = run(pairs, context, objective=DPO, learning_rate=1e-3)
    held = run(pairs, bench(), pairs, objective=DPO, learning_rate=1e-3, quantize="4bit")
    assert held.history[0]["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert held.history[0]["logps/chosen"] != pytest.approx(plain.history[0]["logps/chosen"], abs=1e-2)
    assert held.metrics["eval/loss"] < math.log(2)


@needed
def test_activation_checkpointing_gives_the_same_bits(conversations: datasets.Dataset, bench: Bench) -> None:
    made = [
        run(conversations, bench(name), quantize="4bit", gradient_checkpointing=name == "with")
        for name in ("with", "without")
    ]
    assert made[0].history == made[1].history


@needed
def test_a_killed_training_ends_with_the_same_bits(conversations: datasets.Dataset, bench: Bench) -> None:
    class Killed(Exception):
        pass

    settings = {"quantize": "4bit", "epochs": 2, "save_steps": 2, "lora": {"dropout": 0.1}}
    whole = run(conversations, bench("whole"), **settings)
    context = bench("killed")

    def progress(done: int, total: int | None = None, **figures: float) -> None:
        if done == 5:
            raise Killed

    context.progress = progress  # type: ignore[method-assign]
    with pytest.raises(Killed):
        run(conversations, context, **settings)
    resumed = run(conversations, bench("killed"), **settings)
    assert resumed.history == whole.history


@needed
def test_weights_that_are_trained_cannot_be_quantised() -> None:
    with pytest.raises(ValidationError, match="quantised weights cannot be trained"):
        SFT.Config(model="m", adapter="none", learning_rate=1e-5, quantize="4bit")
    with pytest.raises(ValidationError, match=r"lora.dora cannot be computed"):
        SFT.Config(model="m", lora={"dora": True}, quantize="8bit")


def test_a_recipe_s_check_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("itune_trainers.settings.find_spec", lambda name: None)
    with pytest.raises(ValidationError, match=r"pip install 'itune-trainers\[quantize\]'"):
        SFT.Config(model="m", quantize="8bit")
    assert SFT.Config(model="m").quantize is None


@needed
def test_a_device_that_is_not_there_is_refused_before_any_row_is_read(bench: Bench) -> None:
    with pytest.raises(ModelError) as caught:
        run(None, bench(), quantize="4bit", device="vulkan")
    assert caught.value.code == "E-TRAIN-017"


@needed
def test_an_architecture_without_it_is_refused(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("itune_trainers.forward.causal.Causal.quantizes", False)
    with pytest.raises(ModelError, match="cannot quantise its model") as caught:
        run(None, bench(), quantize="4bit")
    assert caught.value.code == "E-TRAIN-013"
