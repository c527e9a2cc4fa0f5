"""Variables of chat templates."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2.sandbox import ImmutableSandboxedEnvironment

from itune_core.api import ModelError
from itune_torch import with_variables

TURNS = [{"role": "user", "content": "Hi"}]


def written(tokenizer: Any, template: str, **variables: Any) -> str:
    changed = copy.copy(tokenizer)
    changed.chat_template = template
    return str(with_variables(changed, variables).apply_chat_template(TURNS, tokenize=False))


@given(st.text() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False))
def test_a_template_reads_the_very_value(tokenizer: Any, value: str | bool | int | float) -> None:
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)  # as transformers has it
    seen = environment.from_string(with_variables(tokenizer, {"told": value}).chat_template)
    found = seen.make_module({"messages": []}).told  # type: ignore[attr-defined]
    assert found == value
    assert type(found) is type(value)


def test_it_is_set_whatever_is_asked_and_whatever_the_default(tokenizer: Any) -> None:
    template = "{%- set mood = mood | default('calm') -%}\n{{ mood }}: {{ messages[0].content }}"
    assert written(tokenizer, template) == "calm: Hi"
    assert written(tokenizer, template, mood="cross") == "cross: Hi"
    assert written(tokenizer, template, thinking=False) == "calm: Hi"


def test_nothing_else_changes(tokenizer: Any) -> None:
    before = tokenizer.chat_template
    for template in (before, "\n  x\n{% if true %}\n  y\n{% endif %}\n", "{#- c #}\n{{ 1 }}\n"):
        assert written(tokenizer, template, told="a") == written(tokenizer, template)
    changed = with_variables(tokenizer, {"told": "a"})
    assert tokenizer.chat_template == before
    assert changed("Why is the sky blue?")["input_ids"] == tokenizer("Why is the sky blue?")["input_ids"]


def test_what_cannot_be_set_is_refused(tokenizer: Any) -> None:
    for name in ("a b", "", "x = 1 %}{{ 2 }}{% set y", "messages", "add_generation_prompt", "none", "True"):
        with pytest.raises(ModelError, match="is no name") as error:
            with_variables(tokenizer, {"told": 1, name: 1})
        assert error.value.code == "E-TORCH-022"
    bare = copy.copy(tokenizer)
    bare.chat_template = None
    with pytest.raises(ModelError, match="has none, or several"):
        with_variables(bare, {"told": 1})
