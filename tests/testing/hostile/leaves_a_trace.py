"""Writes a file when it is imported."""

from __future__ import annotations

from pathlib import Path

from filters import _KeepsAll

(Path.home() / ".leaves-a-trace").write_text("I was here")


class LeavesATrace(_KeepsAll):
    """Keeps all. Source: the kit's own tests."""
