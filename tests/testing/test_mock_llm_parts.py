"""The test server's reader of HTTP/1.1, and its instances of schemas: parts that are used without a socket."""

from __future__ import annotations

import json
import random
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_core.testing.mock_llm.http1 import MAX_HEAD, BadRequest, Reader, Request
from itune_core.testing.mock_llm.instances import SchemaError, instance
from itune_core.testing.mock_llm.prose import tokens, write
from itune_core.testing.mock_llm.seen import KEPT, KEPT_BYTES, Memory, Seen

SIZED = (
    b"POST /v1/files?purpose=x HTTP/1.1\r\nHost: localhost\r\nX-A:  b \r\nContent-Length: 12\r\n\r\nhello\r\n\r\nyou"
)
CHUNKED = b"POST /a%20b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;x=1\r\nhello\r\n1\r\n!\r\n0\r\n\r\n"
CLOSING = b"GET /stats HTTP/1.1\r\nConnection: close\r\n\r\n"


def read(*pieces: bytes) -> list[Request]:
    reader, found = Reader(), []
    for piece in pieces:
        reader.feed(piece)
        while (request := reader.next()) is not None:
            found.append(request)
    return found


@given(st.lists(st.integers(0, len(SIZED + CHUNKED + CLOSING)), max_size=8))
def test_requests_are_the_same_however_their_bytes_arrive(cuts: list[int]) -> None:
    data = SIZED + CHUNKED + CLOSING
    places = [0, *sorted(cuts), len(data)]
    pieces = [data[start:end] for start, end in pairwise(places)]
    one, two, three = read(*pieces)
    assert (one.method, one.path, one.body) == ("POST", "/v1/files", b"hello\r\n\r\nyou")
    assert one.headers == {"host": "localhost", "x-a": "b", "content-length": "12"}
    assert (two.path, two.body) == ("/a b", b"hello!")
    assert [request.keep_alive for request in (one, two, three)] == [True, True, False]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /\r\n\r\n", 400),
        (b"GET / HTTP/2\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nname : blank before the colon\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: \xb2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n" + b"0" * (MAX_HEAD + 1), 400),
        (b"GET / HTTP/1.1\r\nA: " + b"a" * MAX_HEAD, 431),
    ],
    ids=lambda value: value[:40].decode("latin-1") if isinstance(value, bytes) else str(value),
)
def test_what_is_no_request_is_refused(data: bytes, status: int) -> None:
    with pytest.raises(BadRequest) as caught:
        read(data)
    assert caught.value.status == status


def test_a_body_that_waits_is_asked_for() -> None:
    reader = Reader()
    reader.feed(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert reader.next() is None
    assert reader.waits_to_continue
    reader.feed(b"ok")
    request = reader.next()
    assert request is not None
    assert request.body == b"ok"
    assert not reader.waits_to_continue


@given(st.text())
def test_tokens_joined_are_the_text(text: str) -> None:
    assert "".join(tokens(text)) == text


@given(st.text(), st.integers())
def test_there_is_a_text_for_every_question(question: str, seed: int) -> None:
    text = write(random.Random(seed), question)
    assert text == write(random.Random(seed), question)
    assert len(text.split()) >= 6
    assert "{" not in text


SCHEMAS: list[tuple[Any, Any]] = [
    ({"const": 3}, lambda value: value == 3),
    ({"enum": ["a", None]}, lambda value: value in ("a", None)),
    ({"type": ["integer", "null"]}, lambda value: value is None or type(value) is int),
    ({"type": "integer", "minimum": 3, "exclusiveMaximum": 5}, lambda value: value in (3, 4)),
    ({"type": "integer", "exclusiveMinimum": 3, "maximum": 4}, lambda value: value == 4),
    ({"type": "integer", "minimum": 10, "multipleOf": 7}, lambda value: value >= 10 and value % 7 == 0),
    ({"type": "number", "minimum": 0.1, "maximum": 0.2}, lambda value: 0.1 <= value <= 0.2),
    ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, lambda value: 0 < value < 1),
    ({"type": "number", "minimum": 0.3, "maximum": 0.9, "multipleOf": 0.25}, lambda value: value in (0.5, 0.75)),
    ({"type": "number", "maximum": -5}, lambda value: value <= -5),
    ({"type": "string", "minLength": 50, "maxLength": 55}, lambda value: 50 <= len(value) <= 55),
    ({"type": "string", "maxLength": 0}, lambda value: value == ""),
    ({"type": "string", "format": "date"}, lambda value: value == "2024-02-29"),
    ({"type": "array", "minItems": 2, "maxItems": 3, "items": {"type": "boolean"}}, lambda value: len(value) in (2, 3)),
    (
        {"type": "array", "uniqueItems": True, "minItems": 3, "items": {"enum": [1, 2, 3]}},
        lambda value: sorted(value) == [1, 2, 3],
    ),
    (
        {"type": "array", "prefixItems": [{"const": 1}, {"const": 2}], "items": False, "minItems": 2},
        lambda value: value == [1, 2],
    ),
    ({"type": "object", "required": ["x"], "additionalProperties": {"const": 1}}, lambda value: value == {"x": 1}),
    ({"type": "object", "minProperties": 2}, lambda value: len(value) == 2),
    ({"anyOf": [{"type": "string", "pattern": "x"}, {"const": 1}]}, lambda value: value == 1),
    ({"anyOf": [{"minimum": 3}, {"minimum": 4}], "type": "integer", "maximum": 4}, lambda value: value in (3, 4)),
    (
        {
            "allOf": [{"$ref": "#/$defs/a~1b"}, {"properties": {"y": {"const": 2}}}],
            "$defs": {"a/b": {"properties": {}}},
        },
        lambda value: value == {"y": 2},
    ),
    (True, lambda value: isinstance(value, str)),
]


