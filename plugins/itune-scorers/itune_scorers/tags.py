"""What a question is about and asks for, as tags: how many, and how new (InsTag)."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Any

from pydantic import Field

from itune_core.api import (
    Answer,
    Ask,
    Context,
    Failed,
    Input,
    Inputs,
    Kind,
    Record,
    RowError,
    Scorer,
    hookimpl,
    records,
    spoken,
)
from itune_scorers.asking.prompting import PromptConfig, Prompted
from itune_scorers.asking.turns import question

FENCE = re.compile(r"```(?:json)?\s*\n(?P<inside>.*)\n\s*```", re.IGNORECASE | re.DOTALL)
"""A block of code, which models like to put around JSON."""

ZERO_WIDTH_SPACE = "\u200b"
"""Of characters that are not seen, the one that parts words."""


class Tags(Prompted, Scorer):
    """How many things a question asks for, and how many of these no other did: InsTag's complexity and diversity.

    A model is asked greedily for a JSON list of tags of all turns before the answer. Tags are compared after a rule:
    compatibility characters unified (NFKC), case folded, punctuation and symbols other than ``+`` and ``#`` one space,
    joiners and other characters that are not seen left out.
    Nothing is stemmed, merged by meaning or left out for being rare, as the paper does with the tags of a whole
    collection. Columns:

    - ``score.<step>.count``: how many different tags the question has: its complexity;
    - ``score.<step>.novelty``: the share of them that no question before it has: what it adds to the diversity of a
      selection. The order is that of the paper's sampling, most tags first; of as many, by record id. So it depends on
      all other records, and not on where they stand.

    ``novelty > 0`` therefore keeps what the paper's complexity-first diverse sampling takes in its first pass.

    An answer that is not a JSON list of texts (in a block of code at most), or holds no tag, fails (``E-SCORE-027``),
    as does a thought that `max_tokens` cut (``E-MODEL-020``), and takes no part in the novelty of others. It is kept in
    the journal, so that a parser that reads more of it asks nothing again. A `prompt` may use ``prompt``, the turns
    before the answer, each with ``role`` and ``content``.

    Source: arXiv:2308.07074; the question is this package's.
    """

    inputs = {"records": Input(tuple(kind for kind in Kind if kind is not Kind.TEXT))}
    columns = {"count": "int64", "novelty": "float64"}
    template = "tags"
    gives = frozenset({"prompt"})

    class Config(PromptConfig):
        max_tokens: int = Field(256, ge=1, description="Most new tokens of the model's answer.")

    @hookimpl
    def itune_score(self, inputs: Inputs, context: Context) -> Iterator[Mapping[str, Any] | Failed]:
        """Ask for all tags, then count those that are new."""
        asking = ((record["id"], self._tags(record)) for record in records(inputs["records"]))
        found = {finished.key: finished.result for finished in context.converse(asking)}
        novel = novelty({key: tags for key, tags in found.items() if not isinstance(tags, Failed)})
        for key, tags in found.items():
            yield tags if isinstance(tags, Failed) else {"count": len(tags), "novelty": novel[key]}

    def _tags(self, record: Record) -> Generator[Any, Any, list[str]]:
        asked = self.asked(prompt=question(record))
        answer: Answer = yield Ask(self.config.model, asked, max_tokens=self.config.max_tokens)
        return read_tags(spoken(*answer.completions).text)


def novelty(tags: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """By record, the share of its tags that no record before it has, in descending order of the number of tags; of as
    many, in that of the keys."""
    seen: set[str] = set()
    shares: dict[str, float] = {}
    for key in sorted(tags, key=lambda key: (-len(tags[key]), key)):
        own = set(tags[key])
        shares[key] = len(own - seen) / len(own)
        seen |= own
    return shares


def read_tags(text: str) -> list[str]:
    """The different tags in what a model wrote, each as :func:`normal` has it, in order.

    Raises:
        RowError: ``E-SCORE-027`` it is not a JSON list of texts, or no tag is left.
    """
    fenced = FENCE.fullmatch(text.strip())
    try:
        listed = json.loads(fenced["inside"] if fenced else text)
    except (ValueError, RecursionError):
        listed = None
    texts = listed if isinstance(listed, list) and all(isinstance(tag, str) for tag in listed) else []
    tags = [tag for tag in dict.fromkeys(map(normal, texts)) if tag]
    if not tags:
        raise RowError(
            "the model's answer is not a JSON list of tags",
            "E-SCORE-027",
            why=f"it begins {text[:80]!r}",
            fix="use a model that follows instructions better, or word the question for it with prompt",
        )
    return tags


def normal(tag: str) -> str:
    """A tag in the form in which tags are compared: ``Text_Generation `` and ``text-generation`` are one."""
    folded = unicodedata.normalize("NFKC", tag).casefold()
    return " ".join("".join(map(_read, folded)).split())


def _read(character: str) -> str:
    """What a character counts as: a space if it stands between words, as punctuation, symbols, white space and control
    characters do (but not those of C++ and C#); nothing if it is not seen and stands inside of words, as joiners of
    Persian and soft hyphens do."""
    category = unicodedata.category(character)
    if category == "Cf" and character != ZERO_WIDTH_SPACE:
        return ""
    return " " if category[0] in "PSZC" and character not in "+#" else character
