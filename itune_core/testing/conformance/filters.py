"""Conformance of filters."""

from __future__ import annotations

from itune_core.testing.conformance.rows import RowsConformance


class FilterConformance(RowsConformance):
    """Tests of a filter: a verdict a row, in order; what it keeps is unchanged by construction."""

    stage = "filters"
