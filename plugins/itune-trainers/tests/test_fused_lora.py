"""The fused layer computes what PEFT's does."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from itune_trainers.model.fused_lora import FusedLinear, use_fused_layers


def adapted(fused: bool, dtype: torch.dtype = torch.float32, **settings: Any) -> Any:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(24, 40), nn.Tanh(), nn.Linear(40, 16, bias=False)).to(dtype)
    config = LoraConfig(r=4, lora_alpha=6, target_modules=["0", "2"], **settings)
    if fused:
        use_fused_layers(config, model)
    torch.manual_seed(1)
    model = get_peft_model(model, config)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:  # zero at the start, which would hide half of the arithmetic
            nn.init.normal_(parameter, generator=torch.Generator().manual_seed(2))
    return model


def run(model: Any, dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    x = torch.randn(2, 5, 24, generator=torch.Generator().manual_seed(3)).to(dtype).requires_grad_()
    out = model(x)
    out.float().square().sum().backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.requires_grad}
    return {"out": out.detach(), "x": x.grad, **gradients}


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.03)])
def test_same_output_and_gradients_as_peft(dtype: torch.dtype, tolerance: float) -> None:
    theirs, ours = run(adapted(False, dtype), dtype), run(adapted(True, dtype), dtype)
    assert theirs.keys() == ours.keys()
    assert len(ours) == 6
    for name, value in theirs.items():
        assert ours[name].dtype == value.dtype, name
        error = (ours[name].float() - value.float()).norm() / value.float().norm()
        assert error < tolerance, name


def test_gradients_by_finite_differences() -> None:
    model = adapted(True).double()
    x = torch.randn(3, 24, dtype=torch.float64, requires_grad=True)
    weights = [parameter for parameter in model.parameters() if parameter.requires_grad]
    # PEFT's dtype cast is not in the way: inputs, weights and adapter are all float64.
    assert torch.autograd.gradcheck(lambda x, *_: model(x), (x, *weights))


def test_it_is_used() -> None:
    layers = [module for module in adapted(True).modules() if isinstance(module, FusedLinear)]
    assert len(layers) == 2


@pytest.mark.parametrize("change", ["disable", "merge", "dropout"])
def test_what_is_not_plain_training_is_left_to_peft(change: str) -> None:
    settings = {"lora_dropout": 0.5} if change == "dropout" else {}
    theirs, ours = adapted(False, **settings), adapted(True, **settings)
    outputs = []
    for model in (theirs, ours):
        x = torch.randn(4, 24, generator=torch.Generator().manual_seed(3))
        torch.manual_seed(4)
        if change == "disable":
            with model.disable_adapter():
                outputs.append(model(x))
        else:
            if change == "merge":
                model.merge_adapter()
            outputs.append(model(x))
    assert torch.equal(*outputs)
