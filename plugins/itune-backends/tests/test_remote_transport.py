"""What a server may send: no more than fits, under a certificate that is trusted, and never the key."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import os
import ssl
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import trustme

from itune_backends.openai_backend import OpenAI
from itune_backends.remote.faults import Fault
from itune_backends.remote.key import MARK
from itune_backends.remote.transport import Transport
from itune_backends.remote.trust import distrust
from itune_core.api import Answer, Ask, Failed, ModelError, message

SECRET = "sk-proj/t0p+secret~0123456789=="
Opening = Callable[..., OpenAI]
Reply = Callable[[BaseHTTPRequestHandler, bytes], None]
"""Writes the reply to a request, of which it is given the body."""


@contextmanager
def served(reply: Reply, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """The base URL of a server that replies so, while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            reply(self, self.rfile.read(int(self.headers.get("Content-Length", 0))))

        do_GET = do_CONNECT = do_POST

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A client that goes in the middle of a reply, or of a handshake, is no news."""

        def finish_request(self, request: object, client_address: object) -> None:
            """The handshake, too, is done in the thread of the connection."""
            if tls is not None:
                request = tls.wrap_socket(request, server_side=True)  # type: ignore[call-overload]
            super().finish_request(request, client_address)  # type: ignore[arg-type]

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()


def told(handler: BaseHTTPRequestHandler, status: int, body: bytes, reason: str | None = None, **headers: str) -> None:
    """Send a whole response; in names of headers, `_` stands for a hyphen."""
    handler.send_response(status, reason)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


@pytest.fixture
def reach(monkeypatch: pytest.MonkeyPatch) -> Iterator[Opening]:
    """Opens a backend on a server that replies so; the test's end closes both."""
    with ExitStack() as stack:

        def make(reply: Reply, tls: ssl.SSLContext | None = None, key: str = SECRET, **settings: Any) -> OpenAI:
            monkeypatch.setenv("THE_KEY", key)
            url = stack.enter_context(served(reply, tls))
            how = {"model": "m", "base_url": url, "api_key": "env:THE_KEY", "timeout": 20.0, **settings}
            backend = OpenAI(OpenAI.Config(**how))
            backend.open(None)
            stack.callback(backend.close)
            return backend

        yield make


def ask(backend: OpenAI) -> Any:
    """The reply to a question, or the error in its place."""
    future = backend.submit(Ask("m", [message("user", "Why?")]), 0)
    return future.exception(timeout=60) or future.result()


def completed(text: str) -> bytes:
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return json.dumps({"choices": [choice], "usage": {"prompt_tokens": 7, "completion_tokens": 2}}).encode()


