"""The most memory that this process held between two moments.

Linux counts it in the kernel: ``VmHWM`` of ``/proc/self/status``, set back by writing ``5`` to
``/proc/self/clear_refs`` (proc(5), since Linux 4.0). That misses no peak and costs nothing in between. Where the system
does not let us, a thread looks every 20 ms, and a shorter peak may pass unseen.
"""

from __future__ import annotations

import threading
from pathlib import Path

import psutil

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
INTERVAL = 0.02


class PeakMemory:
    """From its making until :meth:`end`: the most resident memory of this process, without its children.

    Attributes:
        exact: whether the kernel counts; otherwise the peak is the highest of samples.
    """

    def __init__(self) -> None:
        self.exact = _set_back()
        self._highest = 0
        self._ended = threading.Event()
        self._sampler = None if self.exact else threading.Thread(target=self._sample, name="peak-memory", daemon=True)
        if self._sampler:
            self._sampler.start()

    def end(self) -> int:
        """Stop watching; the peak in bytes."""
        if self._sampler is None:
            return _high_water()
        self._ended.set()
        self._sampler.join()
        return self._highest

    def _sample(self) -> None:
        process = psutil.Process()
        while True:
            self._highest = max(self._highest, process.memory_info().rss)
            if self._ended.wait(INTERVAL):
                return


def _set_back() -> bool:
    """Set the kernel's mark back to what is held now; False where that is not possible."""
    try:
        CLEAR.write_text("5")
        return _high_water() > 0
    except (OSError, ValueError):
        return False


def _high_water() -> int:
    """The kernel's mark, in bytes.

    Raises:
        OSError: there is no ``/proc``.
        ValueError: it does not tell.
    """
    for line in STATUS.read_text("ascii", "replace").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise ValueError("no VmHWM")
