"""The rows of the quickstart are what their README says: counts, style, and no question shared between the files."""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).resolve().parents[1] / "examples" / "quickstart" / "data"
STYLE = r"\AShort answer: \S[^\n]*[.!?]\n\n(?:- \S[^\n]*[.!?]\n){2,3}Check: \S[^\n]*[.!?]\Z"
FILES = ("instructions.jsonl", "held_out.jsonl", "preferences.jsonl")
OVER_LONG = 300  # words of an output; the good rows stay under 61
NEAR = 0.6  # token Jaccard above which two questions count as the same

Row = dict[str, Any]


def read(name: str) -> list[Row]:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


def words(text: str) -> int:
    return len(text.split())


def question(row: Row) -> str:
    """What is asked, in either layout: instruction and input, or the text of the only user message."""
    if "prompt" in row:
        (message,) = row["prompt"]
        return str(message["content"])
    return f"{row['instruction']}\n{row['input']}"


def tokens(text: str) -> tuple[str, ...]:
    """Case-folded words and numbers, without punctuation."""
    return tuple(re.findall(r"\w+", text.casefold()))


def jaccard(one: str, other: str) -> float:
    a, b = set(tokens(one)), set(tokens(other))
    return len(a & b) / len(a | b)


def good(rows: list[Row]) -> list[Row]:
    """The rows that are left when over-long ones and repeats are dropped."""
    kept = {json.dumps(row, sort_keys=True): row for row in rows if words(row["output"]) < OVER_LONG}
    return list(kept.values())


INSTRUCTIONS, HELD_OUT, PAIRS = (read(name) for name in FILES)
GOOD = good(INSTRUCTIONS)


@pytest.mark.parametrize("name", FILES)
def test_file_is_clean_utf8_json_lines(name: str) -> None:
    data = (DATA / name).read_bytes()
    text = data.decode("utf-8")  # strict: raises on an invalid byte
    assert not text.startswith("\ufeff")
    assert text.endswith("}\n")
    assert "\r" not in text
    for number, line in enumerate(text.split("\n")[:-1], start=1):
        row = json.loads(line, object_pairs_hook=_no_repeated_key)
        strings = list(_strings(row))
        bad = [s for s in strings if s != s.strip() or any(not c.isprintable() and c != "\n" for c in s)]
        assert not bad, f"{name}:{number}: stray white space or control character in {bad}"


def _no_repeated_key(pairs: list[tuple[str, Any]]) -> Row:
    assert len({key for key, _ in pairs}) == len(pairs), f"a key is repeated: {pairs}"
    return dict(pairs)


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    children = value.values() if isinstance(value, dict) else value
    return [text for child in children for text in _strings(child)]


def test_counts() -> None:
    assert len(INSTRUCTIONS) == 219
    assert len(GOOD) == 209
    assert sum(bool(row["input"]) for row in GOOD) == 50
    assert len(HELD_OUT) == 32
    assert sum(bool(row["input"]) for row in HELD_OUT) == 8
    assert len(PAIRS) == 48


def test_readme_states_the_same_expression_and_counts() -> None:
    readme = (DATA / "README.md").read_text(encoding="utf-8")
    assert f"```text\n{STYLE}\n```" in readme
    example = re.search(r"```text\n(Short answer: .*?)\n```", readme, re.DOTALL)
    assert example is not None
    assert re.search(STYLE, example[1])
    for name, rows in zip(FILES, (INSTRUCTIONS, HELD_OUT, PAIRS), strict=True):
        assert f"| `{name}` | {len(rows)} |" in readme


def test_alpaca_layout() -> None:
    for row in (*INSTRUCTIONS, *HELD_OUT):
        assert list(row) == ["instruction", "input", "output"]
        assert all(isinstance(value, str) for value in row.values())
        assert row["instruction"]
        assert row["output"]


def test_pair_layout() -> None:
    for row in PAIRS:
        assert list(row) == ["prompt", "chosen", "rejected"]
        for side, role in (("prompt", "user"), ("chosen", "assistant"), ("rejected", "assistant")):
            (message,) = row[side]
            assert list(message) == ["role", "content"]
            assert message["role"] == role
            assert message["content"]


def test_good_answers_are_in_style_and_short() -> None:
    answers = [row["output"] for row in (*GOOD, *HELD_OUT)] + [row["chosen"][0]["content"] for row in PAIRS]
    assert [a for a in answers if not re.search(STYLE, a)] == []
    assert [a for a in answers if not 25 <= words(a) <= 60] == []


def test_rejected_answers_are_out_of_style() -> None:
    rejected = [row["rejected"][0]["content"] for row in PAIRS]
    assert [r for r in rejected if re.search(STYLE, r)] == []
    assert max(map(words, rejected)) <= 60


@pytest.mark.parametrize(
    "broken",
    [
        "Short answer: Yes.\n\n- One.\nCheck: Look.",
        "Short answer: Yes.\n\n- One.\n- Two.\n- Three.\n- Four.\nCheck: Look.",
        "Short answer: Yes.\n- One.\n- Two.\nCheck: Look.",
        "Short answer: Yes.\n\n- One.\n- Two.\n\nCheck: Look.",
        "Short answer: Yes.\n\n- One.\n- Two.",
        "Short answer: Yes.\n\n- One.\n- Two.\nCheck: Look",
        "Short answer: Yes.\n\n- One.\n- Two.\nCheck: Look.\n",
        "Sure!\nShort answer: Yes.\n\n- One.\n- Two.\nCheck: Look.",
        "short answer: Yes.\n\n- One.\n- Two.\nCheck: Look.",
        "Short answer: \n\n- One.\n- Two.\nCheck: Look.",
    ],
)
def test_expression_refuses_near_misses(broken: str) -> None:
    assert re.search(STYLE, "Short answer: Yes.\n\n- One.\n- Two.\nCheck: Look.")
    assert re.search(STYLE, broken) is None


def test_six_exact_duplicates_of_six_good_rows() -> None:
    seen = Counter(json.dumps(row, sort_keys=True) for row in INSTRUCTIONS)
    repeated = {text: count for text, count in seen.items() if count > 1}
    assert sorted(repeated.values()) == [2] * 6
    assert all(re.search(STYLE, json.loads(text)["output"]) for text in repeated)


def test_four_over_long_rows() -> None:
    lengths = [words(row["output"]) for row in INSTRUCTIONS]
    assert sum(length >= OVER_LONG for length in lengths) == 4
    assert not any(60 < length < OVER_LONG for length in lengths)


def test_no_question_occurs_in_two_rows() -> None:
    over_long = [row for row in INSTRUCTIONS if words(row["output"]) >= OVER_LONG]
    seen = Counter(tokens(question(row)) for row in (*GOOD, *over_long, *HELD_OUT, *PAIRS))
    assert [q for q, count in seen.items() if count > 1] == []


def test_no_two_questions_are_near_each_other() -> None:
    """Held-out rows against the rest is what evaluation needs; the others are held to the same bound."""
    over_long = [row for row in INSTRUCTIONS if words(row["output"]) >= OVER_LONG]
    questions = [question(row) for row in (*GOOD, *over_long, *HELD_OUT, *PAIRS)]
    assert [(a, b) for a, b in combinations(questions, 2) if jaccard(a, b) > NEAR] == []


def test_held_out_shares_no_instruction_and_no_input_with_the_training_rows() -> None:
    def parts(row: Row) -> set[tuple[str, ...]]:
        return {tokens(text) for text in (row["instruction"], row["input"]) if text}

    trained = set().union(*map(parts, INSTRUCTIONS))
    assert [row for row in HELD_OUT if parts(row) & trained] == []
