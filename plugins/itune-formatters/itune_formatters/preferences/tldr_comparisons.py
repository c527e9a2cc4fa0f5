"""OpenAI's comparisons of summaries: two summaries of a text, of which a person chose one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from itune_core.api import Drop, Formatter, Kind, Record, Row, RowError, message, preference
from itune_formatters.building.frame import Frame
from itune_formatters.building.instance import Instance
from itune_formatters.rest import rest

INFO = ("post", "article", "title", "subreddit")
"""Fields of `info` that the prompt is made of."""


class TLDRComparisons(Formatter):
    """The comparisons of *Learning to summarize from human feedback*, one preference a row.

    Fields: `info` with `post`, `title` and `subreddit` (posts of Reddit) or with `article` and perhaps `title`
    (articles of CNN and the Daily Mail); `summaries`, two of ``{text, policy, note}``; `choice`, 0 or 1; `split`.
    The prompt asks for a summary of the text; the subreddit is the record's `category`. All else is kept in ``meta``:
    `summaries` without their texts in the order of the row, `choice`, `worker`, `batch`, `extra` with the confidence
    (its unit is not told by the source, so it is no margin).

    Splits are part of the row, since one file holds rows of several. ``valid1`` served to select the models of the
    paper; report figures on ``valid2``. The files of axis ratings have another shape and are not read.

    Dropped: ``other-split``, ``empty-prompt``, ``empty-output``, ``equal-responses``.

    Source: arXiv:2009.01325, https://github.com/openai/summarize-from-feedback.
    """

    produces = Kind.PREFERENCE

    class Config(Formatter.Config):
        splits: list[Literal["train", "valid1", "valid2"]] = Field(
            ["train"], min_length=1, description="Use rows of these splits (`split`)."
        )
        instruction: str = Field(
            "Write a short summary of the text below.", min_length=1, description="What the prompt asks for."
        )
        frame: Frame = Field(Frame(), description="How the instruction and the text are laid out.")

    def format(self, row: Row) -> Record | Drop:
        split = row.text("split")
        if split not in self.config.splits:
            return Drop("other-split", split)
        info, summaries = _info(row), _summaries(row)
        choice = row.get("choice")
        if type(choice) is not int or choice not in (0, 1):
            raise RowError(f"'choice' is {choice!r}", "E-FORMAT-046", fix="it must be 0 or 1")
        given = _text(info)
        texts = [summary.text("text") for summary in summaries]
        if given is None:
            return Drop("empty-prompt")
        for number, text in enumerate(texts):
            if not text.strip():
                return Drop("empty-output", f"summary {number}")
        if texts[0].strip() == texts[1].strip():
            return Drop("equal-responses")
        *prompt, chosen = self.config.frame.turns(Instance(self.config.instruction, texts[choice], given))
        rest_of_info = {name: value for name, value in info.items() if name not in INFO}
        policies = [{name: value for name, value in summary.items() if name != "text"} for summary in summaries]
        subreddit = info.text("subreddit", "")
        fields = {**row, "info": rest_of_info or None, "summaries": policies}
        common = rest(fields, filled=["category"] if subreddit else [])
        if subreddit:
            common["category"] = subreddit
        return preference(prompt, [chosen], [message("assistant", texts[1 - choice])], **common)


def _info(row: Row) -> Row:
    info = row.get("info")
    if not isinstance(info, Mapping) or ("post" in info) == ("article" in info):
        raise RowError(
            "'info' tells of no text",
            "E-FORMAT-046",
            why=f"it is {type(info).__name__}" if not isinstance(info, Mapping) else f"it has {sorted(map(str, info))}",
            fix="it must be an object with either 'post' or 'article'",
        )
    return Row(info, row.where)


def _summaries(row: Row) -> list[Row]:
    found: Any = row.get("summaries")
    if not isinstance(found, list) or len(found) != 2 or not all(isinstance(item, Mapping) for item in found):
        raise RowError("'summaries' must be a list of two objects", "E-FORMAT-046")
    return [Row(item, row.where) for item in found]


def _text(info: Row) -> str | None:
    """The text to sum up, below what is known of it; None if it is blank."""
    body = info.text("post" if "post" in info else "article")
    if not body.strip():
        return None
    head = [("Subreddit: r/", info.text("subreddit", "")), ("Title: ", info.text("title", ""))]
    lines = [f"{label}{text}" for label, text in head if text.strip()]
    return "\n".join([*lines, "", body] if lines else [body])
