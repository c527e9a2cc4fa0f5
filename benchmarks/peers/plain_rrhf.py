"""RRHF as a plain loop: the candidates of a question padded to one batch, log-probabilities from the full logits.

Arguments: model folder, rows.jsonl.
"""

from __future__ import annotations

import json
import sys

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

QUESTIONS, RATE = 2, 1e-4  # a step

folder, rows = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(folder)
with open(rows, encoding="utf-8") as stream:
    lists = [json.loads(line) for line in stream]

torch.manual_seed(0)
base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
lora = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
model = get_peft_model(base, lora).train()
optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=RATE, weight_decay=0.0, fused=True)


def candidates(row: dict) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Padded token ids and attention mask of a question's answers, and which tokens are of the answers."""
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": row["instruction"]}], tokenize=False, add_generation_prompt=True
    )
    start = len(tokenizer(prompt, add_special_tokens=False)["input_ids"])
    texts = [prompt + item["response"] + "<|im_end|>\n" for item in row["completions"]]
    batch = tokenizer(texts, add_special_tokens=False, padding=True, padding_side="right", return_tensors="pt")
    answer = batch["attention_mask"].bool().clone()
    answer[:, :start] = False
    return batch, answer


losses = []
steps = len(range(0, len(lists), QUESTIONS))
for number in range(steps):
    optimizer.param_groups[0]["lr"] = RATE * (1 - number / steps)
    optimizer.zero_grad()
    some, loss = lists[number * QUESTIONS : (number + 1) * QUESTIONS], 0.0
    for row in some:
        batch, answer = candidates(row)
        logits = model(**batch).logits[:, :-1].float()
        logps = logits.log_softmax(-1).gather(-1, batch["input_ids"][:, 1:, None]).squeeze(-1)
        means = (logps * answer[:, 1:]).sum(-1) / answer[:, 1:].sum(-1)
        scores = torch.tensor([item["overall_score"] for item in row["completions"]])
        worse = scores[:, None] < scores[None, :]
        ranked = ((means[:, None] - means[None, :]).relu() * worse).sum()
        part = (ranked - means[scores.argmax()]) / len(some)
        part.backward()
        loss += part.item()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    losses.append(loss)
print(json.dumps({"loss": sum(losses) / len(losses)}))
