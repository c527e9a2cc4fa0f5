"""What a server sends, by value: usable, worth another try, refused, or the end; and the bodies that it is sent."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_backends.remote import answers, likelihoods, wire
from itune_backends.remote.complaints import hints, said
from itune_backends.remote.dialect import Dialect
from itune_backends.remote.faults import Fault, Refusal, check, json_object
from itune_core.api import Ask, Choices, Embed, LogProbs, ModelError, RowError, Spent, message

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ASK = Ask("m", [message("user", "Why?")])


def body(text: Any = "Because.", finish: Any = "stop", **more: Any) -> dict[str, Any]:
    return {"choices": [{"message": {"content": text, **more}, "finish_reason": finish}]}


def tops(entries: dict[str, float | None], **usage: int) -> dict[str, Any]:
    listed = [{"token": token, "logprob": value} for token, value in entries.items()]
    return {"choices": [{"logprobs": {"content": [{"token": "?", "top_logprobs": listed}]}}], "usage": usage}


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529])
def test_what_may_pass_is_tried_again(status: int) -> None:
    with pytest.raises(Fault) as caught:
        check(status, {"retry-after": "7"}, b"", set())
    assert caught.value.after == 7
    assert caught.value.busy == (status in (429, 503))


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("0", 0.0),
        ("1.5", 1.5),
        ("Sun, 22 Nov 2026 12:00:30 GMT", 30.0),
        ("Sunday, 22-Nov-26 12:01:00 GMT", 60.0),
        ("Sun, 22 Nov 2026 11:00:00 GMT", None),
        ("-3", None),
        ("inf", None),
        ("soon", None),
    ],
)
def test_how_long_to_wait_is_read_as_seconds_or_as_a_date(written: str, seconds: float | None) -> None:
    with pytest.raises(Fault) as caught:
        check(429, {"retry-after": written}, b"", set(), now=NOW)
    assert caught.value.after == seconds


def test_half_a_character_at_the_end_of_an_answer_can_be_stored() -> None:
    """JSON's escapes may name half of a pair: of an answer that hit max_tokens in an emoji, say."""
    sent = r'{"choices": [{"message": {"content": "Yes \ud83d"}, "finish_reason": "length"}]}'
    text = answers.answer(json_object(sent.encode()), ASK).text
    assert text == "Yes \ufffd"
    whole = body("\U0001f600 \u263a")
    assert answers.answer(whole, ASK).text == "\U0001f600 \u263a"


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_a_request_that_is_refused_says_why(status: int) -> None:
    with pytest.raises(Refusal) as caught:
        check(status, {}, b'{"error": {"message": "too\\n long"}}', {"grammar"})
    assert (caught.value.status, caught.value.said, caught.value.hints) == (status, "too long", {"grammar"})


@pytest.mark.parametrize(
    ("status", "code"), [(401, 21), (402, 21), (403, 21), (404, 22), (405, 22), (410, 22), (301, 22), (308, 22)]
)
def test_what_holds_for_all_requests_ends_the_step(status: int, code: int) -> None:
    with pytest.raises(ModelError) as caught:
        check(status, {"location": "https://elsewhere/v1"}, b"no", set())
    assert caught.value.code == f"E-BACKEND-{code:03}"
    assert ("elsewhere" in caught.value.what) == (status < 400)


def test_no_money_left_is_not_tried_again() -> None:
    body = b'{"error": {"code": "insufficient_quota", "message": "You exceeded your current quota"}}'
    with pytest.raises(ModelError, match="E-BACKEND-021"):
        check(429, {}, body, hints(body))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"])
def test_what_is_not_utf_8_is_not_repeated(encoding: str) -> None:
    """The key would not be found in it."""
    assert said('{"message": "sk-0123456789 schön"}'.encode("utf-8-sig")) == "sk-0123456789 schön"
    assert said('{"message": "sk-0123456789 schön"}'.encode(encoding)) == ""
    assert said("sk-0123456789".encode("utf-16-le")) == ""  # which is UTF-8, too


