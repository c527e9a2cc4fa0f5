"""The real server that tests talk to does what they need of it."""

from __future__ import annotations

import math

import httpx
import pytest

pytestmark = pytest.mark.slow
ASKED = {"messages": [{"role": "user", "content": "Name a colour."}], "max_tokens": 12, "temperature": 0}


def test_it_answers_a_plain_request(llama_server: tuple[str, str]) -> None:
    base_url, token = llama_server
    with httpx.Client(base_url=base_url, headers={"Authorization": f"Bearer {token}"}, timeout=120) as http:
        assert len(http.get("/models").json()["data"]) == 1
        told = http.post("/chat/completions", json={**ASKED, "logprobs": True, "top_logprobs": 3}).json()
        again = http.post("/chat/completions", json=ASKED).json()
        three = http.post("/chat/completions", json={**ASKED, "temperature": 1, "seed": 7, "n": 3}).json()
    (choice,) = told["choices"]
    assert choice["message"]["content"] == again["choices"][0]["message"]["content"] != ""
    assert 0 < told["usage"]["completion_tokens"] <= 12
    first = choice["logprobs"]["content"][0]["top_logprobs"]
    assert len(first) == 3
    assert sum(math.exp(one["logprob"]) for one in first) <= 1 + 1e-6
    assert len({one["message"]["content"] for one in three["choices"]}) > 1


def test_it_is_for_who_has_the_token(llama_server: tuple[str, str]) -> None:
    base_url, _ = llama_server
    assert base_url.startswith("http://127.0.0.1:")
    assert httpx.post(f"{base_url}/chat/completions", json=ASKED, timeout=120).status_code == 401
