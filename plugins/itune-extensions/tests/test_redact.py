"""Masking: nothing planted survives, nothing else changes, and once is enough."""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from itune_core.api import Drop, Failed, Kind, Record, Used, example, message, preference, text
from itune_core.api.records import SCHEMAS
from itune_core.plugins.session import wraps
from itune_extensions.masking import KINDS, Masker
from itune_extensions.redact import Redact

DATA = Path(os.environ.get("ITUNE_TEST_DATA") or Path(__file__).parents[4] / "shared" / "data")

PLANTS = {
    "email": st.builds(
        "{}@{}.{}".format,
        st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._+-]{0,12}[A-Za-z0-9])?", fullmatch=True),
        st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True),
        st.sampled_from(["org", "com", "co.uk", "de", "io"]),
    ),
    "phone": st.builds(
        "{}{:04d}".format, st.sampled_from(["+1 212 555 ", "(415) 555-", "+1-650-555-"]), st.integers(0, 9999)
    ),
    "card": st.sampled_from(["4111111111111111", "4111 1111 1111 1111", "5555-5555-5555-4444", "378282246310005"]),
    "key": st.builds(
        str.__add__, st.sampled_from(["ghp_", "hf_"]), st.from_regex(r"[A-Za-z]{35}[0-9]{5}", fullmatch=True)
    ),
}
plants = st.one_of(*(st.tuples(st.just(kind), plant) for kind, plant in PLANTS.items()))
words = st.text("abcdefghij éüß日本語.,;:!?\n", max_size=30)


def masker(*kinds: Any, regions: tuple[str, ...] = ("US",)) -> Masker:
    return Masker(kinds or KINDS, "[{kind}]", regions)


@given(st.lists(st.tuples(words, plants), max_size=5), words)
@settings(max_examples=200, deadline=None)
def test_nothing_planted_survives_and_the_rest_stays(parts: list[tuple[str, tuple[str, str]]], last: str) -> None:
    mask = masker()
    masked = mask.text("".join(f"{before} |{plant}| " for before, (_, plant) in parts) + last)
    for _, (_, plant) in parts:
        assert plant not in masked
    expected = "".join(f"{before} |[{kind.upper()}]| " for before, (kind, _) in parts) + last
    assert masked == expected
    assert mask.text(masked) == masked
    assert sum(mask.found.values()) == len(parts)


@given(st.text(max_size=300))
@settings(max_examples=300, deadline=None)
def test_once_is_enough_for_any_text(content: str) -> None:
    once = masker().text(content)
    assert masker().text(once) == once


@given(st.text("0123456789+-. ()[]@:/ab\n", max_size=120))
@settings(max_examples=300, deadline=None)
def test_once_is_enough_for_texts_of_digits(content: str) -> None:
    regions = ("US", "GB", "DE")
    once = masker(regions=regions).text(content)
    again = masker(regions=regions)
    assert again.text(once) == once
    assert not again.found.total()


@given(words)
def test_a_text_without_any_is_the_same_object(content: str) -> None:
    assert masker().text(content) is content


def test_every_text_of_a_record_is_masked() -> None:
    secret = "ann@example.org"
    calls = json.dumps([{"name": "pay", "arguments": {"card": 4111111111111111, "to": secret, "password": "hunter2"}}])
    record = preference(
        [message("user", f"I am {secret}", name=secret)],
        [message("assistant", f"Hello {secret}", tool_calls=calls)],
        [message("assistant", "Who?", tool_calls='{"broken": ann@example.org')],
        references=[secret, "none"],
        rationale=f"{secret} said so",
        meta=json.dumps({"author": secret, "page": 3}),
        source="mail",
    )
    mask = masker()
    masked = mask.record(record)
    assert secret not in json.dumps(dict(masked))
    assert json.loads(masked["chosen"][0]["tool_calls"])[0]["arguments"] == {
        "card": "[CARD]",
        "to": "[EMAIL]",
        "password": "[KEY]",
    }
    assert masked["references"] == ["[EMAIL]", "none"]
    assert masked["source"] == "mail"
    assert json.loads(masked["meta"]) == {
        "author": "[EMAIL]",
        "page": 3,
        "redacted": {"key": 1, "email": 8, "card": 1},
    }
    assert record["prompt"][0]["content"] == f"I am {secret}", "the original is untouched"
    assert masker().record(masked) is masked


