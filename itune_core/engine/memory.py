"""Giving memory back between steps and models, so that one's peak is not the next one's floor."""

from __future__ import annotations

import ctypes
import gc


def release() -> None:
    """Collect garbage (a model is full of cycles) and have the C library return free pages to the system.

    glibc keeps them otherwise: after a training step that is more than a gigabyte which nobody uses.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc only
    if trim is not None:
        trim(0)
