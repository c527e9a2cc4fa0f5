"""Environment markers of metadata, which anybody may have written."""

from __future__ import annotations

from packaging.markers import Marker, UndefinedComparison, UndefinedEnvironmentName

UNKNOWN_NAME = (UndefinedEnvironmentName, KeyError)
"""What evaluating a marker raises for a name that its context does not know; KeyError: before packaging 26.3."""


def holds(marker: Marker | None, extra: str = "") -> bool:
    """Whether a requirement with this marker is one here, of the distribution itself or of an extra of it.

    One that cannot be told is none: it compares what cannot be compared, or asks for what metadata do not know.
    """
    try:
        return marker is None or marker.evaluate({"extra": extra})
    except (UndefinedComparison, *UNKNOWN_NAME):
        return False
