"""Open a model for training, with a new adapter, the one it has, or none; and save what was trained."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from itune_core.api import ModelError, ModelSource
from itune_trainers.forward.base import Forward
from itune_trainers.settings import Lora, Settings
from itune_trainers.stops import name_stops

if TYPE_CHECKING:
    from peft import LoraConfig, PeftModel
    from torch import Tensor, nn
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """torch's global generators seeded inside the block, and as they were after it: training leaves no trace there."""
    import torch

    with torch.random.fork_rng(range(torch.cuda.device_count())):  # unsaid, it warns of several
        torch.manual_seed(seed)
        yield


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
            model = _new_adapter(way, base, config.lora or Lora(), source, seed)
        else:
            model = _same_adapter(way, base, config.lora, source, source.adapter)
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


def save_model(model: nn.Module, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Save a PEFT adapter or a whole model, with its tokenizer and what ends and pads its answers: safetensors, no
    card, no local path, the same bytes for the same weights."""
    from peft import PeftModel, get_peft_model_state_dict
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(folder)
    adapted = isinstance(model, PeftModel)
    base = cast("PreTrainedModel", model.get_base_model() if adapted else model)
    if base.can_generate():
        name_stops(base.generation_config, tokenizer)
    if not adapted:
        base.config.name_or_path = ""
        with _quietly():
            base.save_pretrained(folder)
        return
    if base.can_generate():
        base.generation_config.save_pretrained(folder)
    # False, not "auto": that would look the base model up on the hub, and no embedding is trained here.
    state = get_peft_model_state_dict(model, save_embedding_layers=False)
    tensors = {name: tensor.cpu().contiguous() for name, tensor in state.items()}
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config = cast("LoraConfig", model.peft_config["default"])  # type: ignore[union-attr]
    values = {
        # PEFT keeps module names in sets, whose order changes from process to process.
        key: sorted(value) if isinstance(value, (set, frozenset)) else value
        for key, value in config.to_dict().items()
    }
    values["inference_mode"] = True
    (folder / "adapter_config.json").write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", "utf-8")


@contextmanager
def _quietly() -> Iterator[None]:
    """No progress bars of transformers (the run has its own), nor its warnings that PEFT asks by an old name."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _new_adapter(way: type[Forward], base: PreTrainedModel, lora: Lora, source: ModelSource, seed: int) -> PeftModel:
    from peft import LoraConfig, get_peft_model

    from itune_trainers.fused_lora import use_fused_layers

    config = LoraConfig(
        r=lora.rank,
        lora_alpha=cast(int, lora.alpha),
        lora_dropout=lora.dropout,
        use_dora=lora.dora,
        use_rslora=lora.rslora,
        target_modules=_targets(way, base, lora.targets, source),
        task_type=way.task,
        modules_to_save=list(way.head) or None,
    )
    use_fused_layers(config, base)
    with seeded(seed), _quietly():
        model = cast("PeftModel", get_peft_model(base, config))
    config.base_model_name_or_path = source.spec  # PEFT has put the local path there
    config.modules_to_save = list(way.head) or None  # and here every name that it knows for a head
    return model


def _same_adapter(
    way: type[Forward], base: PreTrainedModel, lora: Lora | None, source: ModelSource, adapter: Path
) -> PeftModel:
    from peft import LoraConfig

    from itune_trainers.fused_lora import use_fused_layers

    config = LoraConfig.from_pretrained(str(adapter))
    if config.use_dora and getattr(base, "is_loaded_in_8bit", False):
        # PEFT 0.21 copies an 8-bit weight to measure it, and its scales are lost with the original.
        raise ModelError(
            "E-TRAIN-015",
            f"the adapter of {source.spec!r} is one of DoRA, which cannot be computed on weights in 8 bits",
            fix="set quantize: 4bit, or remove quantize",
        )
    config.inference_mode = False
    if lora is not None:
        config.lora_dropout = lora.dropout
    use_fused_layers(config, base)
    with _quietly():
        model = way.attach(base, adapter, config)
    if lora is not None:
        _check_shape(way, model, config, lora, source)
    return model


def _check_shape(way: type[Forward], model: PeftModel, has: LoraConfig, wanted: Lora, source: ModelSource) -> None:
    from peft.tuners.lora import LoraLayer

    base = model.get_base_model()
    adapted = sorted(name for name, module in base.named_modules() if isinstance(module, LoraLayer))
    differs = []
    if has.r != wanted.rank:
        differs.append(f"rank {has.r}, not {wanted.rank}")
    if has.lora_alpha != wanted.alpha:
        differs.append(f"alpha {has.lora_alpha:g}, not {wanted.alpha:g}")
    for name, there, asked in (("dora", has.use_dora, wanted.dora), ("rslora", has.use_rslora, wanted.rslora)):
        if there != asked:
            differs.append(f"{name} {str(there).lower()}, not {str(asked).lower()}")
    if adapted != _targets(way, base, wanted.targets, source):
        differs.append(f"targets {sorted({name.rsplit('.', 1)[-1] for name in adapted})}, not {wanted.targets}")
    if differs:
        raise ModelError(
            "E-TRAIN-010",
            f"the adapter of {source.spec!r} is of another shape than `lora` asks for",
            why="it has " + "; ".join(differs),
            fix="remove `lora` to train on the adapter as it is, or set adapter: none to merge it into the weights",
        )


def _targets(way: type[Forward], base: nn.Module, targets: str | list[str], source: ModelSource) -> list[str]:
    """Full names of the modules to adapt, sorted."""
    from torch.nn import Linear
    from transformers.pytorch_utils import Conv1D  # what GPT-2 calls a linear layer

    embeddings = base.get_output_embeddings()  # type: ignore[operator]
    layers = {
        name: module
        for name, module in base.named_modules()
        # An adapted layer wraps the plain one under this suffix; its own name is that of the plain one before.
        if isinstance(module, (Linear, Conv1D)) and module is not embeddings and ".lora_" not in name
        if way.head_in(name) is None
    }
    names = sorted(name.removesuffix(".base_layer") for name in layers)
    if isinstance(targets, str):
        return names
    missing = [target for target in targets if not any(_matches(name, target) for name in names)]
    if missing:
        raise ModelError(
            "E-TRAIN-011",
            f"{source.spec!r} has no linear layer named {', '.join(missing)}",
            fix=f"choose from {', '.join(sorted({name.rsplit('.', 1)[-1] for name in names}))}, or use all-linear",
        )
    return [name for name in names if any(_matches(name, target) for target in targets)]


def _matches(name: str, target: str) -> bool:
    return name == target or name.endswith(f".{target}")
