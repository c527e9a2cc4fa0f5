"""What a model is told of an answer of its own that cannot be read.

It enters the question that is asked next, and so the journal's key. It is therefore found out apart from how answers
are read, and in the plainest way: a reader that gets better must not change what was asked, or the old answers to it
would be lost.
"""

from __future__ import annotations

import json

from pydantic import BaseModel, ValidationError

_TOLD = 5
"""Most errors of one object that are told."""


def complaint(text: str, model: type[BaseModel], *, whole: bool) -> str:
    """What is wrong with `text`, which should have been one JSON object of `model`; a clause without a full stop.

    Args:
        text: what the model wrote.
        model: of the object.
        whole: whether the text came to its end.
    """
    if not whole:
        return "it was cut before its end; answer more briefly"
    begin, end = text.find("{"), text.rfind("}")
    if begin < 0 or end < begin:
        return "there is no JSON object in it"
    try:
        value = json.loads(text[begin : end + 1])
    except (ValueError, RecursionError):
        return "what stands from its first brace to its last is not one JSON object"
    try:
        model.model_validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        return errors_of(error)
    return "it is not clear which part of it is the answer"


def errors_of(error: ValidationError) -> str:
    """The first errors of an object, each with the field it is about."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    told = [f"{'.'.join(map(str, one['loc'])) or 'the object'}: {one['msg']}" for one in found[:_TOLD]]
    return "; ".join(told)
