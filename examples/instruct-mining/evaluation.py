"""Write InstructMining's evaluation set from public files: 332 questions, each with its reference answers.

    python examples/instruct-mining/evaluation.py DATA examples/instruct-mining/evaluation.jsonl

DATA holds, as their authors publish them (``.gz`` or not):

- ``self_instruct/user_oriented_instructions.jsonl`` and ``self_instruct/text-davinci-003_predictions.jsonl``, from
  github.com/yizhongw/self-instruct, ``human_eval``: 252 instructions, a person's answer and a model's;
- ``vicuna_bench/question.jsonl`` and ``vicuna_bench/answer_MODEL.jsonl``, from github.com/lm-sys/FastChat: 80 questions
  and the answers of gpt35 and bard.

An answer that is empty or says what another one says is left out. ``formatters/prompts`` reads what is written.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

ANSWERED_BY = ("gpt35", "bard")


def read(folder: Path, name: str) -> list[dict[str, Any]]:
    """The rows of a file of JSON lines, compressed or not."""
    plain, packed = folder / name, folder / f"{name}.gz"
    text = gzip.decompress(packed.read_bytes()).decode() if packed.exists() else plain.read_text("utf-8")
    return [json.loads(line) for line in text.split("\n") if line]  # splitlines would end a line within a text, too


def distinct(answers: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(answer.strip() for answer in answers if answer.strip()))


def user_oriented(data: Path) -> Iterator[dict[str, Any]]:
    """Self-Instruct's 252 instructions for users."""
    tasks = read(data, "self_instruct/user_oriented_instructions.jsonl")
    answers = read(data, "self_instruct/text-davinci-003_predictions.jsonl")
    for task, answer in zip(tasks, answers, strict=True):
        if task["instruction"].strip() != answer["instruction"].strip():
            raise SystemExit(f"the two files of Self-Instruct are not in one order: {task['id']}")
        (instance,) = task["instances"]
        prompt = "\n\n".join(part for part in (task["instruction"].strip(), instance["input"].strip()) if part)
        references = distinct([instance["output"], answer["response"]])
        yield {"id": task["id"], "source": "self-instruct", "prompt": prompt, "references": references}


def vicuna(data: Path) -> Iterator[dict[str, Any]]:
    """FastChat's 80 questions."""
    answers: dict[int, list[str]] = {}
    for name in ANSWERED_BY:
        for answer in read(data, f"vicuna_bench/answer_{name}.jsonl"):
            answers.setdefault(answer["question_id"], []).append(answer["text"])
    for question in read(data, "vicuna_bench/question.jsonl"):
        references = distinct(answers[question["question_id"]])
        number = f"vicuna_{question['question_id']}"
        yield {"id": number, "source": "vicuna", "prompt": question["turns"][0], "references": references}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    rows = [*user_oriented(given.data), *vicuna(given.data)]
    given.out.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
    print(f"{len(rows)} questions, {sum(len(row['references']) for row in rows)} references: {given.out}")


if __name__ == "__main__":
    main()
