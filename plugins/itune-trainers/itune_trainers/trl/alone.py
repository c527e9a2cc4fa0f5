"""What TRL, and transformers below it, set for the whole process, set back when its training is done."""

from __future__ import annotations

import os
import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from itune_trainers.model.seeds import seeded


@contextmanager
def left_alone(seed: int) -> Iterator[None]:
    """The process's random generators and settings as they were after the block. Inside it nothing is reported to the
    hub, no library shows bars, and torch is seeded.

    The settings are the environment (``torch_compile`` and ``fsdp`` write to it), how verbose transformers is
    (``log_level``), and whether torch rounds float32 products (``tf32``): the steps after this one would have them too.
    """
    import datasets
    import numpy as np
    import torch
    from huggingface_hub import constants
    from transformers.utils import logging

    python, arrays = random.getstate(), np.random.get_state()
    environment, verbosity = dict(os.environ), logging.get_verbosity()
    products = torch.backends.fp32_precision
    # TRL reports its use as a trainer is made. The variable of this name is heeded only before the import.
    silent, constants.HF_HUB_DISABLE_TELEMETRY = constants.HF_HUB_DISABLE_TELEMETRY, True
    bars = logging.is_progress_bar_enabled(), datasets.utils.are_progress_bars_disabled()
    logging.disable_progress_bar()
    datasets.disable_progress_bars()
    try:
        with seeded(seed), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of TRL's own defaults
            yield
    finally:
        constants.HF_HUB_DISABLE_TELEMETRY = silent
        random.setstate(python)
        np.random.set_state(arrays)
        os.environ.clear()
        os.environ.update(environment)
        logging.set_verbosity(verbosity)
        torch.backends.fp32_precision = products
        if bars[0]:
            logging.enable_progress_bar()
        if not bars[1]:
            datasets.enable_progress_bars()
