"""The rows that the training benchmarks train on: fixed choices from real data, short enough for a CPU."""

from __future__ import annotations

import gzip
import json
import os
import random
import sys
from pathlib import Path
from typing import Any

LONGEST = 384
"""Most tokens of a row, rendered with the model's template."""

Rows = list[dict[str, Any]]


def data_folder() -> Path:
    """Where the real rows are (``ITUNE_TEST_DATA``; default: ``shared/data`` beside the repository)."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("ITUNE_TEST_DATA", default))
    if not (folder / "alpaca" / "alpaca_data.jsonl.gz").is_file():
        sys.exit(f"no Alpaca rows in {folder}: set ITUNE_TEST_DATA to a folder that has alpaca/alpaca_data.jsonl.gz")
    return folder


def alpaca_rows(tokenizer: Any, count: int) -> Rows:
    """`count` conversations: shuffled with seed 0, with an answer, of at most :data:`LONGEST` tokens."""
    source = _lines("alpaca/alpaca_data.jsonl.gz")
    random.Random(0).shuffle(source)
    rows: Rows = []
    for row in source:
        if not row["output"].strip():
            continue
        ask = row["instruction"] + ("\n" + row["input"] if row["input"] else "")
        messages = [_said("user", ask), _said("assistant", row["output"])]
        if _tokens(tokenizer, messages) <= LONGEST:
            rows.append({"messages": messages})
            if len(rows) == count:
                break
    return rows


def hh_pairs(tokenizer: Any, count: int) -> Rows:
    """`count` pairs of hh-rlhf: shuffled with seed 0, the same up to the last answer, each side of at most
    :data:`LONGEST` tokens."""
    source = _lines("hh_rlhf/helpful_base_1000.jsonl.gz")
    random.Random(0).shuffle(source)
    rows: Rows = []
    for row in source:
        chosen, rejected = _turns(row["chosen"]), _turns(row["rejected"])
        roles = [message["role"] for message in chosen]
        if (
            chosen[:-1] != rejected[:-1]
            or chosen[-1:] == rejected[-1:]
            or roles != ["user", "assistant"] * (len(roles) // 2)
        ):
            continue
        if not all(message["content"] for message in (*chosen, *rejected)):
            continue
        if max(_tokens(tokenizer, chosen), _tokens(tokenizer, rejected)) <= LONGEST:
            rows.append({"prompt": chosen[:-1], "chosen": chosen[-1:], "rejected": rejected[-1:]})
            if len(rows) == count:
                break
    return rows


def vicuna_lists(tokenizer: Any, count: int) -> Rows:
    """`count` questions of the Vicuna bench, in the shape of UltraFeedback: the answers of four models that fit in
    :data:`LONGEST` tokens, each with the score that a judge gave it beside a fifth model's answer."""
    models = ("alpaca-13b", "bard", "gpt35", "llama-13b")
    asked = {row["question_id"]: row["turns"][0] for row in _lines("vicuna_bench/question.jsonl")}
    said = {m: {r["question_id"]: r["text"] for r in _lines(f"vicuna_bench/answer_{m}.jsonl.gz")} for m in models}
    judged = {
        m: {r["question_id"]: r["score"][0] for r in _lines(f"vicuna_bench/gpt4_review_{m}_vs_vicuna-13b.jsonl")}
        for m in models
    }
    rows: Rows = []
    for number, question in asked.items():
        texts = [said[m][number] for m in models]
        scores = [judged[m][number] for m in models]
        sizes = [_tokens(tokenizer, [_said("user", question), _said("assistant", text)]) for text in texts]
        if not all(texts) or min(scores) < 1 or len(set(scores)) < 3 or max(sizes) > LONGEST:
            continue
        answers = zip(models, texts, scores, strict=True)
        completions = [
            {"model": model, "response": text, "overall_score": score, "annotations": {}}
            for model, text, score in answers
        ]
        rows.append({"instruction": question, "completions": completions})
    return rows[:count]


def write_jsonl(rows: Rows, path: Path) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    return path


def _lines(name: str) -> Rows:
    opened = gzip.open if name.endswith(".gz") else open
    with opened(data_folder() / name, "rt", encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def _said(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _turns(transcript: str) -> list[dict[str, str]]:
    """The turns of an hh-rlhf transcript."""
    turns: list[dict[str, str]] = []
    for part in transcript.split("\n\n"):
        role, colon, text = part.partition(":")
        if colon and role in ("Human", "Assistant"):
            turns.append(_said("user" if role == "Human" else "assistant", text.strip()))
        elif turns:
            turns[-1]["content"] += "\n\n" + part
    return turns


def _tokens(tokenizer: Any, messages: list[dict[str, str]]) -> int:
    return len(tokenizer.apply_chat_template(messages, tokenize=True, return_dict=False))
