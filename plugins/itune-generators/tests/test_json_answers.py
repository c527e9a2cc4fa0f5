"""What is read of what a model wrote, and what is not, since it would be invented."""

from __future__ import annotations

import json
import re
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from itune_generators.asking.json_answers import UnreadableError, read


class Rated(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reason: str
    rating: int = Field(ge=1, le=5)


class Loose(BaseModel):
    """As little strict as a model can be: what is missing has a default, and what is too much is let be."""

    reason: str = ""
    rating: float | None = None
    items: list[str] = []
    sure: bool | None = None


GOOD = Rated(reason="Short.", rating=4)


@pytest.mark.parametrize(
    "text",
    [
        '{"reason": "Short.", "rating": 4}',
        '  {"rating":4,\n"reason":"Short."}\n',
        'Sure! Here it is:\n\n{"reason": "Short.", "rating": 4}\n\nTell me if you need more.',
        '```json\n{"reason": "Short.", "rating": 4}\n```',
        'The set {1, 2} aside:\n```\n{"reason": "Short.", "rating": 4}\n```\nDone.',
        '{"reason": "Short.", "rating": 4}\n{"reason": "Short.", "rating": 4}',
        'The schema {"type": "object"} asks for {"reason": "Short.", "rating": 4}',
        '{"reason": "Short.", "rating": 4}\nThat is for the set {1, 2}; the rating of {3} would be higher.',
        "{'reason': 'Short.', 'rating': 4}",
        "{reason: 'Short.', rating: 4,}",
        '{"reason": "Short." "rating": 4}',
        '```json\n{"reason": “Short.”, "rating": 4,}\n```',
    ],
)
def test_an_object_is_read_whatever_stands_around_it(text: str) -> None:
    assert read(text, Rated) == GOOD


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"reason": "It says "hello", politely", "rating": 4}', 'It says "hello", politely'),
        ('{"reason": "one\ntwo", "rating": 4}', "one\ntwo"),
        (r'{"reason": "a\tb \u00e9", "rating": 4}', "a\tb é"),
        (r'{"reason": "\d+ digits", "rating": 4,}', r"\d+ digits"),
        ('{"reason": "braces } { and ``` fences", "rating": 4}', "braces } { and ``` fences"),
        ("{'reason': '짧고 明快です。', 'rating': 4}", "짧고 明快です。"),
    ],
)
def test_text_comes_back_as_it_was_written(text: str, reason: str) -> None:
    assert read(text, Rated) == Rated(reason=reason, rating=4)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "no JSON object"),
        ("I would say four.", "no JSON object"),
        ("[1, 2]", "no JSON object"),
        ('{"reason": "Short.", "rating": "4"}', "rating: Input should be a valid integer"),
        ('{"reason": "Short.", "rating": 4.5}', "rating"),
        ('{"reason": "Short.", "rating": 9}', "rating: Input should be less than or equal to 5"),
        ('{"reason": "Short."}', "rating: Field required"),
        ('{"reason": "Short.", "rating": 4, "more": 1}', "more"),
        ('{"reason": "A", "rating": 4} or {"reason": "B", "rating": 2}', "2 different answers"),
        ('{"reason": "A", "rating": 4, "rating": 2}', "a key is there twice"),
        ("{\"reason\": \"A\", \"rating\": 2}\nNo: {'reason': 'B', 'rating': 4}", "another .* cannot be read"),
        ('{"reason": "A", "rating": 2}\nNo: {"reason": "B", "rating": 4', "another .* cannot be read"),
        (
            '{"reason": "A", "rating": 2}\nOf {1, 2}:\n```\n{"reason": "B", "rating": 4}\n```',
            "another .* cannot be read",
        ),
    ],
)
def test_it_says_what_is_wrong(text: str, complaint: str) -> None:
    with pytest.raises(UnreadableError, match=complaint):
        read(text, Rated)


@pytest.mark.parametrize(
    "text",
    [
        '{"reason": "Short.", "rating": 4',  # the end is missing
        '{"reason": "Short',
        '{"rating": 4, "reason": "Short.}',  # the brace may be of the text
        '{"rating": 4, "reason": "Short.}"',
        '{"rating": 4, "reason": "It says \\"}',
        '{"rating": ',
        '{"rating": }',
        '{"items": ["a", "b"',
        '{"a": {"reason": "Short."}',
        '{"rating": 4 out of 5}',  # something is left over
        '{"rating": 4%}',
        '{"rating": 4 5}',
        '{"rating": 4 // hm\n}',
        '{"rating": 4, "rating": 3}',
        '{"reason": "one" "two"}',
        '{"reason": "one", "two", "rating": 4}',
        '{"reason": "Short.", ...}',
        '{"rating": 007}',  # is it 7?
        '{"rating": 1_000}',
        '{"rating": 1,000}',
        '{"rating": 1/2}',
        '{"rating": NaN}',
        '{"rating": 1e999}',
        '{"sure": tru}',
        "{" * 100_000,
        '{"items": ' + "[" * 100_000,
    ],
)
def test_nothing_is_invented_and_nothing_left_out(text: str) -> None:
    """Each of these is an object to a reader that means well, with a value that nobody wrote, or without one."""
    with pytest.raises(UnreadableError):
        read(text, Loose)


def test_a_cut_answer_is_not_mended_and_not_taken_for_whole() -> None:
    mendable = "{'reason': 'Short.', 'rating': 4}"
    assert read(mendable, Rated) == GOOD
    with pytest.raises(UnreadableError, match="cut"):
        read(mendable, Rated, whole=False)
    ended = '{"reason": "Short.", "rating": 4}'
    assert read(f"{ended}\nI chose 4 bec", Rated, whole=False) == GOOD
    with pytest.raises(UnreadableError, match="cut"):
        read(f"{ended}\nOr rather {{", Rated, whole=False)
    with pytest.raises(UnreadableError, match="no JSON object"):
        read("Let me th", Rated, whole=False)


JSON_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(JSON_TEXT, st.integers(1, 5), st.booleans(), st.booleans())
def test_what_is_written_well_comes_back(reason: str, rating: int, ascii_only: bool, spread: bool) -> None:
    written = json.dumps({"reason": reason, "rating": rating}, ensure_ascii=ascii_only, indent=2 if spread else None)
    assert read(written, Rated) == Rated(reason=reason, rating=rating)


@given(JSON_TEXT, st.integers(1, 5), st.data())
def test_no_beginning_of_an_answer_passes_for_it(reason: str, rating: int, data: st.DataObject) -> None:
    """Neither where the backend says that it was cut, nor where a server hangs up and nobody does."""
    written = json.dumps({"rating": rating, "reason": reason}, ensure_ascii=False)
    beginning = written[: data.draw(st.integers(0, len(written) - 1))]
    for whole in (True, False):
        with pytest.raises(UnreadableError):
            read(beginning, Loose, whole=whole)


@given(st.text(st.sampled_from(string.punctuation + " \n0123456789abNonTru"), max_size=60))
@example('"rating": 4 5')
@example("'rating': -12.50, ")
def test_no_text_breaks_it_and_every_number_stands_in_it(text: str) -> None:
    try:
        found = read("{" + text + "}", Loose)
    except UnreadableError:
        return
    if found.rating is not None:
        assert found.rating in map(float, re.findall(r"-?\d+(?:\.\d+)?", text))
