"""Records are embedded by one path: the same texts, whoever asks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from itune_core.api import (
    Embed,
    Failed,
    Kind,
    Record,
    Reply,
    Request,
    Vectors,
    conversation,
    embedded,
    example,
    message,
    prompt,
    text,
)
from itune_core.testing import BenchContext

TALK = conversation([message("system", "be brief"), message("user", "why?"), message("assistant", "so")])


class Model:
    """Answers with the length of the text and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def __call__(self, request: Request) -> Reply | Failed:
        assert isinstance(request, Embed)
        [text] = request.texts
        self.asked.append((request.model, text))
        return Failed("E-BACKEND-005", "too long") if text == "long" else Vectors([[float(len(text)), 0.0]])


def rows(*records: Record) -> list[Record]:
    return [record.replace(id=f"r{number}") for number, record in enumerate(records)]


@pytest.mark.parametrize(
    ("on", "first_characters", "asked"),
    [
        ("all", None, "why?\nso"),
        ("prompt", None, "why?"),
        ("response", None, "so"),
        ("all", 6, "why?\ns"),
    ],
)
def test_what_a_model_is_asked(tmp_path: Path, on: str, first_characters: int | None, asked: str) -> None:
    model = Model()
    context = BenchContext(tmp_path, reply=model)
    [vector] = embedded(rows(TALK), context, model="m", on=on, first_characters=first_characters)  # type: ignore[arg-type]
    assert model.asked == [("m", asked)]
    assert not isinstance(vector, Failed)
    assert (vector.dtype, vector.tolist()) == (np.float32, [len(asked), 0.0])


def test_a_record_without_text_or_an_answer_of_the_model_fails_alone(tmp_path: Path) -> None:
    model = Model()
    given = rows(
        text("one"),
        example(Kind.PROMPT),
        text("long"),
        prompt([message("user", " \n")]),
        text("\n\n three"),
        text("four"),
    )
    context = BenchContext(tmp_path, reply=model)
    found = list(embedded(given, context, model="m", on="response", first_characters=4))
    assert [item.code if isinstance(item, Failed) else item.tolist() for item in found] == [
        [3.0, 0.0],
        "E-DATA-037",
        "E-BACKEND-005",
        "E-DATA-037",
        [4.0, 0.0],
        [4.0, 0.0],
    ]
    [blank, cut] = embedded([given[3], given[4]], context, model="m", on="prompt", first_characters=2)
    assert blank == Failed(
        "E-DATA-038", "the prompt of the record is blank: there is nothing to embed: its first 2 characters are read"
    )
    assert isinstance(cut, Failed)
    assert cut.code == "E-DATA-038"
    assert ("m", "\n\n") not in model.asked
