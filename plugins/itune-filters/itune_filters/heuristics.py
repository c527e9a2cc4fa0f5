"""Self-Instruct's and Alpaca's rules of thumb for instructions that a model wrote."""

from __future__ import annotations

import hashlib
import json
import re
import string
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import Field

from itune_core.api import (
    ComponentConfig,
    Context,
    Drop,
    Failed,
    Filter,
    Input,
    Inputs,
    Keep,
    Kind,
    Message,
    Record,
    hookimpl,
    parts,
    records,
)
from itune_filters.phrases.wordcount import word_count

SHORTEST, LONGEST = 4, 150
"""Words of an instruction."""

SELF_INSTRUCT = (
    *("image", "images", "graph", "graphs", "picture", "pictures", "file", "files", "map", "maps"),
    *("draw", "plot", "go to"),
)
ALPACA = (*SELF_INSTRUCT, "video", "audio", "music", "flowchart", "diagram")
"""What a model that reads and writes text alone cannot do anything with."""

BLACK_LISTS = {"self-instruct": SELF_INSTRUCT, "alpaca": ALPACA}

COLONS = (":", "：")

Set = Literal["instruction", "instance", "contradiction"]


class Heuristics(Filter):
    """Drop instructions and answers that a model is known to write when it goes wrong, by Self-Instruct's rules.

    The instruction is the last turn before the answer, with the input that a formatter wrote into it. The first rule
    that is broken is the reason. Rules of the set ``instruction``:

    - ``too-short``, ``too-long``: below 4 or above 150 words;
    - ``unsuitable-word``: it has a word of the black list (image, file, map, draw, ...), which ask of a text model what
      it cannot do, but are also met in good instructions;
    - ``asks-for-a-program``: it begins with "write a program", of which the authors saw too many;
    - ``starts-with-punctuation``; ``starts-with-non-ascii``.

    Of the set ``instance``, for each answer:

    - ``repeats-prompt``: it is the instruction;
    - ``ends-with-colon``: it, or the instruction, ends with a colon: something is missing.

    Of the set ``contradiction``, which is off unless it is named, since several answers to one prompt may be meant:

    - ``contradiction``: another conversation has the same prompt and another answer; all of them go.

    The rules were made for English. With ``english: false`` the black list, "write a program" and the test for ASCII
    are left out; every two characters of Chinese or Japanese are a word; and only punctuation that opens nothing, and
    symbols, count (not ``「``, ``《``, ``¿`` or quotation marks).

    Source: Self-Instruct, arXiv:2212.10560 and https://github.com/yizhongw/self-instruct; the longer black list is of
    https://github.com/tatsu-lab/stanford_alpaca.
    """

    inputs = {
        "records": Input((Kind.CONVERSATION, Kind.PROMPT, Kind.PREFERENCE, Kind.RANKING, Kind.FEEDBACK)),
    }

    class Config(ComponentConfig):
        sets: list[Set] = Field(["instruction", "instance"], min_length=1, description="Which sets of rules apply.")
        black_list: Literal["self-instruct", "alpaca"] = Field(
            "alpaca", description="Whose list of unsuitable words; Alpaca's adds video, audio, music and charts."
        )
        english: bool = Field(True, description="Whether the rules that hold of English alone apply.")

    def decide(self, record: Record) -> Keep | Drop:
        """By the rules that look at one record alone."""
        prompt, responses = parts(record)
        instruction = prompt[-1]["content"].strip() if prompt else ""
        spaced = " ".join(instruction.split())
        answers = [response[-1]["content"].strip() for response in responses]
        found: Drop | None = None
        if prompt and "instruction" in self.config.sets:
            found = instruction_fault(spaced, english=self.config.english, black_list=self.config.black_list)
        if found is None and "instance" in self.config.sets:
            found = next(_of_instance(instruction, answers), None)
        return found or Keep()

    @hookimpl
    def itune_filter(self, inputs: Inputs, context: Context) -> Iterator[Keep | Drop | Failed]:
        # The hook itself: whether answers contradict each other is a matter of all records.
        rows = inputs["records"]
        against = (
            _contradictions(map(_question_and_answer, records(rows))) if "contradiction" in self.config.sets else {}
        )
        ids = rows["id"]
        for row, verdict in enumerate(context.map(self.decide, records(rows))):
            if row in against and verdict == Keep():
                yield Drop("contradiction", f"same prompt as {ids[against[row]]}, which is answered otherwise")
            else:
                yield verdict


def instruction_fault(
    text: str, *, english: bool = True, black_list: Literal["self-instruct", "alpaca"] = "alpaca"
) -> Drop | None:
    """The first rule of the set ``instruction`` that `text` breaks; None if it keeps to all.

    Args:
        text: an instruction, with single spaces.
        english, black_list: as the settings of :class:`Heuristics`.
    """
    words = len(text.split()) if english else word_count(text)
    if words < SHORTEST:
        return Drop("too-short", f"{words} words, at least {SHORTEST} are wanted")
    if words > LONGEST:
        return Drop("too-long", f"{words} words, at most {LONGEST} are wanted")
    if english:
        listed = "|".join(BLACK_LISTS[black_list])
        if unsuitable := re.search(rf"\b(?:{listed})\b", text, re.IGNORECASE):
            return Drop("unsuitable-word", f"{unsuitable[0]!r} is on the black list of {black_list}")
        if text.lower().startswith("write a program"):
            return Drop("asks-for-a-program", "it begins with 'write a program'")
    if text and _is_odd_beginning(text[0], english):
        return Drop("starts-with-punctuation", f"it begins with {text[0]!r}")
    if english and text and not text[0].isascii():
        return Drop("starts-with-non-ascii", f"it begins with {text[0]!r}")
    return None


def _of_instance(instruction: str, answers: Sequence[str]) -> Iterator[Drop]:
    for answer in answers:
        if answer == instruction:
            yield Drop("repeats-prompt", "the answer is the instruction")
        for name, text in (("instruction", instruction), ("answer", answer)):
            if text.endswith(COLONS):
                yield Drop("ends-with-colon", f"the {name} ends with {text[-20:]!r}")


def _is_odd_beginning(character: str, english: bool) -> bool:
    if english:
        return character in string.punctuation
    kind = unicodedata.category(character)
    # Ps and Pi open a bracket or a quotation; some quotation marks are of no direction
    return kind[0] in "PS" and kind not in ("Ps", "Pi") and character not in "\"'¿¡"


def _question_and_answer(record: Record) -> tuple[bytes, bytes] | None:
    if record.kind is not Kind.CONVERSATION:
        return None
    prompt, (response,) = parts(record)
    return _digest(prompt), _digest(response)


def _digest(turns: Sequence[Message]) -> bytes:
    said = json.dumps([[turn["role"], turn["content"].strip()] for turn in turns], ensure_ascii=False)
    return hashlib.blake2b(said.encode(), digest_size=16).digest()


def _contradictions(pairs: Iterator[tuple[bytes, bytes] | None]) -> dict[int, int]:
    """Row to the first row that answers the same prompt otherwise."""
    asked: dict[bytes, list[tuple[int, bytes]]] = {}
    for row, pair in enumerate(pairs):
        if pair is not None:
            asked.setdefault(pair[0], []).append((row, pair[1]))
    against: dict[int, int] = {}
    for rows in asked.values():
        first, answer = rows[0]
        other = next((row for row, said in rows if said != answer), None)
        if other is not None:
            against.update((row, first if said != answer else other) for row, said in rows)
    return against
