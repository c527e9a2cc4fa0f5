"""Conformance of mixers."""

from __future__ import annotations

from itune_core.testing.conformance.rows import RowsConformance


class MixerConformance(RowsConformance):
    """Tests of a mixer: draws of rows that exist.

    The rows are handed to it as three data sets. What is drawn depends on all of them and on their order; a mixer that
    draws the same numbers whatever stands in the rows may declare ``order = "free"``.
    """

    stage = "mixers"
    order = "defined"
    scope = "whole"
