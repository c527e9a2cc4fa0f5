"""torch's global generators, borrowed for a block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """torch's global generators seeded inside the block, and as they were after it: training leaves no trace there."""
    import torch

    with torch.random.fork_rng(range(torch.cuda.device_count())):  # unsaid, it warns of several
        torch.manual_seed(seed)
        yield
