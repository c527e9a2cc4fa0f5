"""What launch can be told, and what of an accelerate config file is done or refused: nothing is passed over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from itune_core.api import ModelError
from itune_core.engine.keys import settings
from itune_trainers.launch.accelerate_file import SAME, SAME_FSDP, read_accelerate_file
from itune_trainers.objectives.sft import SFT

CPU = {"distributed_type": "MULTI_CPU", "num_processes": 2, "use_cpu": True}
FSDP = {"distributed_type": "FSDP", "num_processes": 2, "use_cpu": True, "fsdp_config": {"fsdp_version": 2}}
# As `accelerate config` of accelerate 1.15 writes them.
WRITTEN = {
    "compute_environment": "LOCAL_MACHINE",
    "debug": False,
    "distributed_type": "MULTI_GPU",
    "downcast_bf16": "no",
    "enable_cpu_affinity": False,
    "gpu_ids": "all",
    "machine_rank": 0,
    "main_training_function": "main",
    "mixed_precision": "no",
    "num_machines": 1,
    "num_processes": 4,
    "rdzv_backend": "static",
    "same_network": True,
    "tpu_env": [],
    "tpu_use_cluster": False,
    "tpu_use_sudo": False,
    "use_cpu": False,
}
WRITTEN_FSDP = {
    **WRITTEN,
    "distributed_type": "FSDP",
    "fsdp_config": {
        "fsdp_auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
        "fsdp_cpu_ram_efficient_loading": False,
        "fsdp_offload_params": False,
        "fsdp_reshard_after_forward": True,
        "fsdp_state_dict_type": "FULL_STATE_DICT",
        "fsdp_version": 2,
    },
}


def file(folder: Path, values: Any) -> Path:
    path = folder / "accelerate.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.mark.parametrize(
    ("values", "device", "found"),
    [
        (CPU, "cpu", (2, "ddp")),
        (FSDP, "cpu", (2, "fsdp2")),
        (WRITTEN, "cuda", (4, "ddp")),
        (WRITTEN_FSDP, "cuda", (4, "fsdp2")),
    ],
)
def test_what_can_be_done_is_read(tmp_path: Path, values: dict[str, Any], device: str, found: tuple[int, str]) -> None:
    assert read_accelerate_file(file(tmp_path, values), device) == found


@pytest.mark.parametrize(
    ("values", "device", "key"),
    [
        # Each runs undistributed, or otherwise than it says, on a CPU under accelerate; some everywhere.
        ({**CPU, "distributed_type": "NO"}, "cpu", "distributed_type"),
        ({"num_processes": 2, "use_cpu": True}, "cpu", "distributed_type"),
        ({**CPU, "distributed_type": "DEEPSPEED", "deepspeed_config": {"zero_stage": 3}}, "cpu", "distributed_type"),
        ({**CPU, "distributed_type": "MULTI_GPU"}, "cpu", "use_cpu"),
        ({**WRITTEN}, "cpu", "use_cpu"),
        ({**FSDP, "use_cpu": False}, "cpu", "use_cpu"),
        (CPU, "cuda", "use_cpu"),
        ({**CPU, "num_processes": 1}, "cpu", "num_processes"),
        ({**CPU, "num_processes": "2"}, "cpu", "num_processes"),
        ({"distributed_type": "MULTI_CPU"}, "cpu", "num_processes"),
        ({**CPU, "num_machines": 2}, "cpu", "num_machines"),
        ({**CPU, "mixed_precision": "bf16"}, "cpu", "mixed_precision"),
        ({**CPU, "gpu_ids": "0,1"}, "cpu", "gpu_ids"),
        ({**CPU, "fsdp_config": {"fsdp_version": 2}}, "cpu", "fsdp_config"),
        ({**CPU, "a_key_of_tomorrow": 1}, "cpu", "a_key_of_tomorrow"),
        ({**FSDP, "fsdp_config": {}}, "cpu", "fsdp_version"),
        ({**FSDP, "fsdp_config": {"fsdp_version": 2, "fsdp_offload_params": True}}, "cpu", "fsdp_offload_params"),
        (
            {**FSDP, "fsdp_config": {"fsdp_version": 2, "fsdp_activation_checkpointing": True}},
            "cpu",
            "fsdp_activation_checkpointing",
        ),
    ],
)
def test_what_would_not_be_done_is_refused(tmp_path: Path, values: dict[str, Any], device: str, key: str) -> None:
    with pytest.raises(ModelError) as caught:
        read_accelerate_file(file(tmp_path, values), device)
    assert caught.value.code == "E-TRAIN-097"
    assert caught.value.what.startswith(f"{key}:")
    assert caught.value.fix


@given(key=st.sampled_from(sorted(SAME)), value=st.none() | st.booleans() | st.integers() | st.text() | st.just([1]))
def test_any_other_value_of_any_key_is_refused(tmp_path_factory: pytest.TempPathFactory, key: str, value: Any) -> None:
    path = file(tmp_path_factory.mktemp("file"), {**CPU, key: value})
    if any(type(value) is type(known) and value == known for known in SAME[key]):
        assert read_accelerate_file(path, "cpu") == (2, "ddp")
    else:
        with pytest.raises(ModelError, match="would not be done"):
            read_accelerate_file(path, "cpu")


def test_the_keys_are_accelerate_s() -> None:
    from accelerate.commands.config.config_args import ClusterConfig

    known = set(ClusterConfig.__dataclass_fields__) | {"debug"}
    assert set(SAME) <= known
    assert {*WRITTEN, "fsdp_config"} <= known
    from accelerate.utils import FullyShardedDataParallelPlugin

    fields = set(FullyShardedDataParallelPlugin.__dataclass_fields__)
    others = {"offload_params": "cpu_offload", "transformer_layer_cls_to_wrap": "transformer_cls_names_to_wrap"}
    names = {others.get(name, name) for name in (key.removeprefix("fsdp_") for key in SAME_FSDP)}
    assert names - fields <= {"version", "forward_prefetch"}


@pytest.mark.parametrize("text", [None, "- a list\n", "{", "!!python/object/apply:os.getcwd []"])
def test_a_file_that_is_none_is_refused(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "accelerate.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ModelError, match="cannot be read") as caught:
        read_accelerate_file(path, "cpu")
    assert caught.value.code == "E-TRAIN-096"


@pytest.mark.parametrize(
    ("launch", "says"),
    [
        ({"processes": 2, "config": "x.yaml"}, "remove the rest"),
        ({"config": "x.yaml", "strategy": "ddp"}, "remove the rest"),
        ({"processes": 0}, "greater than or equal to 1"),
        ({"strategy": "fsdp2"}, "one process has nobody to share with"),
        ({"processes": 2, "strategy": "fsdp"}, "'ddp', 'fsdp2' or 'zero3'"),
        ({"processes": 2, "nodes": 2}, "Extra inputs"),
    ],
)
def test_a_launch_that_says_nothing_clear_is_refused(launch: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        SFT.Config(model="tiny", launch=launch)


def test_what_is_not_installed_is_said_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("itune_trainers.launch.settings.find_spec", {"deepspeed": None}.get)
    with pytest.raises(ValidationError, match=r"pip install 'itune-trainers\[deepspeed\]'"):
        SFT.Config(model="tiny", launch={"processes": 2, "strategy": "zero3"})
    assert SFT.Config(model="tiny", launch={"processes": 2, "strategy": "fsdp2"}).launch.strategy == "fsdp2"


def test_it_is_no_setting_of_the_result() -> None:
    alone = SFT.Config(model="tiny")
    for launch in ({"processes": 2}, {"processes": 8, "strategy": "fsdp2"}, {"config": "accelerate.yaml"}):
        assert settings(SFT.Config(model="tiny", launch=launch)) == settings(alone)
