"""Quantised weights: what they compute is the product with the dequantised ones, in either mode, with its gradient."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from itune_core.api import ModelError, ModelSource
from itune_torch import load_causal, require_quantization, rows_are_isolated

IDS = torch.tensor([[1, 40, 41, 42, 300, 301, 2, 77, 120]])

needed = pytest.mark.skipif(
    find_spec("bitsandbytes") is None,
    reason="bitsandbytes is not installed: pip install 'itune-trainers[quantize]'",
)


def dequantized(layer: Any) -> torch.Tensor:
    import bitsandbytes as bnb

    if isinstance(layer, bnb.nn.Linear4bit):
        return bnb.functional.dequantize_4bit(layer.weight.data, layer.weight.quant_state).float()
    return bnb.functional.int8_vectorwise_dequant(layer.weight.data, layer.weight.SCB).float()


def gradients(model: Any) -> tuple[float, dict[str, torch.Tensor]]:
    """The loss and its gradients in an adapter, in eval mode, after a pass without gradients."""
    from peft import LoraConfig, get_peft_model

    model.requires_grad_(False)
    torch.manual_seed(0)
    adapter = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False)
    adapted = get_peft_model(model, adapter).eval()
    with torch.no_grad():
        adapted(IDS)
    loss = adapted(IDS, labels=IDS).loss
    loss.backward()
    return loss.item(), {name: weight.grad for name, weight in adapted.named_parameters() if weight.requires_grad}


@needed
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("bits", ["4bit", "8bit"])
def test_loss_and_gradients_are_those_of_the_dequantised_model(bits: Any, tiny: ModelSource) -> None:
    """In eval mode after a pass without gradients, which is where bitsandbytes on a CPU loses them."""
    model, plain = load_causal(tiny, quantize=bits), load_causal(tiny)
    layers = dict(plain.named_modules())
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Linear) and type(layer) is not nn.Linear:
            with torch.no_grad():
                assert not torch.equal(layers[name].weight, dequantized(layer)), "these are fewer bits"
                layers[name].weight.copy_(dequantized(layer))
    (loss, found), (same, expected) = gradients(model), gradients(plain)
    assert loss == pytest.approx(same, abs=1e-5)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        assert ((found[name] - gradient).norm() / gradient.norm()).item() < 1e-4, name


@needed
@pytest.mark.parametrize("bits", ["4bit", "8bit"])
def test_only_linear_layers_but_the_head_are_quantised(bits: Any, tiny: ModelSource) -> None:
    model = load_causal(tiny, quantize=bits, dtype="bfloat16")
    kinds = {
        name.rsplit(".", 1)[-1]: str(module.weight.dtype)
        for name, module in model.named_modules()
        if hasattr(module, "weight")
    }
    held = {"4bit": "torch.uint8", "8bit": "torch.int8"}[bits]
    projections = dict.fromkeys(("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"), held)
    others = ("embed_tokens", "norm", "input_layernorm", "post_attention_layernorm", "lm_head")
    assert kinds == projections | dict.fromkeys(others, "torch.bfloat16")
    assert not model.training


@needed
@pytest.mark.parametrize("bits", ["4bit", "8bit"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_joined_rows_stay_apart(bits: Any, dtype: Any, tiny: ModelSource) -> None:
    assert rows_are_isolated(load_causal(tiny, quantize=bits, dtype=dtype))


@needed
def test_four_bits_take_what_they_should(tiny: ModelSource) -> None:
    """Half a byte a weight, and a scale of one byte for 64 weights, of which 256 share four bytes more."""
    model = load_causal(tiny, quantize="4bit")
    layer = model.model.layers[0].mlp.up_proj
    count = 64 * 128
    assert layer.weight.data.numel() == count // 2
    state = layer.weight.quant_state
    assert (state.quant_type, state.nested, state.blocksize) == ("nf4", True, 64)
    assert state.absmax.dtype == torch.uint8
    assert state.absmax.numel() == count // 64


@needed
def test_an_adapter_is_put_on_but_never_merged(tiny: ModelSource, tmp_path: Path) -> None:
    from peft import LoraConfig, PeftModel, get_peft_model

    get_peft_model(load_causal(tiny), LoraConfig(r=2, target_modules="all-linear")).save_pretrained(tmp_path)
    adapted = replace(tiny, adapter=tmp_path)
    assert isinstance(load_causal(adapted, quantize="4bit"), PeftModel)
    with pytest.raises(ValueError, match="cannot be merged"):
        load_causal(adapted, quantize="4bit", adapter="merge")


@needed
def test_a_device_that_is_not_there_is_named(tiny: ModelSource) -> None:
    with pytest.raises(ModelError) as caught:
        require_quantization("vulkan")
    assert caught.value.code == "E-TORCH-009"
    if not torch.cuda.is_available():
        with pytest.raises(ModelError) as caught:
            load_causal(tiny, quantize="4bit", device="cuda")
        assert caught.value.code == "E-TORCH-007"


@pytest.mark.parametrize(
    ("version", "why"), [(None, "not installed"), ("0.44.1", "0.44.1 is installed, 0.50 or newer")]
)
def test_without_bitsandbytes_the_extra_is_named(
    version: str | None, why: str, tiny: ModelSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib.metadata import PackageNotFoundError

    def installed(name: str) -> str:
        assert name == "bitsandbytes"
        if version is None:
            raise PackageNotFoundError(name)
        return version

    monkeypatch.setattr("itune_torch._quantize.version", installed)
    with pytest.raises(ModelError, match="bitsandbytes") as caught:
        load_causal(replace(tiny, files=tiny.files / "nowhere"), quantize="4bit")
    assert caught.value.code == "E-TORCH-008"
    assert why in (caught.value.why or "")
    assert "pip install 'itune-trainers[quantize]'" in (caught.value.fix or "")
