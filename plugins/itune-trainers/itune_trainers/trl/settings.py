"""What a recipe can tell a trainer of TRL: its own keys by its own names, less those that the run decides."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Self, cast

from pydantic import Field, ValidationInfo, field_validator, model_validator

from itune_core.api import ComponentConfig, ModelRef, PluginError, Runtime
from itune_trainers.settings import Lora

TrainerName = Literal["sft", "dpo", "kto", "reward", "grpo", "rloo", "distillation"]
"""The trainers that TRL exports from its top level, and so promises to keep."""

CLASSES: Mapping[str, str] = {
    "sft": "SFT",
    "dpo": "DPO",
    "kto": "KTO",
    "reward": "Reward",
    "grpo": "GRPO",
    "rloo": "RLOO",
    "distillation": "Distillation",
}
"""What TRL calls them, before ``Trainer`` and ``Config``."""

REWARDED = ("grpo", "rloo")

_FILES = "the run decides where files go"
_SEED = "it is the step's `seed`"
_CHECKPOINTS = "the run keeps checkpoints; `save_steps` beside `config` says how often"
_TRACKERS = "trackers are extensions of the recipe"
_HUB = "a step publishes nothing"
_COLUMNS = "the columns are those of the records"
_OUTSIDE = "it leads to files that the recipe does not pin; save the tokenizer as you want it beside the model"
_TEACHER = "name the teacher as `teacher`"
REFUSED: Mapping[str, str] = {
    "output_dir": _FILES,
    "logging_dir": _FILES,
    "seed": _SEED,
    "data_seed": _SEED,
    "full_determinism": "it changes torch for the whole process, and a CPU needs none of it",
    **dict.fromkeys(
        (
            "save_strategy",
            "save_steps",
            "save_total_limit",
            "save_only_model",
            "save_on_each_node",
            "load_best_model_at_end",
            "resume_from_checkpoint",
            "restore_callback_states_from_checkpoint",
            "ignore_data_skip",
            "enable_jit_checkpoint",
        ),
        _CHECKPOINTS,
    ),
    **dict.fromkeys(
        ("report_to", "run_name", "project", "trackio_space_id", "trackio_bucket_id", "trackio_static_space_id"),
        _TRACKERS,
    ),
    **dict.fromkeys(
        (
            "push_to_hub",
            "hub_model_id",
            "hub_strategy",
            "hub_token",
            "hub_private_repo",
            "hub_always_push",
            "hub_revision",
            "log_completions_hub_repo",
        ),
        _HUB,
    ),
    "disable_tqdm": "the run shows progress",
    **dict.fromkeys(("do_train", "do_eval", "do_predict", "local_rank"), "it is for scripts and does nothing here"),
    "trust_remote_code": "code from a model's folder is never run",
    "chat_template_path": _OUTSIDE,
    "dataset_text_field": _COLUMNS,
    "dataset_kwargs": _COLUMNS,
    **dict.fromkeys(
        ("teacher_model_name_or_path", "teacher_model_revision", "teacher_model_init_kwargs"), _TEACHER
    ),
}  # fmt: skip
"""Keys of TRL's configs that a recipe does not give, and why."""

WRITTEN_OUT = ("deepspeed", "fsdp_config", "accelerator_config")
"""Keys that may also name a file, whose content would not be in the artifact key."""

LOADING = ("attn_implementation", "device_map", "dtype", "max_memory", "quantization_config")
"""What `model_init_kwargs` may hold. Others lead to other files, or to code from the hub."""


