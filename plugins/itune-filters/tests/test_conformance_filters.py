"""Every filter here keeps to the contract that all filters keep to."""

from __future__ import annotations

from itune_core.testing import FilterConformance


class TestLength(FilterConformance):
    component = "filters/length"
    config = {"total": {"min_words": 4, "max_characters": 120}}


class TestExactDuplicates(FilterConformance):
    component = "filters/exact-duplicates"
    config = {"on": "prompt"}
    order, scope = "defined", "whole"


class TestSplit(FilterConformance):
    component = "filters/split"
    config = {"held_out": 0.4}


class TestSample(FilterConformance):
    component = "filters/sample"
    config = {"size": 5}
    scope = "whole"


class TestSampleByShare(FilterConformance):
    component = "filters/sample"
    config = {"share": 0.5}
