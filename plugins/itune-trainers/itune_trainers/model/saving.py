"""Save what was trained: an adapter or a whole model, with its tokenizer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, cast

from itune_trainers.rows.stops import name_stops

if TYPE_CHECKING:
    from peft import LoraConfig
    from torch import nn
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def save_model(model: nn.Module, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Save a PEFT adapter or a whole model, with its tokenizer and what ends and pads its answers: safetensors, no
    card, no local path, the same bytes for the same weights."""
    from peft import PeftModel, get_peft_model_state_dict
    from safetensors.torch import save_file

    from itune_torch import quietly

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(folder)
    adapted = isinstance(model, PeftModel)
    base = cast("PreTrainedModel", model.get_base_model() if adapted else model)
    if base.can_generate():
        name_stops(base.generation_config, tokenizer)
    if not adapted:
        base.config.name_or_path = ""
        with quietly():
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
