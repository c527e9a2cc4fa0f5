"""What becomes of a request: refused, answered, or spoilt. No sockets, no waiting."""

from __future__ import annotations

import hashlib
import hmac
import math
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson

from itune_core.testing.mock_llm import chat, faults
from itune_core.testing.mock_llm.batches import Batches, Files
from itune_core.testing.mock_llm.embeddings import embed
from itune_core.testing.mock_llm.http1 import Request
from itune_core.testing.mock_llm.limits import Limits, retry_headers
from itune_core.testing.mock_llm.question import Question
from itune_core.testing.mock_llm.refusal import Refused
from itune_core.testing.mock_llm.reply import JSON, Reply
from itune_core.testing.mock_llm.scripted import Script
from itune_core.testing.mock_llm.seen import Memory, Seen
from itune_core.testing.mock_llm.settings import Settings
from itune_core.testing.mock_llm.stats import Stats

QUESTIONS = ("/v1/chat/completions", "/v1/embeddings")
"""What a model is asked through."""

_NAMED = re.compile(r"(/v1/(?:files|batches)/)([^/]+)(|/[a-z]+)")
_HOST = re.compile(r"(127\.0\.0\.1|localhost)(:\d+)?")


Handler = Callable[[Request, str], Reply]


class Service:
    """A language model behind OpenAI's API.

    Args:
        settings: of the server.
        token: what clients must send; None: nothing.
        clock: gives seconds.
    """

    def __init__(self, settings: Settings, token: str | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.stats = Stats()
        self.seen = Memory()
        self._settings, self._token = settings, token
        self._script = Script.read(settings.answers)
        self._faults, self._limits = faults.Faults(settings), Limits(settings, clock)
        self._files = Files()
        self._batches = Batches(self._files, self._line, settings.batch_ms / 1000, clock)
        self._tries: Counter[str] = Counter()
        handlers: dict[str, Handler] = {
            "POST /v1/chat/completions": self._chat,
            "POST /v1/embeddings": self._embed,
            "GET /v1/models": lambda request, name: Reply.told(self._models()),
            "POST /v1/files": lambda request, name: Reply.told(
                self._files.upload(request.headers.get("content-type", ""), request.body)
            ),
            "GET /v1/files": lambda request, name: Reply.told(self._files.all()),
            "GET /v1/files/{}": lambda request, name: Reply.told(self._files.find(name).told),
            "DELETE /v1/files/{}": lambda request, name: Reply.told(self._files.delete(name)),
            "GET /v1/files/{}/content": lambda request, name: Reply(
                200, self._files.find(name).content, {"content-type": "application/octet-stream"}
            ),
            "POST /v1/batches": lambda request, name: Reply.told(self._batches.create(request.body, QUESTIONS)),
            "GET /v1/batches": lambda request, name: Reply.told(self._batches.all()),
            "GET /v1/batches/{}": lambda request, name: Reply.told(self._batches.look(name)),
            "POST /v1/batches/{}/cancel": lambda request, name: Reply.told(self._batches.cancel(name)),
        }
        self._handlers = handlers

    def reply(self, request: Request) -> Reply:
        """Decide on one request. Whoever sends the reply tells :meth:`sent` and :meth:`done`."""
        try:
            self._check(request)
        except Refused as error:
            reply = Reply.refusal(error)
        else:
            if request.path == "/stats":  # whoever asks how it went changes nothing about it
                return replace(Reply.told(self.stats.plain()), counts=False)
            reply = self._decide(request)
        self.seen.add(Seen(request.method, request.path, request.body, reply.status, reply.fault))
        self.stats.requests += 1
        return reply

    def sent(self, reply: Reply) -> None:
        """A status is being sent, and all of the reply unless its fault is to break off."""
        if not reply.counts:
            return
        self.stats.by_status[str(reply.status)] += 1
        if reply.question is not None and reply.right:
            self.stats.answer(reply.question, *reply.tokens)

    def done(self, reply: Reply, *, given_up: bool = False) -> None:
        """Nothing more is sent; `given_up`: because the client has gone."""
        if reply.question is not None:
            self.stats.leave()
        self.stats.given_up += given_up

    def _check(self, request: Request) -> None:
        """Only who holds the token, and came to this machine by its name, is served."""
        if not _HOST.fullmatch(request.headers.get("host", "localhost")):
            raise Refused(421, "this server is for 127.0.0.1 alone")
        if self._token is not None:
            scheme, _, given = request.headers.get("authorization", "").partition(" ")
            right = hmac.compare_digest(given.strip().encode(), self._token.encode())
            if scheme.lower() != "bearer" or not right:
                raise Refused(401, "incorrect API key provided", code="invalid_api_key")

    def _decide(self, request: Request) -> Reply:
        try:
            route, name, handler = self._route(request)
        except Refused as error:
            self.stats.by_path["other"] += 1
            return Reply.refusal(error)
        self.stats.by_path[route] += 1
        if request.path not in QUESTIONS:
            number = self._number(f"{route} {name}".encode(), self._tries[f"{route} {name}"])
            self._tries[f"{route} {name}"] += 1
            return self._spoilt(self._faults.draw(number), number, lambda: handler(request, name))
        digest, number = self._asked(request.path, request.body)
        try:
            made = self._let_in(lambda: handler(request, name))
        except Refused as error:
            return Reply.refusal(error)
        reply = self._spoilt(self._faults.draw(number), number, made)
        reply.headers = {**reply.headers, **self._limits.headers(), "x-request-id": f"req_{digest.hex()}"}
        if reply.status != 429:
            low = (number & 0xFFFFFFFF) / 2**32  # the fault was drawn with the high bits
            reply.delay = (self._settings.latency_ms + self._settings.jitter_ms * low) / 1000
        reply.question = digest
        self.stats.enter()
        return reply

    def _route(self, request: Request) -> tuple[str, str, Handler]:
        """What the path is called, the name in it, and what handles it."""
        path, name = request.path, ""
        if found := _NAMED.fullmatch(path):
            path, name = f"{found[1]}{{}}{found[3]}", found[2]
        route = f"{request.method} {path}"
        if route in self._handlers:
            return route, name, self._handlers[route]
        if any(known.endswith(f" {path}") for known in self._handlers):
            raise Refused(405, f"{request.method} is not allowed here")
        raise Refused(404, f"there is nothing at {request.path}")

    def _asked(self, path: str, body: bytes) -> tuple[bytes, int]:
        """A question's digest, and the number that its fault is drawn with this time."""
        digest = hashlib.blake2b(path.encode() + b"\n" + body, digest_size=16).digest()
        return digest, self._number(digest, self.stats.ask(digest))

    def _number(self, what: bytes, before: int) -> int:
        drawn = hashlib.blake2b(b"%d %d " % (self._settings.seed, before) + what, digest_size=8)
        return int.from_bytes(drawn.digest(), "big")

    def _let_in(self, make: Callable[[], Reply]) -> Callable[[], Reply]:
        """`make`, if the limits allow; where tokens are counted, its reply is made first."""
        most = self._settings.max_at_once
        if most is not None and self.stats.at_once >= most:
            raise Refused(429, f"more than {most} requests at once", code="rate_limit_exceeded")
        if not self._limits:
            return make
        reply = _made(make)
        wait, what = self._limits.admit(sum(reply.tokens))
        if wait:
            headers = {**self._limits.headers(), **retry_headers(wait)}
            raise Refused(429, f"rate limit reached for {what}", code="rate_limit_exceeded", headers=headers)
        return lambda: reply

    def _spoilt(self, fault: str | None, number: int, make: Callable[[], Reply]) -> Reply:
        """The reply with its fault."""
        if fault is not None:
            self.stats.by_fault[fault] += 1
        if fault in ("429", "429-date"):
            seconds = self._settings.retry_after
            date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(math.ceil(time.time()) + seconds))
            headers = {"retry-after": str(seconds) if fault == "429" else date}
            reply = Reply.refusal(Refused(429, "rate limit reached", code="rate_limit_exceeded", headers=headers))
        elif fault == "500":
            reply = Reply.refusal(Refused(500, "the server had an error while processing your request"))
        elif fault == "garbage":
            body = faults.garbage(number)
            reply = Reply(200, body, {"content-type": "text/html" if body.startswith(b"<") else JSON})
        else:
            reply = _made(make)
        reply.fault = fault
        return reply

    def _line(self, path: str, body: bytes) -> tuple[int | None, Any]:
        """Answer one line of a batch: its status and body; no status if time ran out, which stands for hanging."""
        digest, number = self._asked(path, body)
        handler = self._handlers[f"POST {path}"]
        reply = self._spoilt(
            self._faults.draw(number), number, lambda: handler(Request("POST", path, {}, body, True), "")
        )
        if reply.fault in ("hang", "hang-up"):
            return None, None
        if reply.events is not None:
            reply = Reply.refusal(Refused(400, "a batch has no streams", "stream"))
        if reply.fault == "garbage":
            return 200, orjson.loads(faults.wrong_form(number))
        if reply.status == 200:
            self.stats.answer(digest, *reply.tokens)
        return reply.status, orjson.loads(reply.body)

    def _chat(self, request: Request, name: str) -> Reply:
        question = Question.read(request.body)
        self._check_model(question.model)
        draws = chat.answer(question, self._script)
        used = chat.usage(question, draws)
        tokens = used["prompt_tokens"], used["completion_tokens"]
        if not question.stream:
            return Reply.told(chat.completion(question, draws), tokens)
        events = [b"data: %b\n\n" % orjson.dumps(event) for event in chat.chunks(question, draws)]
        headers = {"content-type": "text/event-stream", "cache-control": "no-cache"}
        return Reply(200, b"", headers, events=[*events, b"data: [DONE]\n\n"], tokens=tokens)

    def _embed(self, request: Request, name: str) -> Reply:
        told, tokens = embed(request.body)
        self._check_model(told["model"])
        return Reply.told(told, (tokens, 0))

    def _check_model(self, model: str) -> None:
        if self._settings.models and model not in self._settings.models:
            raise Refused(404, f"the model {model!r} does not exist", "model", code="model_not_found")

    def _models(self) -> dict[str, Any]:
        names = self._settings.models or ["mock"]
        told = [{"id": name, "object": "model", "created": 0, "owned_by": "itune"} for name in names]
        return {"object": "list", "data": told}


def _made(make: Callable[[], Reply]) -> Reply:
    try:
        return make()
    except Refused as error:
        return Reply.refusal(error)
