"""What an accelerate config file asks for, read strictly: what is not done as the file says is refused.

accelerate itself is not used. With it several such files run undistributed on a CPU, and there is no error: `MULTI_CPU`
in one process, FSDP as plain data parallelism, DeepSpeed with each process alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from itune_core.api import ModelError
from itune_trainers.launch.settings import Strategy

STRATEGIES: Mapping[str, Strategy] = {"MULTI_CPU": "ddp", "MULTI_GPU": "ddp", "FSDP": "fsdp2"}

SAME: Mapping[str, tuple[Any, ...]] = {
    "compute_environment": ("LOCAL_MACHINE",),
    "num_machines": (1,),
    "machine_rank": (0,),
    "mixed_precision": ("no", None),
    "downcast_bf16": ("no", False, None),
    "gpu_ids": ("all", None),
    "debug": (False,),
    "enable_cpu_affinity": (False,),
    "main_training_function": ("main",),
    "rdzv_backend": ("static", "c10d"),
    "same_network": (True, False),
    "main_process_ip": (None, "127.0.0.1", "localhost"),
    "tpu_use_cluster": (False,),
    "tpu_use_sudo": (False,),
    "tpu_env": ([], None),
    "dynamo_config": ({}, None),
    "fp8_config": ({}, None),
    "megatron_lm_config": ({}, None),
    "mpirun_config": ({}, None),
    "parallelism_config": ({}, None),
}
"""Other keys, and the values for which the file asks for nothing but what is done anyway."""

SAME_FSDP: Mapping[str, tuple[Any, ...]] = {
    "fsdp_version": (2,),
    "fsdp_reshard_after_forward": (True,),
    "fsdp_offload_params": (False,),
    "fsdp_auto_wrap_policy": ("TRANSFORMER_BASED_WRAP", None),
    "fsdp_transformer_layer_cls_to_wrap": (None, ""),
    "fsdp_state_dict_type": ("FULL_STATE_DICT", "SHARDED_STATE_DICT"),  # checkpoints here are itune's own
    "fsdp_cpu_ram_efficient_loading": (False,),
    "fsdp_activation_checkpointing": (False,),
    "fsdp_backward_prefetch": ("BACKWARD_PRE", "NO_PREFETCH", None),
    "fsdp_forward_prefetch": (False,),
    "fsdp_use_orig_params": (True, None),
    "fsdp_sync_module_states": (False, True),  # all open the same files, and it is checked
}
"""The same of ``fsdp_config``."""

INSTEAD: Mapping[str, str] = {
    "mixed_precision": "the recipe's dtype says what numbers are computed with",
    "num_machines": "one machine is what itune starts processes on",
    "fsdp_version": "version 2 is what torch keeps up; run `accelerate to-fsdp2`",
    "fsdp_activation_checkpointing": "set gradient_checkpointing: true in the recipe",
    "num_processes": "there must be two or more",
}
"""What to do about a value that is refused."""


def read_accelerate_file(path: Path, device: str) -> tuple[int, Strategy]:
    """How many processes, and what each of them holds.

    Args:
        path: of the file.
        device: that the recipe trains on, by its kind (``cpu``, ``cuda``).

    Raises:
        ModelError: ``E-TRAIN-096`` the file is not there, or is no mapping in YAML; ``E-TRAIN-097`` it asks for
            something that would not be done, by key.
    """
    values = _mapping(path)
    kind = values.pop("distributed_type", "NO")
    if kind not in STRATEGIES:
        hint = "set launch: {processes: N, strategy: zero3} in the recipe; fsdp2 divides the same"
        raise _refused(
            path, "distributed_type", kind, hint if kind == "DEEPSPEED" else f"one of {', '.join(STRATEGIES)}"
        )
    processes = values.pop("num_processes", None)
    if type(processes) is not int or processes < 2:
        raise _refused(path, "num_processes", processes)
    on_cpu = values.pop("use_cpu", kind == "MULTI_CPU")
    if on_cpu is not (device == "cpu") or (kind == "MULTI_GPU" and on_cpu) or (kind == "MULTI_CPU" and not on_cpu):
        raise _refused(
            path, "use_cpu", on_cpu, f"distributed_type is {kind} and the recipe's device {device}: let them agree"
        )
    fsdp = values.pop("fsdp_config", None) or {}
    if kind == "FSDP":
        _check(path, {"fsdp_version": 1, **fsdp}, SAME_FSDP)  # 1 is what accelerate takes it for
        fsdp = {}
    _check(path, {**values, **({"fsdp_config": fsdp} if fsdp else {})}, SAME)
    return processes, STRATEGIES[kind]


def _check(path: Path, values: Mapping[str, Any], same: Mapping[str, tuple[Any, ...]]) -> None:
    for key, value in values.items():
        # `in` alone would take 1 for True.
        if not any(type(value) is type(known) and value == known for known in same.get(key, ())):
            raise _refused(path, key, value)


def _refused(path: Path, key: str, value: Any, hint: str | None = None) -> ModelError:
    return ModelError(
        "E-TRAIN-097",
        f"{key}: {value} of the accelerate config file would not be done",
        where=str(path),
        why="itune starts the processes itself, and does what it takes from the file or refuses it",
        fix=hint or INSTEAD.get(key) or f"remove {key}; or say launch: {{processes: N, strategy: ddp}} in the recipe",
    )


def _mapping(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise _unreadable(path, str(error)) from error
    if not isinstance(values, dict):
        raise _unreadable(path, f"it holds {type(values).__name__}, not keys and values")
    return values


def _unreadable(path: Path, why: str) -> ModelError:
    return ModelError(
        "E-TRAIN-096",
        f"the accelerate config file {path} cannot be read",
        where=str(path.absolute()),
        why=why,
        fix="give launch: {config: ...} the path of a file that `accelerate config` has written",
    )