@pytest.mark.parametrize("kind", Kind)
def test_every_column_of_every_kind_that_holds_text_is_masked(kind: Kind) -> None:
    """A text planted in each column, deep inside too: only columns that name things keep it."""
    left_alone = {"id", "kind", "source", "language", "license", "parents", "role", "model"}

    def plant(column: str, shape: Any) -> Any:
        if isinstance(shape, list):
            return [plant(column, shape[0])]
        if isinstance(shape, dict):
            return {name: plant(name, inner) for name, inner in shape.items()}
        return "ann@example.org" if shape == "string" else None

    def kept(column: str, value: Any) -> Iterator[str]:
        if isinstance(value, list):
            for item in value:
                yield from kept(column, item)
        elif isinstance(value, dict):
            for name, item in value.items():
                yield from kept(name, item)
        elif isinstance(value, str) and "ann@example.org" in value:
            yield column

    record = Record(kind, {name: plant(name, shape) for name, shape in SCHEMAS[kind].items()})
    masked = masker().record(record)
    assert {column for name, value in masked.items() for column in kept(name, value)} <= left_alone


@pytest.mark.parametrize("kind", Kind)
def test_a_record_without_any_is_the_same_object(kind: Kind) -> None:
    record = example(kind)
    assert masker().record(record) is record


def test_json_without_any_is_equal_to_the_byte() -> None:
    odd = '{ "a" : 1.50, "b":[true, null,"\\u00e9"] }'
    assert masker().json(odd) is odd


def test_meta_that_has_no_place_for_counts_keeps_its_form() -> None:
    record = text("ann@example.org", meta="[1, 2]")
    assert masker().record(record)["meta"] == "[1, 2]"
    assert masker().record(record)["text"] == "[EMAIL]"


def test_only_who_masks_phone_numbers_depends_on_the_numbering_plans() -> None:
    assert Redact(Redact.Config()).depends_on() == ("phonenumbers",)
    assert Redact(Redact.Config(kinds=["email", "card", "key"])).depends_on() == ()


def test_only_what_is_chosen_is_masked() -> None:
    content = "ann@example.org (212) 555-0123 4111111111111111"
    assert masker("email").text(content) == "[EMAIL] (212) 555-0123 4111111111111111"
    assert masker("phone", "card").text(content) == "ann@example.org [PHONE] [CARD]"
    assert Masker(["email"], "<GONE>", ()).text(content).startswith("<GONE> (")
    assert masker(regions=()).text("(212) 555-0123 +1 212 555 0123") == "(212) 555-0123 [PHONE]"


