from __future__ import annotations

import csv
import gzip
import json
import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from itune_core.api import Drop, Failed, Keep, Kind, example, message, prompt, text
from itune_filters.language import LANGUAGES, Language

TEXTS = {
    "en": "How many planets move around the sun, and which one is the largest?",
    "ko": "태양 주위를 도는 행성은 몇 개이고 가장 큰 것은 무엇인가요?",
    "ja": "太陽の周りを回る惑星はいくつあり、一番大きいのはどれですか。",
    "zh": "围绕太阳运行的行星有多少颗，其中最大的是哪一颗？",
    "de": "Wie viele Planeten kreisen um die Sonne, und welcher ist der größte?",
}


def test_it_keeps_those_that_are_named(judge: Any) -> None:
    rows = [text(said, id=code) for code, said in TEXTS.items()]
    verdicts = judge(Language, rows, keep=["ko", "ja", "zh"])
    assert [row["id"] for row, verdict in zip(rows, verdicts, strict=True) if verdict == Keep()] == ["ko", "ja", "zh"]
    assert [verdicts[0].reason, verdicts[4].reason] == ["other-language"] * 2
    assert verdicts[4].detail.startswith("de at 0.9")
    assert verdicts[4].detail.endswith("not ko, ja, zh")


def test_short_texts_are_uncertain(judge: Any) -> None:
    row = text("Yes.", id="1")
    [verdict] = judge(Language, [row], keep=["en"])
    assert isinstance(verdict, Drop)
    assert verdict.reason == "uncertain-language"
    assert verdict.detail.startswith("en at 0.")
    assert verdict.detail.endswith("below 0.5")
    assert judge(Language, [row], keep=["en"], uncertain="keep") == [Keep()]
    assert judge(Language, [row], keep=["ko"], uncertain="keep") == [Keep()]
    assert judge(Language, [row], keep=["en"], confidence=0.1) == [Keep()]


def test_which_part_is_judged(judge: Any, make_chat: Any) -> None:
    mixed = make_chat(TEXTS["en"], TEXTS["ko"]).replace(id="1")
    assert judge(Language, [mixed], keep=["en"], part="prompt") == [Keep()]
    assert judge(Language, [mixed], keep=["ko"], part="response") == [Keep()]
    assert judge(Language, [mixed], keep=["ko"], part="prompt")[0].reason == "other-language"


def test_nothing_to_judge_is_a_failure(judge: Any) -> None:
    numbers = prompt([message("user", "1 + 1 = ?")], id="1")
    for row, part in ((numbers, "all"), (example(Kind.PROMPT).replace(id="1"), "response")):
        [verdict] = judge(Language, [row], keep=["en"], part=part)
        assert isinstance(verdict, Failed)
        assert verdict.code == "E-FILTER-018"


def test_codes_are_those_of_the_model() -> None:
    with pytest.raises(ValidationError, match="not 'jp'"):
        Language.Config(keep=["jp"])
    with pytest.raises(ValidationError):
        Language.Config(keep=[])
    assert len(LANGUAGES) == 176


def test_nothing_is_downloaded() -> None:
    """In a process whose sockets are blocked and whose cache is nowhere."""
    code = """
import os, socket
def never(*_, **__): raise AssertionError("it wants the network")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = never
os.environ["FTLANG_CACHE"] = "/nonexistent/cache"
from itune_core.api import Keep, text
from itune_filters.language import Language
assert Language(Language.Config(keep=["en"])).decide(text("How many planets are there?")) == Keep()
print("done", os.path.exists("/nonexistent"))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "done False", done.stderr


def test_on_real_rows(judge: Any, real_rows: Any) -> None:
    """At least 97 of 100 rows of each language are told rightly by instruction and answer together."""

    def jsonl(name: str) -> list[Any]:
        with gzip.open(real_rows(name), "rt", encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]

    with open(real_rows("ko/chatbot_qa_500.csv"), encoding="utf-8") as file:
        chats = [f"{row['Q']} {row['A']}" for row in csv.DictReader(file)]
    both = {
        "en": [f"{row['instruction']} {row['output']}" for row in jsonl("dolly/dolly_3k.jsonl.gz")[:400]],
        "ja": [f"{row['context']} {row['question']}" for row in jsonl("ja/jsquad_200.jsonl.gz")],
        "ko": chats[:400],
    }
    for code, texts in both.items():
        rows = [text(said, id=str(number)) for number, said in enumerate(texts)]
        verdicts = judge(Language, rows, keep=[code])
        assert sum(verdict == Keep() for verdict in verdicts) >= 0.97 * len(rows), code