class TRLSettings(ComponentConfig):
    """What TRL is told."""

    model: ModelRef = Field(
        description="Model to start from, or the training step whose model is trained on.", examples=["base"]
    )
    trainer: TrainerName = Field(description="Which trainer of TRL.", examples=["sft"])
    config: dict[str, Any] = Field(
        default_factory=dict,
        description="Settings of that trainer, by TRL's own names; unset ones have TRL's defaults.",
    )
    adapter: Literal["lora", "none"] = Field(
        "lora",
        description="lora: train a small adapter on frozen weights, or train on the one `model` has; "
        "none: train all weights (an adapter of `model` is merged first).",
    )
    lora: Lora | None = Field(
        None, description="Shape of a new adapter; unset: rank 16, alpha 32, all linear layers but the head."
    )
    rewards: list[ModelRef] = Field(
        default_factory=list, description="Reward models whose scores grpo and rloo raise: names of training steps."
    )
    teacher: ModelRef | None = Field(None, description="Model that distillation brings the student nearer to.")
    save_steps: Runtime[int] = Field(
        25,
        ge=1,
        description="A checkpoint every so many steps, or as soon after as the completions at hand are used up; "
        "a killed run goes on from the last.",
    )

    @field_validator("config")
    @classmethod
    def _keys_are_known_and_free(cls, config: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if "trainer" not in info.data:
            return config
        name = f"{CLASSES[info.data['trainer']]}Config"
        known = known_keys(info.data["trainer"])
        problems = [f"{key} cannot be set: {REFUSED[key]}" for key in config if key in REFUSED]
        for key in config:
            if known is not None and key not in known and key not in REFUSED:
                near = get_close_matches(key, known - REFUSED.keys(), n=1)
                problems.append(f"TRL's {name} has no {key!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        problems += [
            f"{key} must be a mapping: the content of a file is not in the artifact's key"
            for key in WRITTEN_OUT
            if isinstance(config.get(key), str)
        ]
        problems += _loading_problems(config.get("model_init_kwargs"))
        if problems:
            raise ValueError("; ".join(problems))
        return config

    @model_validator(mode="after")
    def _settings_are_used(self) -> Self:
        if self.adapter == "none" and self.lora is not None:
            raise ValueError("lora is not used with adapter: none; remove it, or set adapter: lora")
        if (self.trainer in REWARDED) != bool(self.rewards):
            raise ValueError(
                f"trainer: {self.trainer} needs `rewards`, the reward models to learn from"
                if self.trainer in REWARDED
                else f"rewards are not used with trainer: {self.trainer}, only with grpo and rloo"
            )
        if (self.trainer == "distillation") != (self.teacher is not None):
            raise ValueError(
                "trainer: distillation needs a `teacher`"
                if self.trainer == "distillation"
                else f"teacher is not used with trainer: {self.trainer}, only with distillation"
            )
        return self


def _loading_problems(given: Any) -> list[str]:
    if given is None:
        return []
    if not isinstance(given, dict):
        return ["model_init_kwargs must be a mapping"]
    problems = [
        f"model_init_kwargs may hold {', '.join(LOADING)}, not {key!r}: code and files come with the model alone"
        for key in given
        if key not in LOADING
    ]
    if "/" in str(given.get("attn_implementation", "")):
        problems.append("attn_implementation names code of the hub, which is never run")
    return problems


@cache
def known_keys(trainer: str) -> frozenset[str] | None:
    """The settings of TRL's config class for `trainer`, read from its source: importing it takes seconds, since it
    imports torch, and a recipe is to be checked in less.

    None if the class derives from one that is not where it is looked for; TRL itself says then what it does not know.

    Raises:
        PluginError: ``E-TRAIN-040`` TRL is not installed.
    """
    trl, transformers = (find_spec(name) for name in ("trl", "transformers"))
    if trl is None or transformers is None:
        raise missing()
    folder = Path(cast(str, trl.origin)).parent / "trainer"
    files = (
        folder / f"{trainer}_config.py",
        folder / "base_config.py",
        Path(cast(str, transformers.origin)).parent / "training_args.py",
    )
    classes = {
        node.name: node
        for file in files
        if file.is_file()
        for node in ast.parse(file.read_text("utf-8")).body
        if isinstance(node, ast.ClassDef)
    }
    found: set[str] = set()
    left = [f"{CLASSES[trainer]}Config"]
    while left:
        node = classes.get(left.pop())
        if node is None:
            return None
        left += [ast.unparse(base) for base in node.bases]
        found |= {
            item.target.id
            for item in node.body
            if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name) and item.target.id[0] != "_"
        }
    return frozenset(found)


def missing() -> PluginError:
    """The error to raise where TRL is not installed."""
    return PluginError(
        "E-TRAIN-040",
        "trainers/trl needs TRL, which is not installed",
        fix="pip install 'itune-trainers[trl]'",
    )