def test_what_is_learnt_is_learnt_from_what_the_server_says_not_from_what_it_repeats() -> None:
    repeats = {"error": {"message": "Too long."}, "input": {"response_format": "json_schema"}}
    assert hints(json.dumps(repeats).encode()) == set()
    assert hints(b'{"detail": "no GRAMMAR here"}') == {"grammar"}


@pytest.mark.parametrize(
    "text", [b"", b"{", b"\xff\xfe", b"<html>", b'{"choices": [{"mess', b"[]", b"null", b"[" * 99999]
)
def test_what_is_no_json_object_is_asked_for_again(text: bytes) -> None:
    with pytest.raises(Fault):
        json_object(text)


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"choices": None},
        {"choices": []},
        {"choices": ["Because."]},
        {"choices": [{"text": "Because.", "finish_reason": "stop"}]},
        body(None),
        body(7),
        body(["Because."]),
        body(finish=None),
        {"error": {"message": "overloaded"}},
    ],
)
def test_a_body_of_another_form_is_never_an_empty_answer(broken: dict[str, Any]) -> None:
    with pytest.raises(Fault):
        answers.answer(broken, ASK)


@pytest.mark.parametrize(
    "withheld", [body("Bec", "content_filter"), body(None, "tool_calls"), body(None, refusal="No.")]
)
def test_an_answer_that_is_withheld_fails(withheld: dict[str, Any]) -> None:
    with pytest.raises(RowError, match="E-BACKEND-027"):
        answers.answer(withheld, ASK)


def test_an_answer_is_what_was_said_and_counted() -> None:
    counted = {**body("Because.\n"), "usage": {"prompt_tokens": 5, "completion_tokens": 3}}
    [said_] = answers.answer(counted, ASK).completions
    assert (said_.text, said_.finish, said_.prompt_tokens, said_.completion_tokens) == ("Because.\n", "stop", 5, 3)
    [cut] = answers.answer(body(None, "length"), ASK).completions  # a model that only thought
    assert (cut.text, cut.finish, cut.prompt_tokens) == ("", "length", 0)


def test_a_stop_string_that_a_server_leaves_in_is_cut_off() -> None:
    stopped = Ask("m", ASK.messages, stop=["\n\n", "END"])
    [said_] = answers.answer(body("One. END\n\nTwo.", "length"), stopped).completions
    assert (said_.text, said_.finish) == ("One. ", "stop")


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("<think>\nOne. END\n</think>Two. END Three.", "<think>\nOne. END\n</think>Two. "),
        ("One. END</think>Two. END Three.", "One. END</think>Two. "),
        ("<think>One. END", "<think>One. END"),
        ("One. <think> END </think>", "One. <think> "),
    ],
)
def test_a_stop_string_within_a_thought_ends_nothing(text: str, kept: str) -> None:
    [said_] = answers.answer(body(text, "stop"), Ask("m", ASK.messages, stop=["END"])).completions
    assert said_.text == kept


@pytest.mark.parametrize(
    "usage",
    [None, {}, {"prompt_tokens": None}, {"prompt_tokens": -1}, {"prompt_tokens": True}, {"prompt_tokens": 10**30}],
)
def test_what_is_not_counted_is_not_guessed(usage: Any) -> None:
    assert answers.usage({"usage": usage}) is None
    assert answers.usage({"usage": {"prompt_tokens": 4, "total_tokens": 4}}) == Spent(4, 0)


def test_options_are_weighed_by_the_longest_token_they_begin_with() -> None:
    listed = tops({"Yes": -0.5, " Yes": -1.5, "Y": -3.0, " No": -2.0, "no": -4.0, "い": -5.0, "Ma": -6.0, "\n": -7.0})
    weighed = likelihoods.weighed(listed, Choices("m", [], ["Yes", "No", "いいえ", "Maybe"]))
    assert weighed.values == [-0.5, -2.0, -5.0, -6.0]