def endless(sent: list[int], status: int) -> Reply:
    """A body without an end, in which no answer is; adds up what was taken of it."""

    def reply(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        handler.send_response(status)
        handler.end_headers()
        sent.append(0)
        while sent[-1] < 200 * 2**20:
            handler.wfile.write(b" " * 2**16)
            sent[-1] += 2**16

    return reply


def test_a_body_without_an_end_is_not_read_to_its_end_and_not_asked_for_again(
    reach: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("itune_backends.remote.transport.LONGEST", 2 * 2**20)
    sent: list[int] = []
    backend = reach(endless(sent, 200))
    failed = ask(backend)
    assert isinstance(failed, Failed)
    assert (failed.code, failed.message) == ("E-BACKEND-026", "no usable answer in 1 try: 1 × body over 2 MiB")
    assert backend.figures()["fault_body_over_2_mib"] == 1
    assert len(sent) == 1
    assert sent[0] < 50 * 2**20  # what there is room for in the sockets between


def test_a_refusal_without_an_end_is_a_refusal_without_words(reach: Opening, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("itune_backends.remote.transport.LONGEST", 2 * 2**20)
    sent: list[int] = []
    failed = ask(reach(endless(sent, 400)))
    assert (failed.code, failed.message, len(sent)) == ("E-BACKEND-025", "the server refused the request with 400: ", 1)
    assert sent[0] < 50 * 2**20


def test_what_few_bytes_may_unpack_to_is_not_found_out(reach: Opening) -> None:
    seen: list[str | None] = []

    def reply(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        seen.append(handler.headers["Accept-Encoding"])
        told(handler, 200, gzip.compress(completed("Because.")), Content_Encoding="gzip")

    failed = ask(reach(reply))
    assert "1 try: 1 × compressed body" in failed.message  # the next would be as compressed, and cost as much
    assert seen == ["identity"]


@pytest.mark.parametrize("key", [SECRET, "x", "EMPTY"])
def test_a_complaint_is_learnt_from_however_long_it_is_and_whatever_the_key(reach: Opening, key: str) -> None:
    def reply(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        if "max_tokens" in json.loads(body):
            complaint = {"message": "Unsupported: max_tokens, use max_completion_tokens", "input": "word " * 40_000}
            told(handler, 400, json.dumps({"error": complaint}).encode())
        elif "seed" in json.loads(body):
            told(handler, 429, json.dumps({"error": {"type": "insufficient_quota", "message": f"key {key}"}}).encode())

    error = ask(reach(reply, key=key))
    assert (error.code, error.why) == ("E-BACKEND-021", f"the server said 429: {'key'.replace(key, MARK)} {MARK}")


def test_a_number_that_a_server_gives_a_batch_may_be_of_any_characters(
    reach: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("itune_backends.remote.batches.QUIET", 0.1)
    asked: list[str] = []

    def reply(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        asked.append(handler.path.partition("?")[0])
        batch = {"id": "a/\u0007 b", "status": "completed", "output_file_id": "\u0007?"}
        listed = asked[-1] == "/v1/batches" and handler.command == "GET"
        told(handler, 200, json.dumps({"data": []} if listed else batch).encode())

    assert ask(reach(reply, batch=True, max_retries=0)).code == "E-BACKEND-026"
    assert asked[3:5] == ["/v1/batches/a%2F%07%20b", "/v1/files/%07%3F/content"]


@pytest.mark.parametrize("large", [True, False])
def test_what_is_read_by_lines_may_take_long_if_it_comes(large: bool) -> None:
    def reply(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "10")
        handler.end_headers()
        for _ in range(5):
            handler.wfile.write(b"x\n")
            handler.wfile.flush()
            time.sleep(0.6)

    found: list[tuple[bytes, bool]] = []

    async def taken(url: str) -> None:
        transport = Transport(url, None, 2.0)
        try:
            await transport.request("POST", "", line=(lambda *line: found.append(line)) if large else None)
        finally:
            await transport.close()

    with served(reply) as url:
        if large:
            asyncio.run(taken(url))
            assert found == [(b"x", True)] * 5 + [(b"", True)]
        else:
            with pytest.raises(Fault, match="time-out"):
                asyncio.run(taken(url))


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def proving(authority: trustme.CA, name: str) -> ssl.SSLContext:
    """What a server of that name speaks TLS with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def because(handler: BaseHTTPRequestHandler, _: bytes) -> None:
    told(handler, 200, completed("Because."))


def trusting(authority: trustme.CA, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority.cert_pem.write_to_path(str(folder / "trusted.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "trusted.pem"))


def test_a_server_that_nobody_vouches_for_is_not_asked_and_not_tried_again(
    reach: Opening, authority: trustme.CA
) -> None:
    backend = reach(because, proving(authority, "127.0.0.1"))
    error = ask(backend)
    assert isinstance(error, ModelError)
    assert error.code == "E-BACKEND-038"
    assert "certificate" in str(error.why)
    assert "SSL_CERT_FILE" in str(error.fix)
    assert (backend.figures()["requests"], backend.figures().get("retries", 0)) == (1, 0)


def test_a_server_of_an_authority_of_ones_own_is_asked(
    reach: Opening, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusting(authority, tmp_path, monkeypatch)
    reply = ask(reach(because, proving(authority, "127.0.0.1")))
    assert isinstance(reply, Answer)
    assert reply.text == "Because."


def test_a_server_of_another_name_is_not_asked(
    reach: Opening, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusting(authority, tmp_path, monkeypatch)
    error = ask(reach(because, proving(authority, "models.example.org")))
    assert error.code == "E-BACKEND-038"
    assert "127.0.0.1" in error.why
    assert "base_url" in error.fix


@pytest.mark.parametrize("years", [(2020, 2021), (2099, 2100)])
def test_a_certificate_out_of_date_is_said_to_be_that(
    reach: Opening, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, years: tuple[int, int]
) -> None:
    trusting(authority, tmp_path, monkeypatch)
    first, last = (datetime(year, 1, 1, tzinfo=UTC) for year in years)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", not_before=first, not_after=last).configure_cert(context)
    error = ask(reach(because, context))
    assert error.code == "E-BACKEND-038"
    assert "clock" in error.fix


def test_a_server_that_speaks_no_tls_is_said_to_speak_none(reach: Opening) -> None:
    plain = reach(because)
    error = ask(reach(because, base_url=plain.config.base_url.replace("http:", "https:")))
    assert error.code == "E-BACKEND-038"
    assert "http://" in error.fix


@pytest.mark.parametrize(
    ("failed", "reason", "ends"),
    [
        (httpx.ConnectError, "WRONG_VERSION_NUMBER", True),
        (httpx.ConnectError, "TLSV1_ALERT_PROTOCOL_VERSION", True),
        (httpx.ConnectError, "TLSV1_ALERT_INTERNAL_ERROR", False),
        (httpx.ReadError, "DECRYPTION_FAILED_OR_BAD_RECORD_MAC", False),  # in the middle of what went well before
        (httpx.ReadError, "TLSV13_ALERT_CERTIFICATE_REQUIRED", True),  # by TLS 1.3, after the handshake
        (httpx.ConnectError, "SSLV3_ALERT_BAD_CERTIFICATE", True),
    ],
)
def test_what_may_pass_does_not_end_the_step(failed: type[httpx.TransportError], reason: str, ends: bool) -> None:
    error = failed("as httpx tells it")
    error.__cause__ = ssl.SSLError(1, f"[SSL: {reason}]")
    error.__cause__.reason = reason
    for found in (error, error.__cause__) if failed is httpx.ReadError else (error,):  # httpx lets those to reads pass
        said = distrust("https://host/v1", found)
        assert (said is not None) == ends
        assert said is None or ("certificate of ours" in said.what) == ("CERTIFICATE" in reason)
    error.__cause__ = ssl.SSLEOFError(8, "EOF occurred in violation of protocol")
    assert distrust("https://host/v1", error) is None


def test_certificates_that_are_not_there_are_named(
    reach: Opening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, content in {"absent.pem": None, "empty.pem": ""}.items():
        if content is not None:
            (tmp_path / name).write_text(content)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / name))
        with pytest.raises(ModelError, match="E-BACKEND-038"):
            reach(because, base_url="https://127.0.0.1:1/v1")
        assert isinstance(ask(reach(because)), Answer)  # without TLS, it matters to nobody
    monkeypatch.delenv("SSL_CERT_FILE")
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "absent"))
    with pytest.raises(ModelError, match="SSL_CERT_DIR"):
        reach(because, base_url="https://127.0.0.1:1/v1")
    monkeypatch.setenv("SSL_CERT_DIR", f"{tmp_path / 'absent'}{os.pathsep}{tmp_path}")
    reach(because, base_url="https://127.0.0.1:1/v1")


def test_a_proxy_is_asked_but_for_hosts_that_need_none(reach: Opening, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def reply(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        asked.append(handler.path)
        because(handler, body)

    proxy = reach(reply)
    monkeypatch.setenv("http_proxy", proxy.config.base_url.removesuffix("/v1"))
    there = {"base_url": "http://models.invalid/v1", "max_retries": 0}
    assert ask(reach(because, **there)).text == "Because."
    assert asked == ["http://models.invalid/v1/chat/completions"]
    monkeypatch.setenv("no_proxy", "models.invalid")
    assert ask(reach(because, **there)).code == "E-BACKEND-033"
    assert len(asked) == 1


PASSWORD = "http://user:pass-0123456789@127.0.0.1:1"
THERE = {"base_url": "http://models.invalid/v1", "max_retries": 0}


@pytest.mark.parametrize("address", ["socks5://user:pass-0123456789@127.0.0.1:1", "ftp://127.0.0.1:1", "http://a:b:c"])
def test_a_proxy_that_cannot_be_is_named(reach: Opening, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setenv("ALL_PROXY", address)
    with pytest.raises(ModelError, match="E-BACKEND-039") as caught:
        reach(because, **THERE)
    assert "ALL_PROXY" in caught.value.what
    assert "0123456789" not in "".join(traceback.TracebackException.from_exception(caught.value).format())


def test_a_proxy_that_is_not_there_is_named(reach: Opening, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", PASSWORD)
    error = ask(reach(because, **THERE))
    assert error.code == "E-BACKEND-033"
    assert "http_proxy" in error.fix
    assert "0123456789" not in str(error)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_wants_to_know_who_asks_ends_the_step(
    reach: Opening, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    proxy = reach(lambda handler, _: told(handler, 407, b"Who?"))
    monkeypatch.setenv(f"{scheme}_proxy", proxy.config.base_url.removesuffix("/v1"))
    backend = reach(because, base_url=f"{scheme}://models.invalid/v1")
    error = ask(backend)
    assert (error.code, f"{scheme}_proxy" in error.what) == ("E-BACKEND-039", True)
    assert backend.figures()["requests"] == 1


def echoing(spelt: Callable[[str], str], status: int) -> Reply:
    """Repeats the key in whatever it says."""

    def reply(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        key = handler.headers["Authorization"].removeprefix("Bearer ")
        body = completed("PLACE") if status == 200 else json.dumps({"error": {"message": "no PLACE"}}).encode()
        body = body.replace(b"PLACE", f"I know {spelt(key)}.".encode())
        told(handler, status, body, f"Fine {key}", X_Key=key, Location=f"https://elsewhere.example/?{key}")

    return reply


def escaped(key: str) -> str:
    return "".join(f"\\u{ord(each):04X}" if number % 2 else json.dumps(each)[1:-1] for number, each in enumerate(key))


@pytest.mark.parametrize("status", [200, 307, 400, 401, 500])
@pytest.mark.parametrize(
    "spelt",
    [
        str,
        lambda key: key.replace("/", "\\/"),
        escaped,
        lambda key: escaped(key).lower(),
        lambda key: quote(key, safe=""),
    ],
)
def test_a_key_that_a_server_repeats_is_in_no_reply_no_error_and_no_log(
    reach: Opening, caplog: pytest.LogCaptureFixture, spelt: Callable[[str], str], status: int
) -> None:
    caplog.set_level(logging.DEBUG)
    found = ask(reach(echoing(spelt, status), max_retries=1))
    shown = [repr(found), str(found), *(record.getMessage() for record in caplog.records)]
    if isinstance(found, BaseException):
        shown += traceback.TracebackException.from_exception(found, capture_locals=True).format()
    assert any("receive_response_headers" in line for line in shown)
    if status in (200, 400, 401):
        assert MARK in f"{found}"
    assert not [line for line in shown if "t0p" in line]  # a part of it
    if status == 200:
        assert found.text == f"I know {MARK}."


def test_an_address_that_holds_the_key_is_told_without_it(reach: Opening) -> None:
    def reply(handler: BaseHTTPRequestHandler, _: bytes) -> None:
        spelt = "sk-one%2Ftwo%3D%3D", "sk-one/two%3D=", "sk%2Done%2ftwo%3d%3d", "sk-one/two=="
        told(handler, 302, b"", Location=f"https://elsewhere.example/?{'&'.join(spelt)}")

    error = ask(reach(reply, key="sk-one/two=="))
    assert error.what == f"the server is elsewhere: https://elsewhere.example/?{'&'.join([MARK] * 4)}"


@pytest.mark.parametrize("word", ["EMPTY", "none", "sk-1234", "placeholder"])
def test_a_key_that_is_none_leaves_answers_as_they_are(reach: Opening, word: str) -> None:
    said = ask(reach(echoing(str, 200), key=word))
    assert isinstance(said, Answer)
    assert said.text == f"I know {word}."
    assert MARK in ask(reach(echoing(str, 400), key=word)).message
