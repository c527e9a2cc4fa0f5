"""What an encoder reads, and what its decoder is to write."""

from __future__ import annotations

from typing import Any

import pytest

from itune_core.api import ModelSource, RowError, message
from itune_torch import encode_source, encode_source_target, load_tokenizer, make_tiny_t5, sides

ASK = [message("user", "Why is the sky blue?")]
ANSWER = [message("assistant", "Because air scatters short waves.")]


@pytest.fixture(scope="module")
def t5(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load_tokenizer(ModelSource(make_tiny_t5(tmp_path_factory.mktemp("t5")), "transformers", "t5-0", "./t5"))


def test_both_sides_end_as_t5_ends_them(t5: Any) -> None:
    row = encode_source_target(t5, ASK, ANSWER)
    source, target = sides(row)
    assert row.ids[:source] == t5(ASK[0]["content"])["input_ids"] == encode_source(t5, ASK)
    assert row.ids[source:] == t5(ANSWER[0]["content"])["input_ids"]
    assert row.ids[source - 1] == row.ids[-1] == t5.eos_token_id
    assert row.trained == [False] * source + [True] * target
    assert row.supervised == target
    assert encode_source_target(t5, ASK[0]["content"], ANSWER[0]["content"]) == row


def test_a_system_message_stands_before_the_users(t5: Any) -> None:
    system = message("system", "The user asks a question.")
    assert encode_source(t5, [system, *ASK]) == t5(f"{system['content']}\n\n{ASK[0]['content']}")["input_ids"]


CALL = {"role": "assistant", "content": None, "tool_calls": '[{"name": "clock", "arguments": {}}]'}


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ([*ASK, *ANSWER, *ASK], ANSWER),
        ([], ANSWER),
        (ANSWER, ANSWER),
        ([message("system", "The user asks.")], ANSWER),
        (ASK, [*ANSWER, *ANSWER]),
        (ASK, []),
        (ASK, ASK),
        (ASK, [CALL]),
    ],
)
def test_what_plain_text_cannot_say_is_refused(t5: Any, source: Any, target: Any) -> None:
    with pytest.raises(RowError, match="E-TORCH-041"):
        encode_source_target(t5, source, target, row="r1")


def test_several_turns_go_through_a_chat_template(tokenizer: Any) -> None:
    """The tokenizer of the two-layer Llama has one, and the template writes all special tokens itself."""
    talk = [*ASK, *ANSWER, *ASK]
    written = tokenizer.apply_chat_template(talk, tokenize=False, add_generation_prompt=True)
    assert encode_source(tokenizer, talk) == tokenizer(written, add_special_tokens=False)["input_ids"]
    row = encode_source_target(tokenizer, talk, ANSWER)
    assert tokenizer.decode(row.ids) == f"{written}{ANSWER[0]['content']}{tokenizer.eos_token}"


def test_an_answer_without_tokens_is_refused_and_a_question_is_not(t5: Any) -> None:
    with pytest.raises(RowError, match="E-TORCH-042") as failure:
        encode_source_target(t5, ASK, "Write {so} or {thus}, not ~")
    assert "'{', '}', '~'" in failure.value.what
    assert t5.unk_token_id in encode_source_target(t5, "What is {}?", "Because.").ids


def test_nothing_to_read(tokenizer: Any) -> None:
    """T5 would read the end token; a tokenizer that adds none leaves nothing."""
    with pytest.raises(RowError, match="E-TORCH-044"):
        encode_source(tokenizer, "")


def test_long_rows(t5: Any) -> None:
    whole = encode_source_target(t5, ASK, ANSWER)
    size, (source, target) = len(whole.ids), sides(whole)
    assert encode_source_target(t5, ASK, ANSWER, max_length=size) == whole
    assert encode_source_target(t5, ASK, ANSWER, max_length=size - 1, overlength="drop") is None
    with pytest.raises(RowError, match="E-TORCH-017"):
        encode_source_target(t5, ASK, ANSWER, max_length=size - 1)

    cut = encode_source_target(t5, ASK, ANSWER, max_length=size - 2, overlength="truncate-prompt")
    assert cut.ids == whole.ids[2:]
    assert (cut.cut, cut.lost_end, sides(cut)) == (2, False, (source - 2, target))
    with pytest.raises(RowError, match="E-TORCH-018"):
        encode_source_target(t5, ASK, ANSWER, max_length=target, overlength="truncate-prompt")

    cut = encode_source_target(t5, ASK, ANSWER, max_length=size - 2, overlength="truncate-response")
    assert cut.ids == whole.ids[:-2]
    assert (cut.cut, cut.lost_end, sides(cut)) == (2, True, (source, target - 2))
    with pytest.raises(RowError, match="E-TORCH-019"):
        encode_source_target(t5, ASK, ANSWER, max_length=source, overlength="truncate-response")