@pytest.mark.parametrize(
    ("options", "code"),
    [(["Yes", "Maybe"], "028"), (["Yes", "no"], "028"), (["Yes", "Yesterday"], "006"), (["Yes", " "], "006")],
)
def test_an_option_that_is_not_listed_has_no_made_up_value(options: list[str], code: str) -> None:
    with pytest.raises(RowError, match=f"E-BACKEND-{code}"):
        likelihoods.weighed(tops({"Yes": -0.5, "No": -2.0, "Never": None}), Choices("m", [], options))


def test_a_prompt_that_is_too_long_by_the_servers_count_fails() -> None:
    with pytest.raises(RowError, match="E-BACKEND-030"):
        likelihoods.weighed(tops({"Yes": -0.5}, prompt_tokens=101), Choices("m", [], ["Yes"], max_length=100))


@pytest.mark.parametrize("without", [body(), tops({}), {"choices": [{"logprobs": {"content": []}}]}])
def test_a_server_without_log_probabilities_ends_the_step(without: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="E-BACKEND-029"):
        likelihoods.weighed(without, Choices("m", [], ["Yes"]))
    with pytest.raises(ModelError, match="E-BACKEND-029"):
        likelihoods.scored(without, 100)


def test_a_text_that_is_repeated_is_scored_without_what_follows_it() -> None:
    logprobs = {"tokens": ["Plain", " text", "."], "token_logprobs": [None, -1.25, -0.5], "text_offset": [0, 5, 10]}
    found = {"choices": [{"text": "Plain text.", "logprobs": logprobs}]}
    assert likelihoods.echoed(found, "Plain text", 100).values == [-1.25]
    only_new = {"choices": [{"text": ".", "logprobs": {**logprobs, "text_offset": [0, 0, 0]}}]}  # llama.cpp
    with pytest.raises(ModelError, match="E-BACKEND-029"):
        likelihoods.echoed(only_new, "Plain text", 100)


def test_a_completion_is_what_of_a_conversation_follows_its_prompt() -> None:
    places: list[Any] = [None, {"11": {"logprob": -9.0}}, {"12": {"logprob": -0.5}}, {"13": {"logprob": -0.25}}]
    whole = likelihoods.scored({"prompt_logprobs": places}, 100)
    prompt = likelihoods.scored({"prompt_logprobs": places[:2]}, 100)
    assert likelihoods.after(prompt, whole).values == [-0.5, -0.25]
    other = likelihoods.scored({"prompt_logprobs": [None, {"99": {"logprob": -9.0}}]}, 100)
    with pytest.raises(RowError, match="E-BACKEND-031"):
        likelihoods.after(other, whole)
    with pytest.raises(RowError, match="E-BACKEND-031"):
        likelihoods.after(whole, whole)


@given(st.lists(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3).filter(lambda v: math.hypot(*v) > 1e-3)))
def test_vectors_have_length_one_and_their_own_order(found: list[list[float]]) -> None:
    data = [{"index": number, "embedding": vector} for number, vector in enumerate(found)][::-1]
    made = answers.vectors({"data": data}, Embed("m", ["text"] * len(found))).values
    for vector, original in zip(made, found, strict=True):
        assert math.hypot(*vector) == pytest.approx(1)
        assert [math.copysign(1, a) for a, b in zip(vector, original, strict=True) if a] == [
            math.copysign(1, b) for a, b in zip(vector, original, strict=True) if a
        ]


@pytest.mark.parametrize(
    "data", [None, [], [{"embedding": [0.0, 0.0]}], [{"embedding": [1, None]}], [{"embedding": "AAAA"}], [7]]
)
def test_a_vector_without_direction_is_none(data: Any) -> None:
    with pytest.raises(Fault):
        answers.vectors({"data": data}, Embed("m", ["text"]))


