"""The key: shown to nobody, in whatever way a server spells it."""

from __future__ import annotations

import itertools
import json
import logging
import string
import threading
from concurrent.futures import Future
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_backends.remote.admission import Admission
from itune_backends.remote.client import Client
from itune_backends.remote.faults import json_object
from itune_backends.remote.key import MARK, Key, Unlogged
from itune_backends.remote.spending import Spending
from itune_backends.remote.trying import Patience
from itune_core.api import ItuneError, Spent


def test_a_key_is_read_and_shows_itself_to_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("SOME_KEY", " secret-1 \n")
    (tmp_path / "key").write_text("secret-2\n")
    for written, held in (("env:SOME_KEY", "secret-1"), (f"file:{tmp_path}/key", "secret-2")):
        key = Key(written)
        assert key.header() == f"Bearer {held}"
        assert held not in repr(key)
        assert key.hidden(f"wrong key: {held}!") == "wrong key: [key]!"


@pytest.mark.parametrize("written", ["env:NOT_SET", "file:/nowhere/key", "env:EMPTY", "env:TWO", "env:WIDE", "sk-open"])
def test_what_cannot_be_a_key_is_said_without_it(written: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"EMPTY": " ", "TWO": "sk-open sk-open", "WIDE": "sk-opeñ"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ItuneError, match="E-BACKEND-020") as caught:
        Key(written)
    assert "sk-" not in str(caught.value)


KEYS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=16).filter(
    lambda key: key[0] not in string.hexdigits + "nrtu/"  # such a key may begin within the escape before it
)


@given(KEYS, st.text(), st.booleans())
def test_no_json_spells_a_key(key: str, around: str, ascii_only: bool) -> None:
    read = given_as(key)
    said = {"text": f"{around}{key}{around}", key: [key]}
    for body in (json.dumps(said, ensure_ascii=ascii_only), json.dumps(said).replace("/", "\\/")):
        found = json_object(read.out_of(body.encode("utf-8", "surrogatepass")))
        assert key not in found["text"]
        assert found.keys() == {"text", MARK}


@given(KEYS, st.lists(st.sampled_from("pul"), min_size=1))
def test_no_address_spells_a_key(key: str, ways: list[str]) -> None:
    """Each character as it is, or by its number, in either case."""
    spelt = "".join(
        {"p": each, "u": f"%{ord(each):02X}", "l": f"%{ord(each):02x}"}[way]
        for each, way in zip(key, itertools.cycle(ways), strict=False)
    )
    assert given_as(key).hidden(f"https://host/?{spelt}&") == f"https://host/?{MARK}&"


@given(KEYS)
def test_no_log_of_headers_spells_a_key(key: str) -> None:
    unlogged = Unlogged(given_as(key))
    try:
        for value in (key, f"'{key}\""):
            record = logging.LogRecord("httpcore.http11", 10, "", 0, "%r", ([(b"X", value.encode())],), None)
            assert unlogged.filter(record)
            assert record.getMessage().count(MARK) == 1
    finally:
        unlogged.remove()


def given_as(key: str) -> Key:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THE_KEY", key)
        return Key("env:THE_KEY")


def client(key: str) -> Client:
    return Client(
        "http://127.0.0.1:1/v1", given_as(key), Admission(1, None, None), Spending(Spent()), Patience(1.0, 0, 1.0)
    )


def test_a_complaint_in_a_file_is_told_without_the_key() -> None:
    one = client("EMPTY")
    try:
        assert one.told({"error": {"message": "EMPTY is no key"}}) == f"{MARK} is no key"
    finally:
        one.close()


def test_an_end_that_is_interrupted_is_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    one, loggers = client("sk-0123456789"), [logging.getLogger(name) for name in Unlogged.LOGGERS]

    result = Future.result

    def interrupted(self: Future[None]) -> None:
        result(self)
        raise KeyboardInterrupt

    assert all(logger.filters for logger in loggers)
    monkeypatch.setattr(Future, "result", interrupted)
    with pytest.raises(KeyboardInterrupt):
        one.close()
    assert not any(logger.filters for logger in loggers)
    assert not any(thread.name.startswith("requests to") for thread in threading.enumerate())


def test_a_connection_that_cannot_be_closed_leaves_none_open(monkeypatch: pytest.MonkeyPatch) -> None:
    one, closed = client("sk-0123456789"), []

    async def aclose(connection: Any) -> None:
        closed.append(connection)
        if len(closed) == 1:
            raise RuntimeError("it cannot be closed")

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "aclose", aclose)
    one._transport._idle += [one._transport._connection() for _ in range(2)]
    with pytest.raises(RuntimeError):
        one.close()
    assert len(closed) == 3
