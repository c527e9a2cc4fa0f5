"""Servers as they differ: what one does not take is put otherwise, what it does not say is not made up."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import pytest

from itune_backends.openai_backend import OpenAI
from itune_core.api import (
    Answer,
    Ask,
    Choices,
    Failed,
    LogProbs,
    ModelError,
    OptionLogProbs,
    TokenLogProbs,
    message,
)

TURNS = [message("user", "Is the sky blue? Answer with Yes or No.")]
SCHEMA = {"type": "object", "properties": {"blue": {"type": "boolean"}}}


class Asked(NamedTuple):
    """A request as it arrived."""

    path: str
    body: Any
    headers: Mapping[str, str]


Script = Callable[[Asked], tuple[int, Any]]
"""From a request to the status and the JSON of its reply."""
Reaching = Callable[..., OpenAI]


@pytest.fixture
def reach() -> Iterator[Reaching]:
    """Opens a backend on a server that replies by a script; the test's end closes both."""
    closing: list[Callable[[], None]] = []

    def make(script: Script, **settings: Any) -> OpenAI:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, reply = script(Asked(self.path, json.loads(body), self.headers))
                content = json.dumps(reply).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/v1"
        backend = OpenAI(
            OpenAI.Config(**{"model": "m", "base_url": url, "timeout": 20.0, "max_retries": 2, **settings})
        )
        backend.open(None)
        closing.extend([server.server_close, server.shutdown, backend.close])
        return backend

    yield make
    for close in reversed(closing):
        close()


def completed(text: str = "Yes.", **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop", **more}
    return {"choices": [choice], "usage": {"prompt_tokens": 7, "completion_tokens": 2}}


def refused(words: str) -> dict[str, Any]:
    return {"error": {"message": words, "type": "invalid_request_error"}}


def outcome(future: Future[Any]) -> Any:
    return future.exception(timeout=60) or future.result()


def test_a_server_that_counts_completion_tokens_is_asked_so(reach: Reaching) -> None:
    seen: list[Any] = []

    def script(asked: Asked) -> tuple[int, Any]:
        seen.append(asked.body)
        if "max_tokens" in asked.body:
            return 400, refused("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
        return 200, completed()

    backend = reach(script)
    for number in range(3):
        assert outcome(backend.submit(Ask("m", TURNS, max_tokens=9), number)).text == "Yes."
    assert [each.get("max_completion_tokens") for each in seen] == [None, 9, 9, 9]


def test_a_schema_that_a_server_does_not_take_is_left_out(reach: Reaching) -> None:
    seen: list[Any] = []

    def script(asked: Asked) -> tuple[int, Any]:
        seen.append("response_format" in asked.body)
        return (400, refused("response_format is not supported")) if seen[-1] else (200, completed())

    backend = reach(script)
    for number in range(3):
        assert isinstance(outcome(backend.submit(Ask("m", TURNS, schema=SCHEMA), number)), Answer)
    assert seen == [True, False, False, False]


def test_a_key_that_a_server_repeats_is_not_told(reach: Reaching, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-repeated-0123456789")

    def script(asked: Asked) -> tuple[int, Any]:
        status = 400 if asked.body["seed"] == 0 else 401
        return status, refused(f"not with {asked.headers['Authorization']}")

    backend = reach(script, api_key="env:SOME_KEY")
    failed, error = (outcome(backend.submit(Ask("m", TURNS), seed)) for seed in (0, 1))
    assert isinstance(failed, Failed)
    assert failed.message.endswith("not with Bearer [key]")
    assert isinstance(error, ModelError)
    assert "not with Bearer [key]" in str(error)


def test_a_server_that_does_not_count_is_not_counted_for(reach: Reaching) -> None:
    def script(asked: Asked) -> tuple[int, Any]:
        return 200, {**completed(), "usage": None}

    free = reach(script)
    [said] = outcome(free.submit(Ask("m", TURNS), 0)).completions
    assert (said.prompt_tokens, said.completion_tokens) == (0, 0)
    assert free.figures()["uncounted"] == 1
    error = outcome(reach(script, max_tokens=100).submit(Ask("m", TURNS), 0))
    assert isinstance(error, ModelError)
    assert error.code == "E-BACKEND-024"


def test_parameters_of_a_servers_own_are_sent(reach: Reaching) -> None:
    seen: list[Any] = []

    def script(asked: Asked) -> tuple[int, Any]:
        seen.append(asked.body)
        return 200, completed()

    outcome(reach(script, extra={"min_p": 0.1, "seed": None}).submit(Ask("m", TURNS), 5))
    assert seen[0]["min_p"] == 0.1
    assert "seed" not in seen[0]


def test_completions_are_scored_as_vllm_scores_prompts(reach: Reaching) -> None:
    def script(asked: Asked) -> tuple[int, Any]:
        if asked.path.endswith("/completions") and "prompt" in asked.body:
            logprobs = {"tokens": ["Plain", ".", "!"], "token_logprobs": [None, -0.5, -3.0], "text_offset": [0, 5, 6]}
            return 200, {"choices": [{"text": "Plain.!", "logprobs": logprobs}], "usage": {"prompt_tokens": 2}}
        tokens = ["1", "2", "3"] if asked.body["add_generation_prompt"] else ["1", "2", "3", "4", "5"]
        places = [None, *({token: {"logprob": -float(token) / 8}} for token in tokens[1:])]
        return 200, {**completed(), "prompt_logprobs": places}

    backend = reach(script)
    after = outcome(backend.submit(LogProbs("m", TURNS, [message("assistant", "Yes.")]), 0))
    alone = outcome(backend.submit(LogProbs("m", [], [message("assistant", "Plain.")]), 0))
    assert after == TokenLogProbs([-0.5, -0.625])
    assert alone == TokenLogProbs([-0.5])


@pytest.mark.slow
def test_llama_cpp_is_asked_for_what_it_can(llama_server: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    url, token = llama_server
    monkeypatch.setenv("LLAMA_KEY", token)
    backend = OpenAI(OpenAI.Config(model="smollm2", base_url=url, api_key="env:LLAMA_KEY", timeout=300.0))
    backend.open(None)
    drawn = Ask("m", TURNS, max_tokens=8, temperature=0.8, top_k=40, presence_penalty=0.5, stop=["\n"])
    held = Ask("m", TURNS, max_tokens=40, schema=SCHEMA)
    one, same, other, formed, likely = map(
        outcome,
        [
            *(backend.submit(drawn, seed) for seed in (7, 7, 8)),
            backend.submit(held, 0),
            backend.submit(Choices("m", TURNS, ["Yes", "No"]), 0),
        ],
    )
    assert one.text == same.text
    assert isinstance(other, Answer)
    assert 0 < one.completions[0].completion_tokens <= 8
    assert one.completions[0].prompt_tokens > 10
    assert formed.text.lstrip().startswith("{")
    assert isinstance(likely, OptionLogProbs)
    assert sum(likely.shares) == pytest.approx(1)
    error = outcome(backend.submit(LogProbs("m", [], [message("assistant", "Plain.")]), 0))
    assert isinstance(error, ModelError)
    assert error.code == "E-BACKEND-029"
    backend.close()
