"""Shapes of an adapter beside plain LoRA: what is trained, saved and merged is what PEFT computes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import datasets
import pytest
import torch
from safetensors.torch import load_file

from itune_core.api import ModelError, ModelSource, TrainedModel
from itune_core.testing.context import BenchContext
from itune_trainers.objectives.sft import SFT

Bench = Callable[..., BenchContext]


def sft(rows: datasets.Dataset, context: BenchContext, held_out: Any = None, **settings: Any) -> TrainedModel:
    plain = {"model": "tiny", "dtype": "float32", "device": "cpu", "learning_rate": 0.01, "batch_size": 4}
    inputs = {"train": rows} if held_out is None else {"train": rows, "eval": held_out}
    return SFT(SFT.Config(**{**plain, **settings})).train(inputs, context)


@pytest.mark.parametrize("shape", [{"dora": True}, {"rslora": True}, {"dora": True, "rslora": True}])
def test_training_is_what_peft_alone_computes(
    shape: dict[str, bool], conversations: datasets.Dataset, bench: Bench, tiny: ModelSource
) -> None:
    """Three steps against a loop over PEFT's own layers and optimiser, row by row, from the same start."""
    from peft import LoraConfig, get_peft_model

    from itune_core.api import records
    from itune_torch import load_causal, load_tokenizer
    from itune_trainers.model.seeds import seeded
    from itune_trainers.rows.encoder import Encoder

    context = bench()
    made = sft(conversations, context, lora={"rank": 4, "alpha": 8, **shape}, batch_size=4, shuffle=False)

    base = load_causal(tiny).requires_grad_(False)
    names = sorted(name for name, module in base.named_modules() if "proj" in name)
    config = LoraConfig(
        r=4,
        lora_alpha=8,
        target_modules=names,
        task_type="CAUSAL_LM",
        use_dora=shape.get("dora", False),
        use_rslora=shape.get("rslora", False),
    )
    with seeded(context.rng("adapter").getrandbits(63)):
        model = get_peft_model(base, config)
    encoder = Encoder(load_tokenizer(tiny), 256, "error")
    rows = [encoder.conversation(record) for record in records(conversations)]
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, weight_decay=0.0)
    for step, start in enumerate((0, 4, 8)):
        batch = rows[start : start + 4]
        optimizer.param_groups[0]["lr"] = 0.01 * (1 - step / 3)
        optimizer.zero_grad()
        loss = torch.zeros(())
        for row in batch:
            labels = [token if on else -100 for token, on in zip(row.ids, row.trained, strict=True)]
            logits = model(torch.tensor([row.ids])).logits[0, :-1]
            loss = loss + torch.nn.functional.cross_entropy(logits, torch.tensor(labels[1:]), reduction="sum")
        loss = loss / sum(row.supervised for row in batch)
        assert made.history[step]["loss"] == pytest.approx(loss.item(), abs=1e-4), step
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
    config_saved = json.loads((made.folder / "adapter_config.json").read_text())
    assert config_saved["use_dora"] is shape.get("dora", False)
    assert config_saved["use_rslora"] is shape.get("rslora", False)


def test_dora_is_saved_and_merges_as_it_was_measured(
    conversations: datasets.Dataset, bench: Bench, tiny: ModelSource
) -> None:
    from itune_core.api import records
    from itune_torch import lay_out, load_causal, load_tokenizer, sequence_logprobs
    from itune_trainers.rows.encoder import Encoder

    made = sft(conversations, bench(), conversations, epochs=4, lora={"rank": 4, "alpha": 8, "dora": True})
    saved = load_file(made.folder / "adapter_model.safetensors")
    lengths = {name: tensor for name, tensor in saved.items() if "magnitude" in name}
    assert len(lengths) == 14, "seven linear layers in each of two blocks"
    source = replace(tiny, adapter=made.folder)
    encoder = Encoder(load_tokenizer(source), 256, "error")
    rows = [encoder.conversation(record) for record in records(conversations)]
    start = load_causal(tiny).model.layers[0].mlp.up_proj.weight.norm(dim=1)
    moved = next(tensor for name, tensor in lengths.items() if "layers.0.mlp.up_proj" in name)
    assert (moved - start).abs().max() > 0.01, "the lengths are trained, too"
    for how in ("attach", "merge"):
        with torch.no_grad():
            sums, counts = sequence_logprobs(load_causal(source, adapter=how), lay_out(rows, 256))
        assert -(sums.sum() / counts.sum()).item() == pytest.approx(made.metrics["eval/loss"], abs=1e-5), how


def test_dora_trains_float32_on_bfloat16_weights(conversations: datasets.Dataset, bench: Bench) -> None:
    settings = {"lora": {"dora": True}, "epochs": 4}
    low = sft(conversations, bench("low"), conversations, dtype="bfloat16", **settings)
    full = sft(conversations, bench("full"), conversations, **settings)
    assert {tensor.dtype for tensor in load_file(low.folder / "adapter_model.safetensors").values()} == {torch.float32}
    assert low.metrics["eval/loss"] == pytest.approx(full.metrics["eval/loss"], rel=0.05)


def test_an_adapter_of_another_kind_is_named(conversations: datasets.Dataset, bench: Bench, tiny: ModelSource) -> None:
    made = sft(conversations, bench("parent"), lora={"dora": True})
    parent = replace(tiny, spec="parent", identity="tiny-1+adapter", adapter=made.folder)
    on = sft(conversations, bench("as it is", parent=parent), model="parent")
    assert json.loads((on.folder / "adapter_config.json").read_text())["use_dora"] is True
    with pytest.raises(ModelError) as caught:
        sft(conversations, bench("child", parent=parent), model="parent", lora={"rslora": True})
    assert caught.value.code == "E-TRAIN-010"
    assert "dora true, not false" in (caught.value.why or "")
    assert "rslora false, not true" in (caught.value.why or "")
