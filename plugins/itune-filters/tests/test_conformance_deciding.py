"""Filters over columns, rules of thumb and phrases keep to the contract that all filters keep to."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from itune_core.api import Answer, Completion, Kind, Record, Request, Rule, conversation, message
from itune_core.testing import FilterConformance
from itune_core.testing.trial import store

SCORES = {"score.ifd": [0.4, 1.2, None, 0.9, 0.9, 0.1, 0.7]}


class TestWhere(FilterConformance):
    component = "filters/where"
    config = {"keep": "score.ifd <= 1 and (words(all) >= 6 or language in ['ja'])"}
    columns = SCORES


class TestTop(FilterConformance):
    component = "filters/top"
    config = {"score": "score.ifd", "size": 2, "per": "source"}
    columns = SCORES
    scope, group = "group", "source"


class TestTopByQuantile(FilterConformance):
    component = "filters/top"
    config = {"score": "score.ifd", "quantile": 0.5, "order": "lowest"}
    columns = SCORES
    scope = "whole"


class TestCherry(FilterConformance):
    component = "filters/cherry"
    config = {"ifd": "score.ifd", "share": 0.4}
    columns = SCORES
    scope = "whole"


class TestRuleSelect(FilterConformance):
    component = "filters/rule-select"
    config = {"rule": "fitted", "columns": {"ifd": "score.ifd", "reward": "score.reward"}, "size": 3}
    columns = {**SCORES, "score.reward": [1.5, -2.0, 0.25]}
    rules = {"fitted": Rule("log loss", 0.5, {"ifd": 1.0, "reward": -0.2})}
    scope = "whole"


class TestHeuristics(FilterConformance):
    component = "filters/heuristics"


class TestHeuristicsForAnyLanguage(FilterConformance):
    component = "filters/heuristics"
    config = {"sets": ["instruction", "contradiction"], "english": False}
    scope = "whole"


class TestRefusals(FilterConformance):
    component = "filters/refusals"
    config = {"look": "anywhere", "phrases": ["not with boiling"]}


class TestLanguage(FilterConformance):
    component = "filters/language"
    config = {"keep": ["en", "ja"]}


class TestEvolElimination(FilterConformance):
    component = "filters/evol-elimination"
    config = {"judge": "tiny"}
    scope = "whole"

    @cached_property
    def rows(self) -> list[Record]:  # type: ignore[override]
        """A seed, and what was made of it."""
        seed = conversation([message("user", "Name a fruit."), message("assistant", "A quince.")])
        with TemporaryDirectory() as folder:
            name = store([seed], Kind.CONVERSATION, Path(folder) / "seed").dataset["id"][0]
        made = [
            ("Name a fruit that is red.", "A cherry."),
            ("Name a fruit of the north.", "I am sorry, none comes to mind."),
            ("Name a fruit and its colour.", "It is the."),
            ("The rewritten prompt: name two fruits.", "A cherry and a plum."),
        ]
        return [
            seed,
            *(conversation([message("user", q), message("assistant", a)], parents=[name]) for q, a in made),
        ]

    def reply(self, request: Request) -> Answer:
        return Answer([Completion("equal" if "red" in request.messages[-1]["content"] else "different", "stop", 9, 1)])
