"""Facts about this machine that ``device: auto`` and ``dtype: auto`` are decided by."""

from __future__ import annotations

import time
from typing import Literal

import torch
from torch import nn


def best_device() -> Literal["cuda", "mps", "cpu"]:
    """The accelerator torch can use here, else ``cpu``."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def bfloat16_speedup(device: str = "cpu") -> float:
    """How many times faster a training step through frozen weights is in bfloat16 than in float32.

    Measured on a small feed-forward block, forward and backward through its activations, as adapter training does.
    The best of several turns, the two types taking turns, so that load on the machine meets both; on a CPU in process
    time. Takes under 3 seconds; ask once and keep the answer.

    Returns:
        time in float32 / time in bfloat16. Above 1, bfloat16 is faster.
    """
    times = {torch.float32: float("inf"), torch.bfloat16: float("inf")}
    steps = {dtype: _step(dtype, device) for dtype in times}
    deadline = time.perf_counter() + 2.0
    for turn in range(8):
        for dtype, (block, tokens) in steps.items():
            spent = _timed(block, tokens)
            if turn:  # the first turn chooses kernels and packs weights
                times[dtype] = min(times[dtype], spent)
        if turn and time.perf_counter() > deadline:
            break
    return times[torch.float32] / times[torch.bfloat16]


def _step(dtype: torch.dtype, device: str) -> tuple[nn.Module, torch.Tensor]:
    block = nn.Sequential(nn.Linear(512, 1536), nn.SiLU(), nn.Linear(1536, 512)).to(device, dtype).requires_grad_(False)
    return block, torch.ones(256, 512, dtype=dtype, device=device, requires_grad=True)


def _timed(block: nn.Module, tokens: torch.Tensor) -> float:
    clock = time.process_time if tokens.device.type == "cpu" else time.perf_counter
    start = clock()
    for _ in range(4):
        block(tokens).sum().backward()
    if tokens.device.type != "cpu":
        getattr(torch, tokens.device.type).synchronize()
    return clock() - start
