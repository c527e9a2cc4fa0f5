"""The loss of one batch equals TRL's on the same rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import datasets
import pytest
import torch

from itune_core.api import ModelSource, records
from itune_trainers.dpo import DPO
from itune_trainers.examples import Encoder
from itune_trainers.forward import Forward
from itune_trainers.loop import mean_loss
from itune_trainers.sft import SFT

pytest.importorskip("trl")
ARGUMENTS = {
    "per_device_train_batch_size": 11,
    "use_cpu": True,
    "bf16": False,
    "report_to": "none",
    "save_strategy": "no",
    "gradient_checkpointing": False,
    "disable_tqdm": True,
    "max_length": 256,
}


def turns(messages: list[dict[str, Any]]) -> list[dict[str, str]]:
    return [{"role": message["role"], "content": message["content"]} for message in messages]


def test_sft(tiny: ModelSource, conversations: datasets.Dataset, tmp_path: Path) -> None:
    from trl import SFTConfig, SFTTrainer

    from itune_torch import load_causal, load_tokenizer

    tokenizer = load_tokenizer(tiny)
    rows = datasets.Dataset.from_list(
        [
            {"prompt": turns(row["messages"][:-1]), "completion": turns(row["messages"][-1:])}
            for row in conversations.to_list()
        ]
    )
    trainer = SFTTrainer(
        model=load_causal(tiny),
        args=SFTConfig(str(tmp_path), **ARGUMENTS),
        train_dataset=rows,
        processing_class=tokenizer,
    )
    theirs = trainer.compute_loss(trainer.model, next(iter(trainer.get_train_dataloader()))).item()

    sft = SFT(SFT.Config(model="tiny"))
    encoder = Encoder(tokenizer, 256, "error")
    examples = [sft.example(record, encoder) for record in records(conversations)]
    with torch.no_grad():
        ours = mean_loss(sft, Forward(load_causal(tiny), "cpu", 64), examples)["loss"]
    assert ours == pytest.approx(theirs, abs=1e-5)


def test_dpo(tiny: ModelSource, pairs: datasets.Dataset, tmp_path: Path) -> None:
    from trl import DPOConfig, DPOTrainer

    from itune_torch import load_causal, load_tokenizer, make_tiny_llama

    tokenizer = load_tokenizer(tiny)
    # A reference that is another model, or every loss would be log 2 and nothing compared.
    other = ModelSource(make_tiny_llama(tmp_path / "other", seed=1), "transformers", "tiny-2", "other")
    rows = datasets.Dataset.from_list(
        [{key: turns(row[key]) for key in ("prompt", "chosen", "rejected")} for row in pairs.to_list()]
    )
    trainer = DPOTrainer(
        model=load_causal(tiny),
        ref_model=load_causal(other),
        args=DPOConfig(str(tmp_path), beta=0.3, **ARGUMENTS),
        train_dataset=rows,
        processing_class=tokenizer,
    )
    theirs = trainer.compute_loss(trainer.model, next(iter(trainer.get_train_dataloader()))).item()

    dpo = DPO(DPO.Config(model="tiny", beta=0.3))
    encoder = Encoder(tokenizer, 256, "error")
    examples = [dpo.example(record, encoder) for record in records(pairs)]
    with torch.no_grad():
        reference = {example.id: Forward(load_causal(other), "cpu", 64)([example]).policy for example in examples}
        ours = mean_loss(dpo, Forward(load_causal(tiny), "cpu", 64, reference), examples)["loss"]
    assert abs(ours - 0.6931) > 0.1
    assert ours == pytest.approx(theirs, abs=1e-5)
