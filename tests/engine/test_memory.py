"""What is hidden from the garbage collector is not hidden for good."""

from __future__ import annotations

import gc
import weakref

from itune_core.engine import memory


class Node:
    """Refers to itself, as a model does."""

    def __init__(self) -> None:
        self.me = self


def test_what_was_there_before_the_first_step_is_freed_when_nobody_needs_it() -> None:
    node = Node()
    there = weakref.ref(node)
    memory.spare_imports.__wrapped__()  # once a process otherwise
    assert gc.get_freeze_count() > 0
    del node
    memory.release()
    assert there() is None
