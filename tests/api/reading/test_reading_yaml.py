"""YAML: safe, bounded, and element by element."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from itune_core.api import BadRow, Row, read_rows

Write = Callable[[str, bytes], str]
Seen = Callable[..., list[tuple[str, str]]]


def values(path: str) -> list[dict[str, Any]]:
    rows = list(read_rows([path]))
    assert all(isinstance(row, Row) for row in rows), [row.error for row in rows if isinstance(row, BadRow)]
    return [dict(row) for row in rows if isinstance(row, Row)]


LISTED = b"""# rows
- text: a
  turns: [{role: user}]
- {text: "\xec\x84\xb8", n: 0x10, none: ~, flag: yes, day: 2024-02-29}
-
  text: |
    two
    lines
"""


def test_a_list_of_mappings(write: Write, seen: Seen) -> None:
    path = write("rows.yaml", LISTED)
    assert values(path) == [
        {"text": "a", "turns": [{"role": "user"}]},
        {"text": "세", "n": 16, "none": None, "flag": True, "day": "2024-02-29"},
        {"text": "two\nlines\n"},
    ]
    assert [place for place, _ in seen(path)] == [":2", ":4", ":6"]


def test_documents(write: Write, seen: Seen) -> None:
    path = write("rows.yml", b"text: a\n---\ntext: b\n---\n- text: c\n- text: d\n---\n...\n")
    assert [row["text"] for row in values(path)] == ["a", "b", "c", "d"]
    assert seen(write("words.yaml", b"just words\n")) == [(":1", "E-DATA-007")]


BAD = {
    "a number": (b"- 7\n", "E-DATA-007"),
    "nothing": (b"-\n", "E-DATA-007"),
    "a list": (b"- [1]\n", "E-DATA-007"),
    "a key twice": (b"- {a: 1, a: 2}\n", "E-DATA-014"),
    "a key twice, inside": (b"- {a: [{b: 1, b: 2}]}\n", "E-DATA-014"),
    "a key that is no text": (b"- {a: {1: 2}}\n", "E-DATA-018"),
    "bytes": (b"- {a: !!binary aGk=}\n", "E-DATA-018"),
    "a tag that is not known": (b"- !Template {a: 1}\n", "E-DATA-017"),
    "a tag that makes objects": (b"- {a: !!python/object/apply:os.getcwd []}\n", "E-DATA-017"),
    "a day that is none": (b"- {a: 2024-02-31}\n", "E-DATA-017"),
    "an integer of 5000 digits": (b"- {a: " + b"1" * 5000 + b"}\n", "E-DATA-017"),
    "a NUL byte": (b'- {a: "x\0y"}\n', "E-DATA-008"),
    "a control character": (b'- {a: "x\x07y"}\n', "E-DATA-017"),
    "not UTF-8": (b"- {a: caf\xe9}\n", "E-DATA-009"),
    "an alias of another row": (b"- {a: *first}\n", "E-DATA-017"),
    "an alias of itself": (b"- &self {a: *self}\n", "E-DATA-017"),
    "nested too deeply": (b"- {a: " + b"[" * 3000 + b"]" * 3000 + b"}\n", "E-DATA-017"),
    "aliases of aliases": (
        b"- {a0: &a0 xxxxxxxxxx, "
        + b", ".join(b"a%d: &a%d [%s]" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 10)) for n in range(1, 10))
        + b"}\n",
        "E-DATA-004",
    ),
    "one long text": (b"- " + b"x" * 5_000_000 + b"\n", "E-DATA-004"),
    "too long": (b"- {a: [" + b"xxxxxxx, " * 700_000 + b"x]}\n", "E-DATA-004"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_element_is_bad_alone(name: str, write: Write, seen: Seen) -> None:
    element, code = BAD[name]
    path = write("rows.yaml", b"- &first {text: good}\n" + element + b"- text: good\n")
    assert seen(path) == [(":1", "good"), (":2", code), (":3", "good")]


def test_an_alias_within_a_row(write: Write) -> None:
    path = write("rows.yaml", b"- {a: &x {n: 1}, b: *x, c: {<<: *x, m: 2}}\n")
    assert values(path) == [{"a": {"n": 1}, "b": {"n": 1}, "c": {"n": 1, "m": 2}}]


def test_where_the_grammar_is_lost_reading_ends(write: Write, seen: Seen) -> None:
    assert seen(write("rows.yaml", b"- text: a\n- text: [b\n- text: c\n")) == [(":1", "good"), (":3", "E-DATA-017")]


def test_a_quote_that_is_never_closed_is_not_held(write: Write, seen: Seen) -> None:
    path = write("rows.yaml", b'- text: a\n- text: "' + b"x y\n  " * 4_000_000)
    assert [code for _, code in seen(path)] == ["good", "E-DATA-004"]


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@given(rows=st.lists(st.dictionaries(TEXT, VALUES, min_size=1, max_size=4), min_size=1, max_size=4), flow=st.booleans())
def test_the_values_are_those_of_the_safe_loader(
    rows: list[dict[str, Any]], flow: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("rows") / "rows.yaml"
    spelt = yaml.safe_dump(rows, default_flow_style=flow, allow_unicode=True)
    path.write_text(spelt, "utf-8", newline="")
    assert values(str(path)) == yaml.safe_load(spelt)  # which is `rows`, but for some line breaks of Unicode


def test_real_templates_fail_by_their_tags_alone(real: Path) -> None:
    (row,) = read_rows([str(real / "promptsource" / "imdb" / "templates.yaml")])
    assert isinstance(row, BadRow)
    assert "!Template" in row.error.what
