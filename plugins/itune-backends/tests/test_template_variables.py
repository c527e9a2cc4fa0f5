"""``template:`` of a model: variables of its chat template, in questions and in scored answers."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from itune_backends.transformers_backend import Transformers
from itune_core.api import Ask, LogProbs, ModelSource, message

TEMPLATE = "{%- set mood = mood | default('calm') %}({{ mood }}) "


@pytest.fixture
def moody(tiny_folder: Path, tmp_path: Path) -> ModelSource:
    folder = tmp_path / "moody"
    shutil.copytree(tiny_folder, folder)
    path = folder / "chat_template.jinja"
    path.write_text(TEMPLATE + path.read_text())
    return ModelSource(folder, "transformers", "moody", "./moody")


def test_a_variable_is_read_in_all_that_the_model_sees(opened: Callable[..., Transformers], moody: ModelSource) -> None:
    turns = [message("user", "Hi")]
    question = Ask("m", turns, max_tokens=8)
    answered = LogProbs("m", turns, [message("assistant", "Yes.")])
    plain, cross = opened(moody), opened(moody, template={"mood": "cross"})
    for request in (question, answered):
        assert plain.render(request, moody).startswith("(calm) ")
        assert cross.render(request, moody) == plain.render(request, moody).replace("(calm)", "(cross)")
    assert list(plain.generate([(question, [0])])) != list(cross.generate([(question, [0])]))
    assert list(plain.logprobs([answered])) != list(cross.logprobs([answered]))
