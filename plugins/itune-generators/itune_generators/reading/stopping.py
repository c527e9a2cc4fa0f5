"""Where an answer ends that goes on after what was asked for."""

from __future__ import annotations

from dataclasses import replace

from itune_core.api import Completion


def until(written: Completion, *marks: str) -> Completion:
    """`written` up to the first of `marks`, as if the model had stopped there.

    For answers without their thoughts. A server that is told to stop at `marks` also stops within a thought, where a
    model drafts its answer, and the draft would be taken for it. The price is the tokens that a model writes after a
    mark: a chat model, none or few; a base model, up to ``max_tokens``.
    """
    places = [place for place in map(written.text.find, marks) if place >= 0]
    return replace(written, text=written.text[: min(places)], finish="stop") if places else written