@pytest.mark.parametrize(
    ("schema", "good"), SCHEMAS, ids=lambda value: "" if callable(value) else json.dumps(value)[:50]
)
def test_instances_are_what_their_schema_says(schema: Any, good: Any) -> None:
    found = [instance(schema, random.Random(seed)) for seed in range(40)]
    assert all(map(good, found)), found


TREE = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
                "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
            },
            "required": ["children", "next"],
        }
    },
}


@pytest.mark.parametrize("seed", range(20))
def test_what_holds_itself_ends(seed: int) -> None:
    def check(node: Any) -> None:
        assert {*node} == {"children", "next"}
        for child in (*node["children"], *([] if node["next"] is None else [node["next"]])):
            check(child)

    check(instance(TREE, random.Random(seed)))


ENDLESS = {"properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}, "required": ["a", "b"], "type": "object"}


@pytest.mark.parametrize(
    "schema",
    [
        ENDLESS,
        {"anyOf": [ENDLESS, {"anyOf": [ENDLESS, ENDLESS]}]},
        {"$ref": "#"},
        {"$ref": "#/$defs/absent"},
        {"$ref": "https://example.org/schema"},
        {"type": "tuple"},
        {"type": "string", "format": "color"},
        {"type": "string", "minLength": 3, "maxLength": 2},
        {"type": "integer", "minimum": 1, "maximum": 0},
        {"type": "integer", "minimum": "1"},
        {"type": "object", "required": ["x"], "additionalProperties": False},
        {"enum": []},
        {"not": {"type": "string"}},
        {"allOf": [{"type": "string"}, {"type": "integer"}]},
        {"allOf": [{"$ref": "#"}]},
        {"allOf": 3},
        {"type": "string", "minLength": "3"},
        {"type": "string", "minLength": 10**9},
        {"type": "string", "format": []},
        {"type": "array", "maxItems": "3"},
        {"type": "array", "prefixItems": 3},
        {"type": "integer", "multipleOf": "3"},
        {"type": "number", "multipleOf": 1e-320},
        {"type": "object", "minProperties": "3"},
        {"type": "object", "required": [{}]},
        7,
    ],
    ids=lambda schema: json.dumps(schema)[:50],
)
def test_what_cannot_be_held_to_is_refused(schema: Any) -> None:
    with pytest.raises(SchemaError):
        instance(schema, random.Random(0))


@pytest.mark.parametrize(("size", "kept"), [(0, KEPT), (KEPT_BYTES // 4, 4), (KEPT_BYTES, 1), (KEPT_BYTES + 1, 1)])
def test_the_newest_requests_are_remembered_as_far_as_there_is_room(size: int, kept: int) -> None:
    memory, body = Memory(), bytes(size)
    for number in range(kept + 3):
        memory.add(Seen("POST", f"/{number}", body, 200, None))
    assert [seen.path for seen in memory] == [f"/{number}" for number in range(3, kept + 3)]
    memory.add(Seen("GET", "/last", b"", 200, None))
    assert [seen.path for seen in memory][-1] == "/last"
    assert sum(len(seen.body) for seen in memory) <= KEPT_BYTES


def test_only_a_request_that_fills_the_memory_alone_is_remembered_beyond_it() -> None:
    memory = Memory()
    for _ in range(2):
        memory.add(Seen("POST", "/v1/files", bytes(KEPT_BYTES + 1), 200, None))
    assert len(list(memory)) == 1
