"""Takes its time when it is imported."""

from __future__ import annotations

import time

from filters import _KeepsAll

BEGAN = time.process_time()
while time.process_time() < BEGAN + min(3 * BEGAN, 2.0):
    pass


class Burns(_KeepsAll):
    """Keeps all, after a while. Source: the kit's own tests."""
