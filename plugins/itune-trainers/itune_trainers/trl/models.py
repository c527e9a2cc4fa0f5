"""Models as TRL takes them: a folder to load from, an adapter to put on top, reward models; and what is saved."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from itune_core.api import Architecture, ModelError, ModelSource
from itune_trainers.model.saving import save_model
from itune_trainers.settings import Lora
from itune_trainers.trl.settings import TRLSettings

if TYPE_CHECKING:
    from peft import LoraConfig, PeftModel


def check_source(config: TRLSettings, source: ModelSource) -> None:
    """Refuse a model that the trainer cannot start from, before its weights are read."""
    wants: tuple[Architecture, ...] = ("causal", "reward") if config.trainer == "reward" else ("causal",)
    _check_architecture(source, wants, f"trainer: {config.trainer}")
    if source.adapter is None or config.adapter == "none":
        return
    if config.lora is not None:
        raise ModelError(
            "E-TRAIN-044",
            f"{source.spec!r} has an adapter already, whose shape `lora` cannot change",
            fix="remove `lora` to train on it, or set adapter: none to merge it into the weights",
        )


def check_teacher(source: ModelSource) -> None:
    """Refuse a teacher that writes nothing: transformers would give it an LM head of random numbers."""
    _check_architecture(source, ("causal",), "a teacher")


def _check_architecture(source: ModelSource, wants: tuple[Architecture, ...], place: str) -> None:
    if source.architecture not in wants:
        raise ModelError(
            "E-TRAIN-044",
            f"{source.spec!r} is a {source.architecture} model, and {place} wants a {wants[0]} one",
            where=str(source.files),
            fix="name a causal language model, or a step that trains one",
        )


def start(config: TRLSettings, source: ModelSource, args: Any, folder: Path) -> Any:
    """What TRL is handed as its model: a folder to load from; or, to train on an adapter, the model that has it."""
    if source.adapter is None or config.adapter == "none":
        return str(weights(source, folder))
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    from itune_torch import resolve, reward_adapter

    safe = {"trust_remote_code": False, "local_files_only": True}
    loading, args.model_init_kwargs = {"dtype": "float32", **args.model_init_kwargs, **safe}, None
    model: PeftModel
    if config.trainer == "reward":
        base = AutoModelForSequenceClassification.from_pretrained(resolve(source), num_labels=1, **loading)
        model = reward_adapter(base, source.adapter, is_trainable=True)
    else:
        base = AutoModelForCausalLM.from_pretrained(resolve(source), **loading)
        model = PeftModel.from_pretrained(base, str(source.adapter), is_trainable=True, local_files_only=True)
    # Where the base was found. By another name, PEFT asks the hub for it whenever it saves a checkpoint.
    model.peft_config["default"].base_model_name_or_path = base.config.name_or_path
    return model


def weights(source: ModelSource, folder: Path) -> Path:
    """A folder with the whole weights of `source`: its own, or `folder` with its adapter merged into them."""
    from itune_torch import load_causal, load_reward, resolve

    if source.adapter is None:
        return resolve(source)
    load = load_reward if source.architecture == "reward" else load_causal
    shutil.rmtree(folder, ignore_errors=True)
    load(source, adapter="merge").save_pretrained(folder)
    return folder


def reward_model(name: str, source: ModelSource) -> Any:
    """A model that scores what it is given. TRL logs its figures under its name in the recipe."""
    from itune_torch import load_reward

    model = load_reward(source, adapter="merge")
    model.config.name_or_path = name
    return model


def new_adapter(config: TRLSettings, source: ModelSource) -> LoraConfig | None:
    if config.adapter == "none" or source.adapter is not None:
        return None
    from peft import LoraConfig, TaskType

    lora = config.lora or Lora()
    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,  # type: ignore[arg-type]
        lora_dropout=lora.dropout,
        use_dora=lora.dora,
        use_rslora=lora.rslora,
        target_modules=lora.targets,
        # With this type the head that gives rewards is trained, and saved with the adapter.
        task_type=TaskType.SEQ_CLS if config.trainer == "reward" else TaskType.CAUSAL_LM,
    )


def save(model: Any, tokenizer: Any, source: ModelSource, config: TRLSettings, folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)  # of a run killed while it saved
    if config.adapter == "lora":
        model.peft_config["default"].base_model_name_or_path = source.spec  # PEFT has put the local path there
    save_model(model, tokenizer, folder)
    return folder
