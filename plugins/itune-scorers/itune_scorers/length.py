"""How long a record is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from itune_core.api import Message, Record, Scorer, parts


class Length(Scorer):
    """Characters and words of the prompt, of the answer, and of all text.

    Columns, all whole numbers:

    - ``score.<step>.prompt_characters``, ``prompt_words``: all turns before the answer;
    - ``score.<step>.response_characters``, ``response_words``: the answer: a conversation's last turn, the chosen side
      of a preference, the first candidate of a ranking, the text of a text record; 0 where there is none;
    - ``score.<step>.total_characters``, ``total_words``: prompt and all answers.

    A character is a Unicode code point; a word is a run without white space, which says little of Chinese, Japanese and
    Thai. Only the content of turns counts, not roles, tool calls or what a chat template adds.

    Source: this package.
    """

    columns = {
        f"{part}_{unit}": "int64" for part in ("prompt", "response", "total") for unit in ("characters", "words")
    }

    def score(self, record: Record) -> Mapping[str, Any]:
        prompt, responses = parts(record)
        measured = {
            "prompt": prompt,
            "response": responses[0] if responses else [],
            "total": [turn for turns in (prompt, *responses) for turn in turns],
        }
        return {
            f"{part}_{unit}": length for part, turns in measured.items() for unit, length in _lengths(turns).items()
        }


def _lengths(turns: Iterable[Message]) -> dict[str, int]:
    contents = [turn["content"] for turn in turns]
    return {
        "characters": sum(map(len, contents)),
        "words": sum(len(content.split()) for content in contents),
    }