def test_what_is_asked_by_value() -> None:
    asked = Ask("m", [message("system", "Be brief."), message("user", "Why?")], max_tokens=9)
    plain = wire.chat("qwen", asked, 2**40 + 5, {})
    assert plain.path == "chat/completions"
    assert plain.body == {
        "model": "qwen",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}],
        "n": 1,
        "max_tokens": 9,
        "temperature": 0.0,
        "top_p": 1.0,
        "seed": 5,
    }
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    more = Ask("m", asked.messages, stop=["\n"], top_k=40, presence_penalty=1.5, schema=schema)
    rest = wire.chat("qwen", more, 0, {"min_p": 0.1, "seed": None, "top_p": 0.5}).body
    assert (rest["stop"], rest["top_k"], rest["presence_penalty"]) == (["\n"], 40, 1.5)
    assert (rest["min_p"], rest["top_p"], "seed" in rest) == (0.1, 0.5, False)
    form = {"name": "answer", "schema": schema, "strict": True}
    assert rest["response_format"] == {"type": "json_schema", "json_schema": form}


@given(st.text())
def test_text_arrives_as_it_is(text: str) -> None:
    call = wire.chat("m", Ask("m", [{"role": "user", "content": text}]), 0, {})
    assert json.loads(json.dumps(call.body).encode())["messages"] == [{"role": "user", "content": text}]


def test_tool_calls_are_sent_as_what_they_are() -> None:
    turn = message("assistant", "", tool_calls='[{"id": "1"}]')
    assert wire.turns([turn]) == [{"role": "assistant", "content": "", "tool_calls": [{"id": "1"}]}]
    with pytest.raises(RowError, match="E-BACKEND-034"):
        wire.turns([message("assistant", "", tool_calls="{")])


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        ({"type": "integer"}, True),
        ({"type": "object", "properties": {"a": {}}, "required": ["a"], "additionalProperties": False}, True),
        ({"type": "object", "properties": {"a": {}}, "required": ["a"]}, False),
        ({"type": "object", "properties": {"a": {}}, "additionalProperties": False}, False),
        ({"type": "array", "items": {"type": "object"}}, False),
        ({"anyOf": [{"type": "object", "properties": {}}]}, False),
    ],
)
def test_a_schema_is_strict_where_every_object_says_all(schema: dict[str, Any], strict: bool) -> None:
    assert wire.is_strict(schema) is strict


def test_a_server_is_not_offered_twice_what_it_does_not_take() -> None:
    dialect = Dialect()
    one, other = ({"type": "json_schema", "json_schema": {"schema": {"title": title}}} for title in "AB")
    asked = {"messages": [], "max_tokens": 5, "response_format": one}
    assert dialect.spoken(asked) == asked
    assert not dialect.learns(asked, asked, hints(b"the prompt is too long"))
    assert dialect.learns(asked, asked, hints(b"Unsupported parameter: use 'max_completion_tokens' instead."))
    spoken = dialect.spoken(asked)
    assert spoken == {"messages": [], "max_completion_tokens": 5, "response_format": one}
    assert dialect.learns(asked, asked, set())  # it was put before that was learnt
    assert dialect.learns(asked, spoken, hints(b"Invalid schema for response_format 'answer'"))
    assert dialect.spoken(asked) == {"messages": [], "max_completion_tokens": 5}
    assert "response_format" in dialect.spoken({**asked, "response_format": other})
    assert dialect.spoken({"input": ["text"], "max_tokens": 1}) == {"input": ["text"], "max_tokens": 1}


def test_log_probabilities_are_asked_for_as_servers_know_them() -> None:
    question = [message("user", "Is it?")]
    weighed = wire.choices("m", Choices("m", question, ["Yes"]), {}).body
    assert (weighed["max_tokens"], weighed["logprobs"], weighed["top_logprobs"]) == (1, True, 20)
    assert (weighed["temperature"], weighed["top_p"]) == (1.0, 1.0)  # the model's own distribution
    text = wire.echo("m", LogProbs("m", [], [message("assistant", "Plain.")]), {})
    assert (text.path, text.body["prompt"], text.body["echo"]) == ("completions", "Plain.", True)
    whole = wire.scored("m", question, {}, whole=True).body
    assert (whole["prompt_logprobs"], whole["add_generation_prompt"]) == (0, False)
