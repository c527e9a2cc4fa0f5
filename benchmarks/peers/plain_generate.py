"""Answers as a plain loop over ``generate``: padded batches in the order of the file.

Arguments: model folder, rows.jsonl, rows a batch, most new tokens, where to write the answers.
"""

from __future__ import annotations

import json
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

folder, rows, size, most, found = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
with open(rows, encoding="utf-8") as stream:
    prompts = [json.loads(line)["messages"][:-1] for line in stream]

answers: list[str] = []
tokens = 0
for start in range(0, len(prompts), int(size)):
    batch = tokenizer.apply_chat_template(
        prompts[start : start + int(size)],
        add_generation_prompt=True,
        padding=True,
        return_tensors="pt",
        return_dict=True,
    )
    with torch.inference_mode():
        out = model.generate(**batch, max_new_tokens=int(most), do_sample=False)
    for ids in out[:, batch["input_ids"].shape[1] :].tolist():
        end = ids.index(tokenizer.eos_token_id) if tokenizer.eos_token_id in ids else len(ids)
        answers.append(tokenizer.decode(ids[:end], skip_special_tokens=True))
        tokens += min(end + 1, len(ids))
with open(found, "w", encoding="utf-8") as stream:
    json.dump(answers, stream)
print(json.dumps({"loss": tokens}))
