"""Chat templates with a control token, on templates of several families."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from itune_core.api import ModelSource, RowError
from itune_torch import encode_completion, load_tokenizer, with_variables
from itune_trainers.rows.control import controlled, plain

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
TRIMMED = (
    "{%- if messages[0]['role'] == 'system' %}{%- set first = messages[0]['content'] %}"
    "{%- set messages = messages[1:] %}{%- else %}{%- set first = '' %}{%- endif %}\n"
    "{{- '<<' ~ first ~ '>>' }}\n"
    "{%- for message in messages %}\n"
    "    {{- '[' ~ message.role ~ ']' ~ '\n\n' ~ message.content | trim ~ '<|im_end|>' }}\n"
    "{%- endfor %}\n"
    "{%- if add_generation_prompt %}\n"
    "    {{- '[assistant]\n\n' }}\n"
    "{%- endif %}\n"
)
BY_FUNCTION = (
    "{% macro turn(message) %}<{{ message.role }}>{{ message.content }}</{{ message.role }}>{% endmacro %}\n"
    "{% for message in messages %}{{ turn(message) }}{% if not loop.last %} {% endif %}{% endfor %}"
    "{% if add_generation_prompt %} <assistant>{% endif %}"
)
FAMILIES = {"chatml": CHATML, "trimmed": TRIMMED, "by function": BY_FUNCTION}
TOKENS = ["<|bad|>\n", "<|good|>\n", 'with "quotes" and \\ and {{ braces }} and 好\n']

SYSTEM = {"role": "system", "content": "Be brief."}
ASK = {"role": "user", "content": "Why is the sky blue?"}
SAY = {"role": "assistant", "content": "Because of the air."}


@pytest.fixture(params=FAMILIES)
def tokenizer(request: pytest.FixtureRequest, tiny: ModelSource) -> Any:
    found = load_tokenizer(tiny)
    found.chat_template = FAMILIES[request.param]
    return found


def written(tokenizer: Any, template: str, turns: list[dict[str, str]], *, prompt: bool = False, **more: str) -> str:
    changed = copy.copy(tokenizer)
    changed.chat_template = template
    return str(changed.apply_chat_template(turns, tokenize=False, add_generation_prompt=prompt, **more))


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize("turns", [[ASK], [SYSTEM, ASK], [SYSTEM, ASK, SAY, ASK]])
def test_the_generation_prompt_ends_with_the_token(tokenizer: Any, token: str, turns: list[dict[str, str]]) -> None:
    base = tokenizer.chat_template
    marked = [{**turn, "content": token + turn["content"]} if turn["role"] == "assistant" else turn for turn in turns]
    expected = written(tokenizer, base, marked, prompt=True) + token
    assert written(tokenizer, controlled(base, token), turns, prompt=True) == expected
    assert written(tokenizer, controlled(base, "other"), turns, prompt=True, control=token) == expected


@pytest.mark.parametrize("token", TOKENS)
def test_a_turn_of_the_assistant_begins_with_it_and_nothing_else_changes(tokenizer: Any, token: str) -> None:
    base = tokenizer.chat_template
    turns = [SYSTEM, ASK, SAY]
    with_token = [SYSTEM, ASK, {**SAY, "content": token + SAY["content"]}]
    assert written(tokenizer, controlled(base, token), turns) == written(tokenizer, base, with_token)
    assert written(tokenizer, controlled(base, token), [SYSTEM, ASK]) == written(tokenizer, base, [SYSTEM, ASK])


@pytest.mark.parametrize("token", TOKENS)
def test_a_row_is_the_prompt_at_inference_then_the_answer(tokenizer: Any, token: str) -> None:
    """Token for token; the token is not trained, and all that follows it is."""
    tokenizer.chat_template = controlled(tokenizer.chat_template, "unused")
    asked = with_variables(tokenizer, {"control": token})
    row = encode_completion(asked, [SYSTEM, ASK], [SAY])
    assert row is not None
    prompt = asked.apply_chat_template([SYSTEM, ASK], add_generation_prompt=True, return_dict=False)
    assert row.ids[: len(prompt)] == prompt
    assert row.trained == [False] * len(prompt) + [True] * (len(row.ids) - len(prompt))
    assert tokenizer.decode(prompt).endswith(token)
    assert tokenizer.decode(row.ids[len(prompt) :]).startswith(SAY["content"])
    assert row.merged == 0


def test_tokens_take_the_place_of_earlier_ones(tokenizer: Any) -> None:
    base = tokenizer.chat_template
    again = controlled(controlled(base, "<|a|>"), "<|b|>")
    assert again == controlled(base, "<|b|>")
    assert plain(again) == base.removesuffix("\n")
    assert plain(base) == base


def test_a_template_that_writes_something_in_between_is_refused(tiny: ModelSource) -> None:
    tokenizer = load_tokenizer(tiny)
    spaced = "{% for message in messages %}[{{ message.role }}] {{ message.content }}{% endfor %}"
    tokenizer.chat_template = controlled(spaced + "{% if add_generation_prompt %}[assistant]{% endif %}", "<|good|>\n")
    with pytest.raises(RowError) as error:
        encode_completion(tokenizer, [ASK], [SAY])
    assert error.value.code == "E-TORCH-013"