@pytest.mark.parametrize(
    "wrong",
    [
        {"mask": "xxx"},
        {"mask": '["]'},
        {"mask": "[a@b.org]"},
        {"mask": "[5]"},
        {"kinds": []},
        {"kinds": ["name"]},
        {"regions": ["USA"]},
        {"unknown": 1},
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Redact.Config(**wrong)


def test_drops_and_failures_pass_in_their_order() -> None:
    passing = [("f:1", Drop("short", "four words")), ("f:2", Failed("E-DATA-001", "bad"))]
    rows = [*passing[:1], ("f:3", text("ann@example.org")), *passing[1:], ("f:4", text("fine"))]
    redact = Redact(Redact.Config())
    given_back = list(redact._redacted(iter(rows)))
    assert [where for where, _ in given_back] == ["f:1", "f:3", "f:2", "f:4"]
    assert given_back[0][1] is passing[0][1]
    assert given_back[2][1] is passing[1][1]
    assert given_back[3][1] is rows[3][1]


def test_what_drops_and_failures_say_of_a_row_is_masked_and_counted() -> None:
    redact = Redact(Redact.Config())
    said = [
        Drop("short", "only ann@example.org"),
        Used("cut", "by ann@example.org"),
        Failed("E-DATA-001", "no role ann@example.org (212) 555-0123"),
    ]
    masked = [outcome for _, outcome in redact._redacted((f"f:{row}", outcome) for row, outcome in enumerate(said))]
    assert masked == [
        Drop("short", "only [EMAIL]"),
        Used("cut", "by [EMAIL]"),
        Failed("E-DATA-001", "no role [EMAIL] [PHONE]"),
    ]
    (counts,) = redact._table.values()
    assert +counts == {"email": 3, "phone": 1}


def test_a_ledger_holds_no_original(run: Callable[..., Any]) -> None:
    """A formatter's message quotes what it could not read."""
    recipe = """
itune: 1
name: small
steps:
  rows: {uses: formatters/messages, with: {path: rows.jsonl}, max_failed: 0.9}
"""
    good = {"messages": [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Hello."}]}
    bad = {"messages": [{"role": "ann@example.org", "content": "Hello."}]}
    stored = []
    for extensions in ({}, {"redact": {}}):
        done = run(extensions, [good, bad], recipe=recipe)
        files = [path for path in done.outcome.artifacts["rows"].folder.rglob("*") if path.is_file()]
        stored.append(b"".join(path.read_bytes() for path in files))
    assert b"ann@example.org" in stored[0], "else nothing is shown below"
    assert b"ann@example.org" not in stored[1]
    assert b"[EMAIL]" in stored[1]


def test_it_is_lazy() -> None:
    def endless() -> Iterator[Any]:
        while True:
            yield "f:1", text("ann@example.org")

    first = next(Redact(Redact.Config())._redacted(endless()))
    assert first[1]["text"] == "[EMAIL]"  # type: ignore[index]


def test_a_run_stores_no_original_and_says_how_many(run: Callable[..., Any], ask: Callable[..., Any]) -> None:
    rows = [
        ask("Write to ann@example.org."),
        ask("Plain."),
        ask("Call (212) 555-0123", "bob@example.org"),
        {"output": 7},
    ]
    plain = run({}, rows)
    done = run({"redact": {}}, rows)
    assert done.warnings == []
    keys = [{name: step["key"] for name, step in each.outcome.record.data["steps"].items()} for each in (plain, done)]
    assert keys[0]["rows"] != keys[1]["rows"], "a wrapper enters the key"
    other = run({"redact": {"kinds": ["card"]}}, rows)
    assert other.outcome.record.data["steps"]["rows"]["key"] not in (keys[0]["rows"], keys[1]["rows"])
    artifact = done.outcome.artifacts["rows"].folder
    stored = b"".join(path.read_bytes() for path in artifact.rglob("*") if path.is_file())
    assert b"[EMAIL]" in stored
    assert not re.search(rb"ann@|bob@|555-0123", stored)
    note = done.note("redact")
    assert note["columns"] == ["step", "records", "changed", "key", "email", "card", "phone"]
    assert note["rows"] == [["rows", 3, 2, 0, 2, 0, 1]]
    counts = done.outcome.record.data["steps"]["rows"]["counts"]
    assert (counts["used"], sum(counts["failed"].values())) == (3, 1)


def test_it_wraps_formatters_only() -> None:
    assert wraps(Redact, "formatters")
    assert not any(wraps(Redact, stage) for stage in ("generators", "filters", "scorers", "trainers", "evaluators"))


def _real(name: str, count: int) -> list[str]:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"no real rows at {path}")
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        rows = [json.loads(line) for _, line in zip(range(count), stream, strict=False)]
    return ["\n".join(str(value) for value in row.values()) for row in rows]


@pytest.mark.parametrize(
    ("name", "count", "most"),
    [
        ("dolly/dolly_3k.jsonl.gz", 1000, 2),
        ("gsm8k/train_500.jsonl.gz", 500, 0),
        ("hh_rlhf/helpful_base_1000.jsonl.gz", 1000, 2),
    ],
)
def test_real_rows_are_hardly_ever_touched(name: str, count: int, most: int) -> None:
    """Rows of instruction data hold few such things: what is masked beyond a handful would be a mistake of ours."""
    mask = masker()
    contents = _real(name, count)
    changed = [content for content in contents if mask.text(content) != content]
    assert len(contents) == count
    assert len(changed) <= most, [content[:200] for content in changed]


def test_what_real_rows_do_hold_is_found() -> None:
    """Texts of the web hold addresses and numbers: as many as were counted by eye, give or take none."""
    mask = masker()
    for content in _real("corpus/c4_demo.jsonl.gz", 300):
        mask.text(content)
    assert mask.found["email"] == 7
    assert mask.found["card"] == mask.found["key"] == 0
