"""The settings that every trainer of this package has, and what ``auto`` stands for."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, Literal

from pydantic import Field, model_validator

from itune_core.api import ComponentConfig, Facts, ModelError, ModelRef, Runtime
from itune_trainers.launch.settings import Launch

FASTER = 1.1
"""How many times faster than float32 bfloat16 must be before ``dtype: auto`` takes it: it costs digits."""


class Lora(ComponentConfig):
    """Shape of a low-rank adapter (arXiv 2106.09685): ``W + alpha / rank * B A``, B zero at the start."""

    rank: int = Field(default=16, ge=1, description="Rank of the update of each weight.")
    alpha: float = Field(default=32.0, gt=0, description="The update is scaled by alpha / rank.")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="Share of the adapter's inputs zeroed in training.")
    targets: Literal["all-linear"] | list[str] = Field(
        default="all-linear", description="Modules to adapt: all linear layers but the LM head, or a list of names."
    )
    dora: bool = Field(
        default=False,
        description="Train the length of each row of a weight apart from its direction, which alone is low-rank (DoRA, "
        "arXiv 2402.09353): slower, and often better at a small rank.",
    )
    rslora: bool = Field(
        default=False,
        description="Scale by alpha / sqrt(rank), so that a large rank learns as fast as a small one (arXiv "
        "2312.03732).",
    )


class EarlyStopping(ComponentConfig):
    """Stop where the loss on the input `eval` has stopped falling."""

    every: int = Field(
        ge=1, description="Steps from one evaluation to the next; there is one after the last step, too.", examples=[50]
    )
    patience: int = Field(
        default=3, ge=1, description="How many evaluations in a row without a lower loss end the training."
    )
    min_delta: float = Field(
        default=0.0, ge=0, description="A loss counts as lower only if it is by more than this, in nats."
    )
    keep: Literal["best", "last"] = Field(
        default="best", description="Which weights are the result: those of the lowest loss, or those at the end."
    )


class Settings(ComponentConfig):
    """What all trainers can be told. Lengths are in tokens, shares in [0, 1]."""

    model: ModelRef = Field(description="Model to start from, or the training step whose model is trained on.")
    adapter: Literal["lora", "none"] = Field(
        "lora",
        description="lora: train a small adapter on frozen weights, or train on the one `model` has; "
        "none: train all weights (an adapter of `model` is merged first).",
    )
    lora: Lora | None = Field(
        None, description="Shape of the adapter; unset: that of `model`'s, else rank 16, alpha 32, all linear layers."
    )
    quantize: Literal["4bit", "8bit"] | None = Field(
        None,
        description="Hold the frozen weights of linear layers in 4 bits (NF4, QLoRA, arXiv 2305.14314) or 8 (arXiv "
        "2208.07339): a quarter or half of bfloat16's memory. Needs adapter: lora and "
        "`pip install 'itune-trainers[quantize]'`.",
    )
    learning_rate: float = Field(gt=0, description="Peak learning rate of AdamW (betas 0.9 and 0.999, eps 1e-8).")
    schedule: Literal["linear", "cosine", "constant"] = Field(
        "linear", description="How the learning rate goes from its peak to zero, or stays."
    )
    warmup: float = Field(0.0, ge=0, lt=1, description="Share of the steps in which the learning rate rises from zero.")
    epochs: int = Field(1, ge=1, description="How many times the training rows are gone through.")
    batch_size: int = Field(
        8, ge=1, description="Records per optimiser step; the last of an epoch or phase may have fewer."
    )
    shuffle: bool = Field(
        True,
        description="Shuffle the records anew for each epoch. A mix with phases or epochs keeps its mixer's order.",
    )
    max_length: int = Field(1024, ge=2, description="Longest row in tokens, prompt and answer together.")
    overlength: Literal["error", "drop", "truncate-prompt", "truncate-response"] = Field(
        "error",
        description="What happens to a longer row: error stops the step; drop leaves the record out; truncate-prompt "
        "removes the oldest tokens of the prompt; truncate-response cuts the end.",
    )
    # Joining rows differently changes the order in which floats are summed, and with it the last bits of the weights.
    # So this is a setting of the result, though no loss differs by more than rounding.
    tokens_per_forward: int = Field(
        1024,
        ge=1,
        description="Rows are run joined to at most this many tokens; bounds memory. A longer row runs alone.",
    )
    weight_decay: float = Field(0.0, ge=0, description="AdamW's decay of weight matrices; biases and norms have none.")
    max_grad_norm: float | None = Field(
        1.0, gt=0, description="Longest gradient; a longer one is scaled down. null: any."
    )
    early_stopping: EarlyStopping | None = Field(
        None, description="Stop where the loss on the input `eval` has stopped falling; unset: make all steps."
    )
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="Of frozen weights that are not quantised, and of products with those that are; trained weights "
        "are always float32. auto: bfloat16 where this machine is faster with it, float32 for adapter: none.",
    )
    device: Runtime[str] = Field("auto", description="cpu, cuda, cuda:1, mps; auto: the best this machine has.")
    # Recomputed activations are the same bits, so this is not a setting of the result.
    gradient_checkpointing: Runtime[bool] = Field(
        False,
        description="Compute activations again in the backward pass: less memory, about 30 % slower.",
    )
    save_steps: Runtime[int] = Field(
        25, ge=1, description="A checkpoint every so many steps; a killed run goes on from the last."
    )

    launch: Runtime[Launch] = Field(
        Launch(), description="Train in several processes: {processes: 2}, or {config: accelerate.yaml}."
    )

    @model_validator(mode="after")
    def _adapter_settings_are_used(self) -> Settings:
        if self.adapter == "none":
            if self.lora is not None:
                raise ValueError("lora is not used with adapter: none; remove it, or set adapter: lora")
            if self.quantize is not None:
                raise ValueError("quantised weights cannot be trained; remove quantize, or set adapter: lora")
            if self.dtype == "bfloat16":
                raise ValueError("adapter: none trains all weights, in float32; set dtype: auto or adapter: lora")
            if "learning_rate" not in self.model_fields_set:
                raise ValueError(
                    "learning_rate must be given with adapter: none: the default suits an adapter, "
                    "all weights want about a tenth of it"
                )
        return self

    @model_validator(mode="after")
    def _quantised_weights_are_whole(self) -> Settings:
        if self.quantize is not None and self.launch.strategy != "ddp":
            raise ValueError(
                "quantised weights cannot be divided among processes; set strategy: ddp, or remove quantize"
            )
        return self

    @model_validator(mode="after")
    def _dora_can_be_computed(self) -> Settings:
        if self.quantize == "8bit" and self.lora is not None and self.lora.dora:
            raise ValueError("lora.dora cannot be computed on weights in 8 bits; set quantize: 4bit, or remove one")
        return self

    @model_validator(mode="after")
    def _quantization_is_installed(self) -> Settings:
        # A check of the recipe says it, as it says that a plugin is missing: not the training, hours of steps later.
        if self.quantize is not None and find_spec("bitsandbytes") is None:
            raise ValueError(
                "quantize needs the package bitsandbytes: pip install 'itune-trainers[quantize]', or remove quantize"
            )
        return self


class _Measured:
    """Facts for a component that runs without an engine: measured whenever asked."""

    def get(self, name: str, measure: Callable[[], Any]) -> Any:
        return measure()


MEASURED: Facts = _Measured()


def settle(config: Settings, facts: Facts) -> Settings:
    """`config` with ``auto`` device and dtype replaced by what suits this machine.

    ``device: auto`` is the fact ``torch.best_device``; ``dtype: auto`` is bfloat16 if an adapter is trained and the
    fact ``torch.bfloat16_speedup`` (of another device than the CPU: ``torch.bfloat16_speedup.cuda``, say) is above
    :data:`FASTER`.
    """
    device, dtype = config.device, config.dtype
    if device == "auto":
        device = facts.get("torch.best_device", _best_device)
    if dtype == "auto":
        kind = device.partition(":")[0]
        name = "torch.bfloat16_speedup" if kind == "cpu" else f"torch.bfloat16_speedup.{kind}"
        fast = config.adapter == "lora" and facts.get(name, lambda: _bfloat16_speedup(device)) > FASTER
        dtype = "bfloat16" if fast else "float32"
    return config.model_copy(update={"device": device, "dtype": dtype})


def require_device(device: str) -> None:
    """Say now, before any work, that this machine has no such device.

    Raises:
        ModelError: ``E-TRAIN-017`` it has not.
    """
    import torch

    try:
        torch.zeros(1).to(device)
    except (RuntimeError, AssertionError) as error:  # the latter is how a torch without CUDA says so
        raise ModelError(
            "E-TRAIN-017",
            f"this machine, or the torch that is installed, has no device {device!r}",
            why=str(error).partition("\n")[0],
            fix="use device: auto, or cpu; itune doctor shows what this machine has",
        ) from error


# Called only where the fact is not known yet: a second run imports no torch.
def _best_device() -> str:
    from itune_torch import best_device

    return best_device()


def _bfloat16_speedup(device: str) -> float:
    from itune_torch import bfloat16_speedup

    require_device(device)
    return bfloat16_speedup(device)
