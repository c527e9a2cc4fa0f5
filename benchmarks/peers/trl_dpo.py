"""Plain TRL: the script a user would write. Arguments: model folder, rows.jsonl, output folder, more of DPOConfig."""

from __future__ import annotations

import json
import sys

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import DPOConfig, DPOTrainer

model, rows, output, options = sys.argv[1:]
with open(rows, encoding="utf-8") as stream:
    pairs = [json.loads(line) for line in stream]
trainer = DPOTrainer(
    model=AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32),
    args=DPOConfig(
        output,
        num_train_epochs=1,
        per_device_train_batch_size=4,
        learning_rate=1e-4,
        max_length=512,
        use_cpu=True,
        bf16=False,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        train_sampling_strategy="sequential",  # the order of the file, so that the losses can be compared
        **json.loads(options),
    ),
    train_dataset=Dataset.from_list(pairs),
    processing_class=AutoTokenizer.from_pretrained(model),
    peft_config=LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"),
)
print(json.dumps({"loss": trainer.train().training_loss}))
