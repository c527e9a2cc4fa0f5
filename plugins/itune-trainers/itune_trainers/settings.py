"""The settings that every trainer of this package has, and what ``auto`` stands for."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from itune_core.api import ComponentConfig, Facts, ModelRef, Runtime

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
    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="Of frozen weights; trained weights are always float32. auto: bfloat16 where this machine is "
        "faster with it, float32 for adapter: none.",
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

    @model_validator(mode="after")
    def _adapter_settings_are_used(self) -> Settings:
        if self.adapter == "none":
            if self.lora is not None:
                raise ValueError("lora is not used with adapter: none; remove it, or set adapter: lora")
            if self.dtype == "bfloat16":
                raise ValueError("adapter: none trains all weights, in float32; set dtype: auto or adapter: lora")
            if "learning_rate" not in self.model_fields_set:
                raise ValueError(
                    "learning_rate must be given with adapter: none: the default suits an adapter, "
                    "all weights want about a tenth of it"
                )
        return self


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


# Called only where the fact is not known yet: a second run imports no torch.
def _best_device() -> str:
    from itune_torch import best_device

    return best_device()


def _bfloat16_speedup(device: str) -> float:
    from itune_torch import bfloat16_speedup

    return bfloat16_speedup(device)
