"""The test server's API: what is asked is answered, in the form that clients know, and the same way every time."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import httpx
import openai
import pytest
from pydantic import BaseModel, Field

from itune_core.api.errors import RecipeError
from itune_core.testing import MockLLM
from itune_core.testing.mock_llm import Settings

Start = Callable[..., MockLLM]
BEES = {"model": "m", "messages": [{"role": "user", "content": "How do I keep bees in a small garden?"}]}


def client(server: MockLLM) -> httpx.Client:
    headers = {"Authorization": f"Bearer {server.token}"} if server.token else {}
    return httpx.Client(base_url=server.base_url, headers=headers, timeout=30)


def ask(server: MockLLM, **fields: Any) -> dict[str, Any]:
    with client(server) as http:
        response = http.post("/chat/completions", json={**BEES, **fields})
    assert response.status_code == 200, response.text
    told: dict[str, Any] = response.json()
    return told


def texts(told: dict[str, Any]) -> list[str]:
    return [choice["message"]["content"] for choice in told["choices"]]


def test_an_answer_is_readable_and_counted(mock_llm: Start) -> None:
    server = mock_llm()
    told = ask(server)
    (text,) = texts(told)
    assert text.endswith((".", "week."))
    assert any(word in text for word in ("bees", "garden", "keep", "small"))
    assert told["choices"][0]["finish_reason"] == "stop"
    assert told["usage"]["total_tokens"] == told["usage"]["prompt_tokens"] + told["usage"]["completion_tokens"]
    assert told["usage"]["completion_tokens"] >= len(text.split())


def test_answers_are_the_same_after_a_restart_and_under_another_token_and_server_seed(mock_llm: Start) -> None:
    fields = {"n": 3, "temperature": 0.7, "seed": 5}
    one, other = mock_llm(seed=1), mock_llm(seed=2, latency_ms=1)
    assert one.token != other.token
    first, second = ask(one, **fields), ask(other, **fields)
    assert {**first, "created": 0} == {**second, "created": 0}


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 6},
        {"temperature": 0.9},
        {"top_p": 0.5},
        {"model": "n"},
        {"messages": [{"role": "user", "content": "How do I keep bees in a small garden!"}]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_an_answer_may_depend_on_changes_it(mock_llm: Start, change: dict[str, Any]) -> None:
    server, fields = mock_llm(), {"temperature": 0.7, "seed": 5}
    assert texts(ask(server, **fields)) != texts(ask(server, **{**fields, **change}))


def test_draws_differ_unless_they_are_greedy(mock_llm: Start) -> None:
    server = mock_llm()
    assert len({*texts(ask(server, n=8, temperature=1))}) == 8
    assert len({*texts(ask(server, n=8, temperature=0)), *texts(ask(server, temperature=0, seed=9, top_p=0.1))}) == 1


def test_a_shorter_answer_is_the_beginning_of_a_longer_one(mock_llm: Start) -> None:
    server = mock_llm()
    whole = ask(server)
    for field in ("max_tokens", "max_completion_tokens"):
        cut = ask(server, **{field: 7})
        assert cut["choices"][0]["finish_reason"] == "length"
        assert cut["usage"]["completion_tokens"] == 7
        assert texts(whole)[0].startswith(texts(cut)[0])
    exact = ask(server, max_tokens=whole["usage"]["completion_tokens"])
    assert exact["choices"][0]["finish_reason"] == "stop"
    assert texts(exact) == texts(whole)


def test_the_first_stop_string_ends_an_answer_and_is_not_part_of_it(mock_llm: Start) -> None:
    server = mock_llm()
    (whole,) = texts(ask(server))
    stopped = ask(server, stop=["nothing like it", whole[30:35], whole[20:24]])
    place = min(whole.index(whole[30:35]), whole.index(whole[20:24]))
    assert texts(stopped) == [whole[:place]]
    assert stopped["choices"][0]["finish_reason"] == "stop"
    assert texts(ask(server, stop=whole[0])) == [""]


def test_log_probabilities_are_some(mock_llm: Start) -> None:
    (choice,) = ask(mock_llm(), logprobs=True, top_logprobs=5, max_tokens=9)["choices"]
    tokens = choice["logprobs"]["content"]
    assert "".join(token["token"] for token in tokens) == choice["message"]["content"]
    for token in tokens:
        top = [other["logprob"] for other in token["top_logprobs"]]
        assert len(top) == 5
        assert top == sorted(top, reverse=True)
        assert token["logprob"] == top[0] < 0
        assert math.fsum(map(math.exp, top)) <= 1
        assert bytes(token["bytes"]).decode() == token["token"]
    assert ask(mock_llm())["choices"][0]["logprobs"] is None


def test_rules_answer_in_their_order(mock_llm: Start) -> None:
    rules = [
        {"match": "(?i)BEES.*garden", "answer": "Begin in {spring}; {{ 1 }}."},
        {"match": "^draw", "answer": ["one", "two", "three"]},
        {"match": "yes or no", "answer": {"yes": 3, "no": 1}},
        {"answer": "something else"},
    ]
    server = mock_llm(answers=rules)
    assert texts(ask(server)) == ["Begin in {spring}; {{ 1 }}."]
    draw = {"messages": [{"role": "system", "content": "yes or no"}, {"role": "user", "content": "draw"}]}
    drawn = texts(ask(server, n=60, **draw))
    assert {*drawn} == {"one", "two", "three"}
    assert drawn == texts(ask(mock_llm(answers=rules), n=60, **draw))
    judge = {"messages": [{"role": "user", "content": "yes or no?"}], "logprobs": True, "top_logprobs": 2}
    (choice,) = ask(server, temperature=0, **judge)["choices"]
    assert choice["message"]["content"] == "yes"
    shares = {one["token"]: math.exp(one["logprob"]) for one in choice["logprobs"]["content"][0]["top_logprobs"]}
    assert shares == pytest.approx({"yes": 0.75, "no": 0.25})
    counted = texts(ask(server, n=128, **judge)).count("yes")
    assert 128 * 0.55 < counted < 128 * 0.95
    assert texts(ask(server, messages=[{"role": "user", "content": "tea?"}])) == ["something else"]


def test_rules_come_from_a_file(mock_llm: Start, tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("- {match: bees, answer: Buzz.}\n- {match: tea, answer: [Hot., Cold.]}\n")
    assert texts(ask(mock_llm(answers=path))) == ["Buzz."]


class Leg(BaseModel):
    name: str = Field(min_length=3, max_length=12)
    length: float = Field(gt=0, lt=1)


class Animal(BaseModel):
    """Of everything that models for answers are made of, one."""

    kind: Literal["bee", "ant"]
    legs: list[Leg] = Field(min_length=1, max_length=6)
    age: int = Field(ge=2, le=4)
    alive: bool
    keeper: str | None
    parts: dict[str, int]
    parent: Animal | None = None


@pytest.mark.parametrize("seed", range(10))
def test_an_answer_is_an_instance_of_the_schema(mock_llm: Start, seed: int) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "animal", "schema": Animal.model_json_schema()}}
    (text,) = texts(ask(mock_llm(), response_format=form, seed=seed))
    Animal.model_validate_json(text)


def test_json_mode_gives_an_object(mock_llm: Start) -> None:
    (text,) = texts(ask(mock_llm(), response_format={"type": "json_object"}))
    assert isinstance(json.loads(text), dict)


def nested(times: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(times):
        schema = {"properties": {"a": schema}}
    return schema


@pytest.mark.parametrize(
    ("fields", "status", "says"),
    [
        ({"messages": []}, 400, "messages"),
        ({"messages": [{"content": "no role"}]}, 400, "role"),
        ({"messages": [{"role": "user", "content": 7}]}, 400, "messages"),
        ({"model": None}, 400, "model"),
        ({"model": "absent"}, 404, "absent"),
        ({"n": 0}, 400, "from 1 to 128"),
        ({"max_tokens": 0}, 400, "1 or more"),
        ({"seed": "x"}, 400, "seed"),
        ({"stop": [""]}, 400, "stop"),
        ({"temperature": -1}, 400, "temperature"),
        ({"top_logprobs": 3}, 400, "logprobs"),
        ({"stream_options": [True]}, 400, "stream_options"),
        ({"response_format": {"type": "xml"}}, 400, "response_format"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "string", "pattern": "a"}}}},
            400,
            "'pattern' is not supported",
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": nested(200)}}},
            400,
            "nested too deep",
        ),
    ],
    ids=lambda value: json.dumps(value)[:40] if isinstance(value, dict) else "",
)
def test_a_wrong_question_is_told_what_is_wrong(
    mock_llm: Start, fields: dict[str, Any], status: int, says: str
) -> None:
    with client(mock_llm(models=["m"])) as http:
        response = http.post("/chat/completions", json={**BEES, **fields})
    assert response.status_code == status
    error = response.json()["error"]
    assert {*error} == {"message", "type", "param", "code"}
    assert says in error["message"]


def test_what_is_not_there_is_not_found(mock_llm: Start) -> None:
    server = mock_llm()
    with client(server) as http:
        assert http.get("/nothing").status_code == 404
        assert http.get("/chat/completions").status_code == 405
        assert http.post("/chat/completions", content=b"{").status_code == 400
        assert http.post("/chat/completions", content=b"[1]").status_code == 400
    assert server.stats()["by_path"] == {"POST /v1/chat/completions": 2, "other": 2}


def test_only_who_holds_the_token_is_served(mock_llm: Start) -> None:
    server = mock_llm()
    wrong = ("Bearer wrong", f"Bearer {server.token}x", f"Basic {server.token}", str(server.token))
    for headers in ({}, *({"Authorization": text} for text in wrong)):
        assert httpx.get(f"{server.base_url}/models", headers=headers).status_code == 401
        assert httpx.get(f"{server.url}/stats", headers=headers).status_code == 401
    assert httpx.get(f"{mock_llm(auth=False).base_url}/models").status_code == 200
    assert mock_llm(token="chosen").token == "chosen"


def test_it_is_reached_by_the_names_of_this_machine_alone(mock_llm: Start) -> None:
    server = mock_llm(auth=False)
    assert server.base_url.startswith("http://127.0.0.1:")
    for host, status in (("localhost:1", 200), ("127.0.0.1", 200), ("attacker.example", 421)):
        assert httpx.get(f"{server.base_url}/models", headers={"Host": host}).status_code == status


def test_embeddings_have_length_one_and_shared_words_bring_texts_together(mock_llm: Start) -> None:
    asked = ["a bee in the garden", "the bee in a garden", "seventeen heavy iron anchors"]
    with client(mock_llm()) as http:
        told = http.post("/embeddings", json={"model": "e", "input": asked, "dimensions": 256}).json()
        again = http.post("/embeddings", json={"model": "e", "input": asked[0], "dimensions": 256}).json()
    one, other, far = (item["embedding"] for item in told["data"])
    assert [len(one), math.fsum(value * value for value in one)] == pytest.approx([256, 1])
    assert again["data"][0]["embedding"] == one

    def cosine(left: list[float], right: list[float]) -> float:
        return math.fsum(a * b for a, b in zip(left, right, strict=True))

    assert cosine(one, other) > 0.9 > 0.5 > abs(cosine(one, far))


def official(server: MockLLM) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.base_url, api_key=server.token, max_retries=0, timeout=30)


def test_the_official_client_reads_what_it_says(mock_llm: Start) -> None:
    server = mock_llm(models=["m", "e"])
    with official(server) as api:
        told = api.chat.completions.create(**BEES, n=2, seed=1, logprobs=True, top_logprobs=1)
        assert [choice.message.content for choice in told.choices] == texts(ask(server, n=2, seed=1))
        assert told.choices[1].logprobs is not None
        assert told.usage is not None
        assert told.usage.total_tokens > 0
        assert [model.id for model in api.models.list()] == ["m", "e"]
        vectors = api.embeddings.create(model="e", input=["a bee", "an ant"], dimensions=32)  # asks for base64
        assert [len(item.embedding) for item in vectors.data] == [32, 32]
        animal = api.chat.completions.parse(**BEES, response_format=Animal).choices[0].message.parsed
        assert isinstance(animal, Animal)
        with pytest.raises(openai.NotFoundError, match="absent"):
            api.chat.completions.create(**{**BEES, "model": "absent"})


def test_a_stream_comes_to_the_same(mock_llm: Start) -> None:
    server = mock_llm()
    whole = ask(server, n=2, max_tokens=30)
    with official(server) as api:
        stream = api.chat.completions.create(
            **BEES, n=2, max_tokens=30, stream=True, stream_options={"include_usage": True}
        )
        events = list(stream)
    found, ends = ["", ""], {}
    for event in events[:-1]:
        for choice in event.choices:
            found[choice.index] += choice.delta.content or ""
            if choice.finish_reason:
                ends[choice.index] = choice.finish_reason
    assert found == texts(whole)
    assert ends == {number: choice["finish_reason"] for number, choice in enumerate(whole["choices"])}
    assert events[-1].choices == []
    assert events[-1].usage is not None
    assert events[-1].usage.model_dump(exclude_none=True) == whole["usage"]


def test_a_question_arrives_byte_for_byte(mock_llm: Start) -> None:
    text = "{{ 7*7 }} {0} ${x} %s \\ \x00\x1b[31m\u2028 'é漢字'"
    server = mock_llm()
    ask(server, messages=[{"role": "user", "content": text}])
    (seen,) = server.requests()
    assert json.loads(seen.body)["messages"][0]["content"] == text


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"faults": {"499": 0.1}}, "E-MOCK-001"),
        ({"first": ["nothing"]}, "E-MOCK-001"),
        ({"faults": {"429": 1.1}}, "E-MOCK-002"),
        ({"faults": {"429": -0.1}}, "E-MOCK-002"),
        ({"faults": {"429": float("nan")}}, "E-MOCK-002"),
        ({"faults": {"429": 0.6, "500": 0.5}}, "E-MOCK-002"),
        ({"latency_ms": -1}, "E-MOCK-003"),
        ({"rpm": 0}, "E-MOCK-003"),
        ({"port": 65536}, "E-MOCK-003"),
    ],
    ids=str,
)
def test_a_wrong_setting_is_refused(settings: dict[str, Any], code: str) -> None:
    with pytest.raises(RecipeError, match=code):
        Settings(**settings)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (None, "E-MOCK-004"),
        ("- [", "E-MOCK-004"),
        ("answer: x", "E-MOCK-005"),
        ("- {match: '(', answer: x}", "E-MOCK-005"),
        ("- {answer: {yes: 1}}", "E-MOCK-005"),  # YAML reads true
        ("- {answer: {a: 0}}", "E-MOCK-005"),
        ("- {answer: x, wehn: y}", "E-MOCK-005"),
        ("- !!python/object/apply:os.getpid []", "E-MOCK-004"),
    ],
)
def test_wrong_rules_are_refused(tmp_path: Path, text: str | None, code: str) -> None:
    path = tmp_path / "rules.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(RecipeError, match=code):
        MockLLM(answers=path)


def test_a_port_that_is_taken_is_an_error(mock_llm: Start) -> None:
    with pytest.raises(RecipeError, match="E-MOCK-006"):
        MockLLM(port=mock_llm().port).start()


def test_files_that_may_not_be_opened_keep_no_server_from_starting(
    mock_llm: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    resource = pytest.importorskip("resource")

    def refuse(kind: int, limits: tuple[int, int]) -> None:
        raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda kind: (64, 1 << 20))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert texts(ask(mock_llm()))


def test_a_server_that_could_not_start_has_counted_nothing_and_stops(mock_llm: Start) -> None:
    server = MockLLM(port=mock_llm().port)
    with pytest.raises(RecipeError):
        server.start()
    assert server.stats()["requests"] == 0
    server.stop()


def test_the_example_of_the_page_passes_and_its_rules_are_read(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "testing-a-plugin.md").read_text("utf-8")
    blocks = dict(re.findall(r'^```\w+ title="([\w.]+)"\n(.*?)^```', page, re.MULTILINE | re.DOTALL))
    (tmp_path / "test_client.py").write_text(blocks["test_client.py"], "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_client.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "2 passed" in done.stdout, done.stdout
    (tmp_path / "rules.yaml").write_text(blocks["rules.yaml"], "utf-8")
    with MockLLM(answers=tmp_path / "rules.yaml") as server:
        assert texts(ask(server)) == ["Something else."]
