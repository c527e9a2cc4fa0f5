"""Imports torch before anybody has asked for it."""

from __future__ import annotations

import torch  # noqa: F401
from filters import _KeepsAll


class ImportsTorch(_KeepsAll):
    """Keeps all, slowly. Source: the kit's own tests."""
