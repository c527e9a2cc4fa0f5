"""DPO without any framework, as fast as we know how: the limit of what a framework can reach.

Rows laid end to end, only answers projected to the vocabulary, the reference computed once, PEFT's LoRA, fused AdamW.
Arguments: model folder, rows.jsonl.
"""

from __future__ import annotations

import json
import sys

import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from itune_torch import encode_completion, lay_out, sequence_logprobs

BATCH, TOKENS, BETA, RATE = 4, 1024, 0.1, 1e-4

folder, rows = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(folder)
with open(rows, encoding="utf-8") as stream:
    pairs = [json.loads(line) for line in stream]
steps = []
for start in range(0, len(pairs), BATCH):
    some = pairs[start : start + BATCH]
    sides = [(pair, side) for pair in some for side in ("chosen", "rejected")]
    encoded = [encode_completion(tokenizer, pair["prompt"], pair[side]) for pair, side in sides]
    # two pairs at once: four joined rows of the longest length stay below the bound
    steps.append([lay_out(encoded[at : at + 4], TOKENS) for at in range(0, len(encoded), 4)])

torch.manual_seed(0)
base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
lora = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
model = get_peft_model(base, lora).eval()  # no dropout
with torch.no_grad():
    reference = [[sequence_logprobs(model, batches)[0] for batches in step] for step in steps]
optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=RATE, weight_decay=0.0, fused=True)
losses = []
for number, (step, known) in enumerate(zip(steps, reference, strict=True)):
    optimizer.param_groups[0]["lr"] = RATE * (1 - number / len(steps))
    optimizer.zero_grad()
    count, loss = sum(len(values) for values in known) // 2, 0.0
    for batches, start in zip(step, known, strict=True):
        ratio = (sequence_logprobs(model, batches)[0] - start).view(-1, 2)
        part = -F.logsigmoid(BETA * (ratio[:, 0] - ratio[:, 1])).sum() / count
        part.backward()
        loss += part.item()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    losses.append(loss)
print(json.dumps({"loss": sum(losses) / len(losses)}))
