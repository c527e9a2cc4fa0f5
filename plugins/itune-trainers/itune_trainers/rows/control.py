"""Chat templates with a control token: what kind of answer is asked for stands right before the answer."""

from __future__ import annotations

import json

VARIABLE = "control"
"""The template's variable that says which control token to write."""

START = "{#- itune: control tokens -#}"
SPLIT = "{#- itune: the template itself #}{{ '' }}"
TURNS = (
    "{%- set marked = namespace(turns=[]) -%}"
    "{%- for turn in messages -%}"
    "{%- if turn.role == 'assistant' -%}"
    "{%- set turn = dict(turn, content=control ~ (turn.content or '')) -%}"
    "{%- endif -%}"
    "{%- set marked.turns = marked.turns + [turn] -%}"
    "{%- endfor -%}"
    "{%- set messages = marked.turns -%}"
)
END = "{{ control if add_generation_prompt else '' }}"


def controlled(template: str, default: str) -> str:
    """`template`, with a control token at the beginning of each of the assistant's turns.

    The generation prompt ends with it, too; so a conversation is written from left to right as before, and what a model
    is asked to continue is what it was trained to continue. The variable :data:`VARIABLE` says which token it is.

    Args:
        template: of a chat model. One that has control tokens already gets others in their place.
        default: the token where the variable is not given.
    """
    head = f"{START}{{%- set {VARIABLE} = {VARIABLE} | default({json.dumps(default, ensure_ascii=False)}) -%}}"
    # A template's last line break is not part of what it writes; within another it would be.
    return head + TURNS + SPLIT + plain(template).removesuffix("\n") + END


def plain(template: str) -> str:
    """`template` without the control tokens that :func:`controlled` gave it."""
    if not template.startswith(START):
        return template
    return template.partition(SPLIT)[2].removesuffix(END)
