"""A new adapter on a model, or the one that it has."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from itune_core.api import ModelError, ModelSource
from itune_trainers.forward.base import Forward
from itune_trainers.model.seeds import seeded
from itune_trainers.settings import Lora

if TYPE_CHECKING:
    from peft import LoraConfig, PeftModel
    from torch import nn
    from transformers import PreTrainedModel


def new_adapter(way: type[Forward], base: PreTrainedModel, lora: Lora, source: ModelSource, seed: int) -> PeftModel:
    from peft import LoraConfig, get_peft_model

    from itune_torch import quietly
    from itune_trainers.model.fused_lora import use_fused_layers

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
    with seeded(seed), quietly():
        model = cast("PeftModel", get_peft_model(base, config))
    config.base_model_name_or_path = source.spec  # PEFT has put the local path there
    config.modules_to_save = list(way.head) or None  # and here every name that it knows for a head
    return model


def same_adapter(
    way: type[Forward], base: PreTrainedModel, lora: Lora | None, source: ModelSource, adapter: Path
) -> PeftModel:
    from peft import LoraConfig

    from itune_torch import quietly
    from itune_trainers.model.fused_lora import use_fused_layers

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
    with quietly():
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
