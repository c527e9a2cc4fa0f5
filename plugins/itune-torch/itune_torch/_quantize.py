"""Weights held in 4 or 8 bits through bitsandbytes, for training an adapter on top of them."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Literal

from itune_core.api import ModelError
from itune_torch import _quiet as _quiet  # bitsandbytes is told to be, before it is imported

if TYPE_CHECKING:
    from torch import nn
    from transformers import BitsAndBytesConfig

Quantize = Literal["4bit", "8bit"]

_OLDEST = (0, 50)
"""Oldest bitsandbytes whose CPU path this was tried with."""


def require_quantization(device: str) -> None:
    """Say now, before any work, that quantised weights cannot be had here.

    Args:
        device: where the model is to be, as torch names it.

    Raises:
        ModelError: ``E-TORCH-008`` bitsandbytes is missing or too old; ``E-TORCH-009`` it does not work on `device`.
    """
    try:
        found = version("bitsandbytes")
    except PackageNotFoundError:
        found = None
    wanted = ".".join(map(str, _OLDEST))
    if found is None or tuple(int(part) for part in found.split(".")[:2]) < _OLDEST:
        raise ModelError(
            "E-TORCH-008",
            "quantised weights need the package bitsandbytes",
            why="it is not installed" if found is None else f"{found} is installed, {wanted} or newer is needed",
            fix="pip install 'itune-trainers[quantize]', or remove quantize",
        )
    import bitsandbytes

    kind = device.partition(":")[0]
    supported = bitsandbytes.supported_torch_devices
    if kind not in supported:
        raise ModelError(
            "E-TORCH-009",
            f"bitsandbytes {found} holds no quantised weights on {device!r}",
            why=f"it works on {', '.join(sorted(supported))}",
            fix="choose one of these as device, or remove quantize",
        )


def quantization(quantize: Quantize, dtype: Any) -> BitsAndBytesConfig:
    """What transformers is told: NF4 with quantised scales for ``4bit`` (arXiv 2305.14314), LLM.int8 for ``8bit``
    (arXiv 2208.07339).

    Args:
        quantize: how many bits.
        dtype: torch's, that products are computed in.
    """
    from transformers import BitsAndBytesConfig

    if quantize == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
    )


def keep_differentiable(model: nn.Module) -> None:
    """Have the quantised layers of `model` compute in eval mode what they compute in training.

    On a CPU bitsandbytes takes eval mode for inference. Its 4-bit layers then repack their weights, for good, into a
    form whose product has no gradient: training goes on without an error, and layers below learn nothing. Its 8-bit
    layers round their inputs to 8 bits too, with a scale that other rows have a say in. A trainer needs eval mode for
    a model without dropout, so these layers are put back into training mode, which changes nothing else in them.
    """
    import bitsandbytes as bnb

    for layer in model.modules():
        if isinstance(layer, (bnb.nn.Linear4bit, bnb.nn.Linear8bitLt)):
            layer.register_forward_pre_hook(_train)


def _train(layer: nn.Module, _: Any) -> None:
    layer.training = True
