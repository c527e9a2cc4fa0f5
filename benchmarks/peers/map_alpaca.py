"""Format Alpaca rows the way one would by hand with `datasets`: one batched ``map``, saved to disk.

python map_alpaca.py ROWS FOLDER
"""

from __future__ import annotations

import json
import re
import sys
from typing import Any

import datasets

from itune_core.api import Kind, features

NO_INPUT = re.compile(r"[\W_]*no[\s-]?input(\s(required|needed))?[\W_]*", re.IGNORECASE)
NO_OUTPUT = re.compile(r"<no\s?(in|out)put>", re.IGNORECASE)


def turn(role: str, content: str) -> dict[str, Any]:
    return {"role": role, "content": content, "name": None, "tool_calls": None, "train": None}


def convert(batch: dict[str, list[str]]) -> dict[str, list[Any]]:
    messages = []
    for instruction, given, output in zip(batch["instruction"], batch["input"], batch["output"], strict=True):
        if not instruction.strip() or not output.strip() or NO_OUTPUT.fullmatch(output.strip()):
            continue
        if given.strip() and not NO_INPUT.fullmatch(given):
            instruction = f"{instruction}\n\n{given}"
        messages.append([turn("user", instruction), turn("assistant", output)])
    count = len(messages)
    none, empty = [None] * count, [[]] * count
    columns = dict.fromkeys(("id", "task", "category", "language", "license", "rationale", "meta"), none)
    columns |= {"kind": ["conversation"] * count, "source": ["alpaca"] * count, "references": empty, "parents": empty}
    return {**columns, "messages": messages}


def main() -> None:
    rows, folder = sys.argv[1:]
    datasets.disable_progress_bars()
    raw = datasets.load_dataset("json", data_files=rows, split="train", cache_dir=f"{folder}/cache")
    made = raw.map(convert, batched=True, remove_columns=raw.column_names, features=features(Kind.CONVERSATION))
    made.save_to_disk(f"{folder}/records")
    print(json.dumps({"records": len(made)}))


if __name__ == "__main__":
    main()
