"""Chat templates that read variables besides the turns: a control token, whether to think first."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from itune_core.api import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Value = str | bool | int | float

RESERVED = frozenset({"messages", "add_generation_prompt", "true", "false", "none", "True", "False", "None"})
"""The turns, and whether they are to be answered, are what a template is asked with; the others are values to Jinja."""


def with_variables(tokenizer: PreTrainedTokenizerBase, variables: Mapping[str, Value]) -> PreTrainedTokenizerBase:
    """A copy of `tokenizer` whose chat template has `variables` set, however it is asked.

    They are written before the template's text. A variable that the template does not read changes nothing.

    Args:
        tokenizer: with a chat template; it is left as it is, and shares its vocabulary with the copy.
        variables: by name.

    Raises:
        ModelError: ``E-TORCH-022`` a name is none that a variable can have (the turns' own, say), or the tokenizer has
            not one chat template but none or several.
    """
    template = tokenizer.chat_template
    wrong = [name for name in variables if name in RESERVED or not name.isidentifier()]
    if wrong or not isinstance(template, str):
        raise ModelError(
            "E-TORCH-022",
            f"the chat template cannot be given {', '.join(variables)}",
            where=tokenizer.name_or_path or None,
            why=f"{wrong[0]!r} is no name that a variable can have" if wrong else "the tokenizer has none, or several",
            fix="correct the name" if wrong else "use a model whose tokenizer has one chat template",
        )
    changed = copy.copy(tokenizer)
    changed.chat_template = "".join(map(_set, variables, variables.values())) + template
    return changed


def _set(name: str, value: Value) -> str:
    # What JSON writes of a text, a truth value or a number, Jinja reads as the same value.
    return f"{{%- set {name} = {json.dumps(value, ensure_ascii=False)} %}}{{{{ '' }}}}"
