"""Perplexity of answers as a plain loop: padded batches in the order of the file, the full logits.

Arguments: model folder, rows.jsonl, rows a batch, where to write the mean loss of each answer.
"""

from __future__ import annotations

import json
import sys

import torch
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, AutoTokenizer

folder, rows, size, found = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
with open(rows, encoding="utf-8") as stream:
    talks = [json.loads(line)["messages"] for line in stream]

means: list[float] = []
with torch.inference_mode():
    for start in range(0, len(talks), int(size)):
        some = talks[start : start + int(size)]
        texts = [tokenizer.apply_chat_template(talk, tokenize=False) for talk in some]
        prompts = [
            tokenizer.apply_chat_template(talk[:-1], tokenize=False, add_generation_prompt=True) for talk in some
        ]
        batch = tokenizer(texts, add_special_tokens=False, padding=True, padding_side="right", return_tensors="pt")
        labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
        for row, prompt in enumerate(prompts):
            labels[row, : len(tokenizer(prompt, add_special_tokens=False)["input_ids"])] = -100
        logits = model(**batch, use_cache=False).logits[:, :-1].float()
        targets = labels[:, 1:]
        # Over the last dimension: over another one, cross_entropy on a CPU is off in the fourth digit.
        losses = cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view_as(targets)
        means += (losses.sum(-1) / (targets != -100).sum(-1)).tolist()
with open(found, "w", encoding="utf-8") as stream:
    json.dump(means, stream)
print(json.dumps({"loss": sum(means) / len(means)}))
