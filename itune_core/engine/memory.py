"""Memory: what the garbage collector need not look at, and giving back what a step or a model held."""

from __future__ import annotations

import ctypes
import gc
from functools import cache


@cache
def spare_imports() -> None:
    """Hide from the garbage collector what is there when the first step begins to execute: imported modules, a plan.

    It lives as long as the process, a hundred thousand objects, and to look through it again and again was a tenth of
    the time of formatting 50,000 rows. What is made later is collected as ever; what was there, after the next
    :func:`release`.
    """
    import datasets  # noqa: F401  # the most of it, and every step needs it

    gc.freeze()


def release() -> None:
    """Collect garbage (a model is full of cycles) and have the C library return free pages to the system.

    glibc keeps them otherwise: after a training step that is more than a gigabyte which nobody uses. Nothing stays
    hidden from the collector, so that a model that was there before the first step does not stay for good.
    """
    gc.unfreeze()
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc only
    if trim is not None:
        trim(0)
