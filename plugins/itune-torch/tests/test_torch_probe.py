"""Machine facts."""

from __future__ import annotations

import time

import torch

from itune_torch import best_device, bfloat16_speedup


def test_best_device_works() -> None:
    device = best_device()
    assert torch.ones(2, device=device).sum().item() == 2


def test_bfloat16_speedup_is_a_ratio_measured_in_time() -> None:
    start = time.process_time()
    ratio = bfloat16_speedup("cpu")
    assert time.process_time() - start < 3 * torch.get_num_threads()
    assert 0.05 < ratio < 50
