"""Open a model for training, with a new adapter, the one it has, or none."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from itune_core.api import ModelError, ModelSource
from itune_trainers.forward.base import Forward
from itune_trainers.model.adapters import new_adapter, same_adapter
from itune_trainers.model.seeds import seeded
from itune_trainers.settings import Lora, Settings

if TYPE_CHECKING:
    from torch import Tensor, nn


def open_model(way: type[Forward], config: Settings, source: ModelSource, seed: int) -> nn.Module:
    """Load `source` with the weights to be trained in float32 and requiring gradients, all others frozen.

    Args:
        way: loads models of the architecture.
        config: settled: dtype and device are no longer ``auto``. With ``quantize``, frozen linear layers are held in
            fewer bits; the adapter is that of the model as it is saved, all the same.
        source: the model; its adapter is trained further (``adapter: lora``) or merged (``adapter: none``).
        seed: of a new adapter's weights, and of a new head's.

    Raises:
        ModelError: ``E-TRAIN-010`` the adapter of `source` has another shape than the recipe asks for;
            ``E-TRAIN-011`` no module has one of the names in ``lora.targets``; ``E-TRAIN-015`` DoRA on 8-bit weights;
            ``E-TRAIN-016`` of :func:`checkpoint_layers`; those of `load_causal`.
    """
    model: Any
    if config.adapter == "none":
        with seeded(seed):  # a head that the model lacks is drawn at random
            model = way.load(source, dtype="float32", device=config.device, adapter="merge")
        model.requires_grad_(True)
    else:
        held = {} if config.quantize is None else {"quantize": config.quantize}
        bare = replace(source, adapter=None)
        with seeded(seed):
            base = way.load(bare, dtype=config.dtype, device=config.device, adapter="attach", **held)
        base.requires_grad_(False)
        if source.adapter is None:
            model = new_adapter(way, base, config.lora or Lora(), source, seed)
        else:
            model = same_adapter(way, base, config.lora, source, source.adapter)
    if config.gradient_checkpointing:
        checkpoint_layers(model)
    return cast("nn.Module", model)


def checkpoint_layers(model: nn.Module) -> None:
    """Have every layer of `model` compute its activations again in the backward pass, whatever mode it is in.

    transformers' own switch works in train mode alone, and a model without dropout is trained in eval mode. Its layers
    cannot be put into train mode by themselves: those of some models (OPT, BART) apply dropout themselves.

    Raises:
        ModelError: ``E-TRAIN-016`` it has none that transformers would do this with.
    """
    from torch.utils.checkpoint import checkpoint
    from transformers.modeling_layers import GradientCheckpointingLayer

    layers = [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]
    if not layers:
        raise ModelError(
            "E-TRAIN-016",
            f"no layer of {type(model).__name__} can compute its activations again",
            why="its architecture has no layers that transformers checkpoints",
            fix="remove gradient_checkpointing; a smaller tokens_per_forward saves memory, too",
        )
    for layer in layers:
        # Reentrant checkpoints lose the gradient where the layer's input has none.
        layer.forward = partial(checkpoint, layer.forward, use_reentrant=False)


def trained_tensors(model: nn.Module) -> dict[str, Tensor]:
    """The parameters that are trained, by name; a tied parameter once."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
