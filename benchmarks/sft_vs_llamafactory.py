"""SFT of 64 Alpaca rows: ``itune run`` against LLaMA-Factory.

LoRA r=16 on all linear layers of SmolLM2-135M, batch 8, max length 512, one epoch, learning rate 1e-4 falling linearly.
LLaMA-Factory keeps base weights in the dtype that the model's config names, so it is given a copy whose config says
bfloat16; ours follows the machine (``dtype: auto``). Whole processes, start-up and saving included, one thread each,
in CPU time and peak memory. The losses are near to each other and not equal: its template adds a token to each row.

It pins other versions of nearly everything, so it lives in an environment of its own, which this is told of::

    python -m venv lf && lf/bin/pip install torch==2.13.0 llamafactory==0.9.5
    ITUNE_LLAMAFACTORY=lf/bin/llamafactory-cli python benchmarks/sft_vs_llamafactory.py --json sft_vs_llamafactory.json

Where torch is a CPU build, PyPI's torchvision and torchaudio do not load beside it; remove both, and put an empty
``torchaudio.py`` in their place, which it imports without need.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from contest import Goal, contest, options
from real_rows import Rows, alpaca_rows, write_jsonl
from timing import Contender, spent
from training_recipe import bench, measure_machine, run_itune, write_recipe

DEFAULTS, PLAIN, OURS = "LLaMA-Factory", "LLaMA-Factory, no checkpointing", "itune run, dtype: auto"
GOALS = [Goal(OURS, DEFAULTS, 0.55), Goal(OURS, PLAIN, 0.70)]
SETTINGS = {
    "stage": "sft",
    "do_train": True,
    "finetuning_type": "lora",
    "lora_rank": 16,
    "lora_alpha": 32,
    "lora_dropout": 0.0,
    "lora_target": "all",
    "dataset": "rows",
    "template": "smollm2",
    "cutoff_len": 512,
    "overwrite_cache": True,
    "preprocessing_num_workers": 1,
    "dataloader_num_workers": 0,
    "disable_shuffling": True,
    "overwrite_output_dir": True,
    "save_strategy": "no",
    "report_to": "none",
    "per_device_train_batch_size": 8,
    "gradient_accumulation_steps": 1,
    "learning_rate": 1e-4,
    "lr_scheduler_type": "linear",
    "num_train_epochs": 1.0,
    "bf16": False,
    "fp16": False,
    "use_cpu": True,
    "disable_tqdm": True,
}


def main() -> None:
    given = options(__doc__, rows=64, repeats=3)
    program = os.environ.get("ITUNE_LLAMAFACTORY")
    if not program:
        sys.exit("set ITUNE_LLAMAFACTORY to the llamafactory-cli of an environment that has it; --help tells more")
    command = str(Path(program).resolve())
    with bench() as (folder, weights, tokenizer):
        rows = alpaca_rows(tokenizer, given.rows)
        write_jsonl(rows, folder / "rows.jsonl")
        recipe = write_recipe(folder, "auto", {"sft": "sft"}, dtype="auto")
        measure_machine(recipe)
        common = {**SETTINGS, "model_name_or_path": str(_in_bfloat16(weights, folder)), **_dataset(rows, folder)}

        def theirs(name: str, **more: Any) -> Contender:
            def run(turn: int) -> dict[str, Any]:
                output = folder / f"factory-{turn}"
                config = folder / "factory.yaml"
                config.write_text(json.dumps({**common, **more, "output_dir": str(output)}), "utf-8")  # JSON is YAML
                used = spent([command, "train", str(config)], folder=folder, environment={"CUDA_VISIBLE_DEVICES": ""})
                loss = json.loads((output / "train_results.json").read_text("utf-8"))["train_loss"]
                shutil.rmtree(output)
                return {"cpu": used.cpu, "peak_mb": used.peak_mb, "loss": loss}

            return Contender(name, run)

        ours = Contender(OURS, lambda turn: run_itune(recipe, turn))
        contest(given, [theirs(DEFAULTS), theirs(PLAIN, disable_gradient_checkpointing=True), ours], GOALS)


def _in_bfloat16(weights: Path, folder: Path) -> Path:
    """A copy of the model whose config names bfloat16."""
    copy = folder / "bfloat16"
    shutil.copytree(weights, copy)
    config = json.loads((copy / "config.json").read_text("utf-8"))
    config |= {"dtype": "bfloat16", "torch_dtype": "bfloat16"}
    (copy / "config.json").write_text(json.dumps(config), "utf-8")
    return copy


def _dataset(rows: Rows, folder: Path) -> dict[str, str]:
    """The rows in LLaMA-Factory's own layout, and the settings that name them."""
    place = folder / "factory-data"
    place.mkdir()
    turns = [[message["content"] for message in row["messages"]] for row in rows]
    write_jsonl([{"instruction": ask, "input": "", "output": answer} for ask, answer in turns], place / "rows.jsonl")
    (place / "dataset_info.json").write_text(json.dumps({"rows": {"file_name": "rows.jsonl"}}), "utf-8")
    return {"dataset_dir": str(place)}


if __name__ == "__main__":
    main()
