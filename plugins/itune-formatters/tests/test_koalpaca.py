from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_core.api import Record, Row, RowError, read_rows
from itune_formatters.instructions.headings import read_headed
from itune_formatters.instructions.koalpaca import END, HEADINGS, KoAlpaca


def contents(made: Any) -> list[str]:
    assert isinstance(made, Record), made
    return [turn["content"] for turn in made["messages"]]


@pytest.mark.parametrize(
    ("given_", "asked"),
    [
        ("개, 고양이", "세어 주세요.\n\n개, 고양이"),
        (None, "세어 주세요."),
        ("", "세어 주세요."),
        ("<noinput>", "세어 주세요."),
        ("입력 없음", "세어 주세요."),
        ("(입력 없음)", "세어 주세요."),
        ("<노인입력>.", "세어 주세요."),
        ("입력 없음 오류를 고치세요", "세어 주세요.\n\n입력 없음 오류를 고치세요"),
    ],
)
def test_fields(run: Any, given_: str | None, asked: str) -> None:
    [made] = run(KoAlpaca, [{"instruction": "세어 주세요.", "input": given_, "output": "둘입니다."}])
    assert contents(made) == [asked, "둘입니다."]
    assert (made["language"], made["meta"]) == ("ko", None)


def test_fields_of_the_later_version(run: Any) -> None:
    row = {"instruction": "양파는 어떤 식물인가요?", "output": "알뿌리 식물입니다.", "url": "https://example.org/1"}
    [made] = run(KoAlpaca, [{**row, "language": "ko-KR"}])
    assert contents(made) == [row["instruction"], row["output"]]
    assert (made["language"], made["meta"]) == ("ko-KR", '{"url": "https://example.org/1"}')


def test_korean_headings_unless_set_otherwise(run: Any) -> None:
    row = {"instruction": "세어 주세요.", "input": "개", "output": "하나"}
    [made] = run(KoAlpaca, [row], frame={"style": "headed"})
    assert contents(made)[0] == "### 질문:\n세어 주세요.\n\n### 입력:\n개\n\n### 답변:"
    [made] = run(KoAlpaca, [row], frame={"style": "headed", "language": "en"})
    assert contents(made)[0] == "### Instruction:\n세어 주세요.\n\n### Input:\n개\n\n### Response:"


@pytest.mark.parametrize(
    ("text", "turns"),
    [
        ("### 질문: 왜요?\n\n### 답변: 그냥요.<|endoftext|>", ["왜요?", "그냥요."]),
        ("### 질문: 왜요?\n\n### 답변: 그냥요.<|endoftext|>\n", ["왜요?", "그냥요."]),
        ("### 질문: 뭐예요?\n\n### 맥락: 사과\n\n### 답변: 과일<|endoftext|>", ["뭐예요?\n\n사과", "과일"]),
        ("### 질문:\n첫째\n\n둘째\n\n### 답변:\n1. 하나\n\n### 참고\n2. 둘<|endoftext|>",
         ["첫째\n\n둘째", "1. 하나\n\n### 참고\n2. 둘"]),
        ("### 질문: a\r\n\r\n### 답변: b\r\nc<|endoftext|>", ["a", "b\r\nc"]),
    ],
)  # fmt: skip
def test_the_published_text(run: Any, text: str, turns: list[str]) -> None:
    [made] = run(KoAlpaca, [{"text": text, "n": 1}], layout="text")
    assert contents(made) == turns
    assert (made["language"], made["meta"]) == ("ko", '{"n": 1}')


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("### 질문: 왜요?\n\n### 답변: 그냥요.", "E-FORMAT-030"),
        ("### 질문: 왜요?<|endoftext|>", "E-FORMAT-030"),
        ("### 답변: 그냥요.<|endoftext|>", "E-FORMAT-030"),
        ("### 답변: b\n\n### 질문: a<|endoftext|>", "E-FORMAT-030"),
        ("### 질문: a\n\n### 답변: b\n\n### 질문: c\n\n### 답변: d<|endoftext|>", "E-FORMAT-030"),
        ("### 질문: a ### 답변: b<|endoftext|>", "E-FORMAT-030"),
        ("### 질문이 뭐예요?\n\n### 답변: b<|endoftext|>", "E-FORMAT-030"),
        ("왜요? 그냥요.<|endoftext|>", "E-FORMAT-030"),
        ("", "E-FORMAT-030"),
        ("안녕 ### 질문: a\n### 답변: b<|endoftext|>", "E-FORMAT-030"),
        ("안녕\n### 질문: a\n### 답변: b<|endoftext|>", "E-FORMAT-036"),
        ("### 질문: 왜요?\n\n### 답변:<|endoftext|>", "empty-output"),
        ("### 질문:\n\n### 답변: 그냥요.<|endoftext|>", "empty-instruction"),
        (None, "E-DATA-002"),
        (["a"], "E-DATA-003"),
    ],
)
def test_a_text_that_does_not_fit_is_refused(run: Any, text: Any, outcome: str) -> None:
    good = {"text": "### 질문: a\n\n### 답변: b<|endoftext|>"}
    first, tested, last = run(KoAlpaca, [good, {"text": text}, good], layout="text")
    assert getattr(tested, "reason", getattr(tested, "code", "record")) == outcome
    assert contents(first) == contents(last) == ["a", "b"]


LINES = st.from_regex(r"\A[가-힣a-z#:]{1,6}( [가-힣]{1,3})?(\n[가-힣a-z]{1,6})?\Z")


@given(LINES, LINES, LINES | st.just(""))
def test_what_is_put_below_headings_comes_back(question: str, answer: str, context: str) -> None:
    middle = f"\n\n### 맥락: {context}" if context else ""
    found = read_headed(f"### 질문: {question}{middle}\n\n### 답변: {answer}{END}", HEADINGS, end=END)
    assert found == ("", question, context, answer)


@given(st.text())
def test_any_text_is_taken_apart_or_refused(text: str) -> None:
    headed = f"### 질문: {text}\n\n### 답변: {text}"
    try:
        found = read_headed(headed, HEADINGS)
    except RowError:
        assert "###" in text
    else:
        assert all(part in headed for part in found)


def test_all_of_the_korean_rows(run: Any, real: Any, tally: Any) -> None:
    """Byte for byte; 5 inputs say in English or Korean that there is none."""
    path = real("ko/ko_alpaca_500.jsonl.gz")
    outcomes = run(KoAlpaca, path)
    assert tally(outcomes) == {"record": 500}
    unsaid = []
    for raw, made in zip(read_rows([path]), outcomes, strict=True):
        assert isinstance(raw, Row)
        asked, answer = contents(made)
        assert answer.encode() == raw["output"].encode()
        whole = f"{raw['instruction']}\n\n{raw['input']}"
        if asked.encode() != whole.encode():
            assert asked.encode() == raw["instruction"].encode()
            unsaid += [raw["input"]] if raw["input"] else []
    assert len(unsaid) == 5
    assert unsaid.count("입력 없음") == 2
    assert unsaid.count("<노인입력>.") == 1
