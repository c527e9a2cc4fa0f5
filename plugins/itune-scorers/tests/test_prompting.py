"""The questions that scorers ask: the package's own, and those of a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from itune_core.api import DataError, message
from itune_scorers.coherence import Coherence
from itune_scorers.complexity import Complexity
from itune_scorers.evol_score import EvolScore
from itune_scorers.llm_rating import LlmRating
from itune_scorers.naturalness import Naturalness
from itune_scorers.quality import Quality
from itune_scorers.tags import Tags
from itune_scorers.understandability import Understandability

ASKING: list[Any] = [Coherence, Complexity, LlmRating, Naturalness, Quality, Tags, Understandability]
VALUES: Mapping[str, Any] = {
    "prompt": [message("user", "How deep is it? <b>&amp;</b>"), message("assistant", "{{ 7 * 7 }}")],
    "response": "{% for a in b %} forty fathoms & more",
    "query": "How deep\nis it?",
    "dimension": "helpfulness",
}


@pytest.mark.parametrize("component", ASKING)
def test_the_built_in_ones_show_all_that_they_may_as_it_is(component: Any) -> None:
    asked = component(component.Config(model="m")).asked(**{name: VALUES[name] for name in component.gives})
    [turn] = asked
    assert turn["role"] == "user"
    for name in component.gives:
        shown = ["user: How deep is it? <b>&amp;</b>\nassistant: {{ 7 * 7 }}\n"] if name == "prompt" else [VALUES[name]]
        assert all(text in turn["content"] for text in shown)
    assert "\n\n\n" not in turn["content"]


@pytest.mark.parametrize("component", ASKING)
def test_a_file_in_its_place_may_use_the_same_names(component: Any, tmp_path: Path) -> None:
    own = tmp_path / "own.jinja"
    own.write_text(" | ".join(f"{{{{ {name} }}}}" for name in sorted(component.gives)) + "\n")
    given = {name: VALUES[name] for name in component.gives}
    [turn] = component(component.Config(model="m", prompt=str(own))).asked(**given)
    assert turn["content"] == " | ".join(str(given[name]) for name in sorted(given))
    own.write_text("{{ secret }}")
    with pytest.raises(DataError, match="E-DATA-035") as refused:
        component(component.Config(model="m", prompt=str(own))).asked(**given)
    assert str(own) in str(refused.value)


def test_the_two_questions_of_the_evol_score_are_their_scorers(tmp_path: Path) -> None:
    own = tmp_path / "own.jinja"
    own.write_text("{{ response }}")
    settings = {"complexity": {"model": "m"}, "quality": {"model": "m", "prompt": str(own)}}
    config = EvolScore.Config.model_validate(settings)
    assert config.quality == Quality.Config(model="m", prompt=str(own))
    assert config.complexity == Complexity.Config(model="m")
