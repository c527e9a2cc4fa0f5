"""Loading without transformers' progress bars (the run has its own) and without warnings that are not for the user."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

# Wherever it is installed PEFT imports it. At import it misses an optional package, and at every 8-bit product in
# bfloat16 it says that it rounds.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)


@contextmanager
def quietly() -> Iterator[None]:
    """Inside the block transformers shows no progress bars, and nobody is warned that PEFT asks it by an old name."""
    from transformers.utils import logging as bars

    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        if shown:
            bars.enable_progress_bar()
