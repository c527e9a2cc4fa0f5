"""What acts unseen is spelled out, what people read stays."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_core.report.escapes import safe, safe_json

ANY_TEXT = st.text(st.characters())


@given(ANY_TEXT)
def test_nothing_that_acts_is_left(text: str) -> None:
    left = [char for char in safe(text) if unicodedata.category(char) in ("Cc", "Cs") and char not in "\t\n"]
    assert left == []
    assert not {"\u202e", "\u2066", "\u200b", "\ufeff"} & set(safe(text))
    assert safe(safe(text)) == safe(text)


@pytest.mark.parametrize("text", ["Grüße", "שלום", "می‌خواهم", "👩‍👩‍👧", "a\tb\nc", "\\x1b", "😀", "क्‍ष"])
def test_what_people_write_stays(text: str) -> None:
    assert safe(text) == text


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | ANY_TEXT,
        lambda inner: st.lists(inner) | st.dictionaries(ANY_TEXT, inner),
    )
)
def test_json_is_safe_and_reads_back_unchanged(value: object) -> None:
    text = safe_json(value)
    assert safe(text) == text
    assert json.loads(text) == value
