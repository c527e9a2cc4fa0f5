from __future__ import annotations

from pathlib import Path

import torch

from itune_trainers.training.checkpoints import Checkpoints


def test_none_at_first(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path / "none").last() is None


def test_the_newest_comes_back_and_older_ones_go(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    for step in (5, 10, 100):
        checkpoints.save(step, {"weight/w": torch.full((2,), float(step))}, {"history": [step]})
    tensors, state = checkpoints.last() or ({}, {})
    assert tensors["weight/w"].tolist() == [100.0, 100.0]
    assert state == {"step": 100, "history": [100]}
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000100"]


def test_a_torn_one_is_as_if_never_begun(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(5, {"weight/w": torch.zeros(1)}, {})
    torn = tmp_path / "step-000000010.part"
    torn.mkdir()
    (torn / "state.safetensors").write_bytes(b"\x10\x00\x00")
    last = checkpoints.last()
    assert last is not None
    assert last[1]["step"] == 5
    checkpoints.save(10, {"weight/w": torch.zeros(1)}, {})
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000010"]


def test_no_pickle(tmp_path: Path) -> None:
    Checkpoints(tmp_path).save(1, {"weight/w": torch.zeros(1)}, {})
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} == {".safetensors", ".json"}
