"""Whole trainings of a two-layer model: what they learn, and that how they are carried out changes nothing."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from itune_core.api import Kind, ModelError, ModelSource, TrainedModel, conversation, message
from itune_core.testing.context import BenchContext
from itune_trainers.objectives.sft import SFT

Bench = Callable[..., BenchContext]
PLAIN = {"model": "tiny", "dtype": "float32", "device": "cpu", "learning_rate": 0.01, "batch_size": 4}


def sft(rows: datasets.Dataset, context: BenchContext, held_out: Any = None, **settings: Any) -> TrainedModel:
    inputs = {"train": rows} if held_out is None else {"train": rows, "eval": held_out}
    return SFT(SFT.Config(**{**PLAIN, **settings})).train(inputs, context)


def weights(made: TrainedModel) -> bytes:
    return (made.folder / "adapter_model.safetensors").read_bytes()


class Killed(Exception):
    pass


class KilledAt(BenchContext):
    """A bench whose process "dies" when it reports some step."""

    def __init__(self, *args: Any, step: int, **rest: Any) -> None:
        super().__init__(*args, **rest)
        self.step = step

    def progress(self, done: int, total: int | None = None, **figures: float) -> None:
        super().progress(done, total, **figures)
        if done == self.step:
            raise Killed


def test_it_learns_and_says_so(conversations: datasets.Dataset, bench: Bench) -> None:
    context = bench()
    made = sft(conversations, context, conversations, epochs=8)
    assert made.adapter_of == "tiny"
    assert {path.name for path in made.folder.iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "chat_template.jinja",
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert made.metrics["eval/loss"] < 0.5 * made.metrics["eval/loss/before"]
    assert made.metrics["steps"] == len(made.history) == 24
    assert made.metrics["supervised_tokens"] * 8 == sum(entry["supervised_tokens"] for entry in made.history)
    assert made.metrics["padding_free"] is True
    assert made.metrics["dtype"] == "float32"
    assert made.history[-1].keys() == {"step", "loss", "learning_rate", "grad_norm", "supervised_tokens"}
    assert context.reported[-1][:2] == (24, 24)


def test_the_saved_adapter_is_what_was_measured(
    conversations: datasets.Dataset, bench: Bench, tiny: ModelSource
) -> None:
    """Loaded by PEFT, without our layers, it has the loss that training reported."""
    from itune_core.api import records
    from itune_torch import lay_out, load_causal, load_tokenizer, sequence_logprobs
    from itune_trainers.rows.encoder import Encoder

    made = sft(conversations, bench(), conversations, epochs=4)
    source = replace(tiny, adapter=made.folder)
    encoder = Encoder(load_tokenizer(source), 256, "error")
    rows = [encoder.conversation(record) for record in records(conversations)]
    with torch.no_grad():
        sums, counts = sequence_logprobs(load_causal(source), lay_out(rows, 256))
    assert -(sums.sum() / counts.sum()).item() == pytest.approx(made.metrics["eval/loss"], abs=1e-5)


def test_it_learns_when_to_stop(conversations: datasets.Dataset, bench: Bench, tiny: ModelSource) -> None:
    from itune_torch import load_causal, load_tokenizer

    made = sft(conversations, bench(), epochs=40, learning_rate=0.02)
    source = replace(tiny, adapter=made.folder)
    tokenizer, model = load_tokenizer(source), load_causal(source)
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Add two and three."}], add_generation_prompt=True, return_tensors="pt"
    )
    out = model.generate(**prompt, max_new_tokens=20, do_sample=False)[0, prompt["input_ids"].shape[1] :]
    assert tokenizer.decode(out) == "Five.<|im_end|>"


@pytest.mark.parametrize("limit", [16, 90, 4096])
def test_how_rows_are_joined_changes_only_rounding(
    limit: int, conversations: datasets.Dataset, bench: Bench, tiny: ModelSource
) -> None:
    """Eleven rows in batches of four: the last batch is ragged, and every batch falls into other passes."""
    one_by_one = sft(conversations, bench("one"), tokens_per_forward=1)
    joined = sft(conversations, bench("joined"), tokens_per_forward=limit)
    for entry, other in zip(one_by_one.history, joined.history, strict=True):
        assert entry["loss"] == pytest.approx(other["loss"], abs=1e-5)
        assert entry["grad_norm"] == pytest.approx(other["grad_norm"], rel=1e-4)


def test_a_model_that_mixes_joined_rows_is_padded_and_it_says_so(
    conversations: datasets.Dataset, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined = sft(conversations, bench("joined"))
    monkeypatch.setattr("itune_torch.rows_are_isolated", lambda model: False)
    padded = sft(conversations, bench("padded"))
    assert padded.metrics["padding_free"] is False
    assert "read each other" in padded.metrics["padding_free_why"]
    for entry, other in zip(joined.history, padded.history, strict=True):
        assert entry["loss"] == pytest.approx(other["loss"], abs=1e-5)


def test_one_step_is_plain_adamw(conversations: datasets.Dataset, bench: Bench, tiny: ModelSource) -> None:
    """All weights, one batch: the same as a loop of ten lines over the padded batch with torch's own functions."""
    from itune_core.api import records
    from itune_torch import load_causal, load_tokenizer
    from itune_trainers.rows.encoder import Encoder

    made = sft(conversations, bench(), adapter="none", batch_size=11, learning_rate=1e-3, shuffle=False)
    model = load_causal(tiny)
    encoder = Encoder(load_tokenizer(tiny), 256, "error")
    rows = [encoder.conversation(record) for record in records(conversations)]
    losses = []
    for row in rows:
        labels = [token if on else -100 for token, on in zip(row.ids, row.trained, strict=True)]
        logits = model(torch.tensor([row.ids])).logits[0, :-1]
        losses.append(torch.nn.functional.cross_entropy(logits, torch.tensor(labels[1:]), reduction="sum"))
    loss = sum(losses) / sum(row.supervised for row in rows)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0).step()
    assert made.history[0]["loss"] == pytest.approx(loss.item(), abs=1e-5)
    saved = load_file(made.folder / "model.safetensors")
    for name, parameter in model.named_parameters():
        assert saved[name].dtype == torch.float32
        # Where a gradient is all rounding, Adam's first step still is lr long, either way.
        assert ((saved[name] - parameter).abs() > 1e-5).float().mean() < 0.01, name


def test_same_seed_same_bytes_other_seed_other_bytes(conversations: datasets.Dataset, bench: Bench) -> None:
    one, same, other = (sft(conversations, bench(name, seed=seed)) for name, seed in (("a", 1), ("b", 1), ("c", 2)))
    assert weights(one) == weights(same)
    assert one.history == same.history
    assert weights(one) != weights(other)


def test_the_global_generators_are_neither_used_nor_touched(conversations: datasets.Dataset, bench: Bench) -> None:
    made = sft(conversations, bench("a"), lora={"dropout": 0.2})
    torch.manual_seed(99)
    random.seed(99)
    np.random.seed(99)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    again = sft(conversations, bench("b"), lora={"dropout": 0.2})
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1:] == (random.getstate(), np.random.get_state()[1].tolist())
    assert weights(made) == weights(again)


def test_a_new_adapter_does_not_depend_on_the_rows(conversations: datasets.Dataset, bench: Bench) -> None:
    # With a rate too small to move a float32, what is saved is what the adapter was at the start.
    still = {"learning_rate": 1e-30, "shuffle": False}
    one = sft(conversations, bench("a"), **still)
    other = sft(conversations.select(range(10, -1, -1)), bench("b"), **still)
    start = {
        name: tensor for name, tensor in load_file(one.folder / "adapter_model.safetensors").items() if "_A" in name
    }
    end = load_file(other.folder / "adapter_model.safetensors")
    assert start
    assert all(torch.equal(tensor, end[name]) for name, tensor in start.items())


def test_activation_checkpointing_gives_the_same_bits(conversations: datasets.Dataset, bench: Bench) -> None:
    plain = sft(conversations, bench("a"), lora={"dropout": 0.2})
    checkpointed = sft(conversations, bench("b"), lora={"dropout": 0.2}, gradient_checkpointing=True)
    assert weights(plain) == weights(checkpointed)


@pytest.mark.parametrize(
    "settings", [{}, {"lora": {"dropout": 0.2}}, {"adapter": "none"}, {"weight_decay": 0.1, "schedule": "cosine"}]
)
def test_a_killed_training_ends_with_the_same_bits(
    settings: dict[str, Any], conversations: datasets.Dataset, bench: Bench, tmp_path: Path, tiny: ModelSource
) -> None:
    settings = {**settings, "epochs": 3, "save_steps": 2, "learning_rate": 0.01}
    whole = sft(conversations, bench("whole"), conversations, **settings)
    for step in (3, 8):
        with pytest.raises(Killed):
            sft(
                conversations,
                KilledAt(tmp_path / "killed", models={"tiny": tiny}, step=step),
                conversations,
                **settings,
            )
    context = bench("killed")
    # Other settings of how, not what: they may change while it is down.
    resumed = sft(
        conversations, context, conversations, **{**settings, "save_steps": 5, "gradient_checkpointing": True}
    )
    stepped = [done for done, _, figures in context.reported if figures]
    assert stepped == [7, 8, 9], "six of the nine steps were in the last checkpoint"
    assert resumed.history == whole.history
    assert resumed.metrics == whole.metrics
    for path in whole.folder.iterdir():
        assert path.read_bytes() == (resumed.folder / path.name).read_bytes(), path.name


def test_checkpoints_of_another_training_are_refused(
    conversations: datasets.Dataset, tmp_path: Path, tiny: ModelSource
) -> None:
    context = KilledAt(tmp_path / "x", models={"tiny": tiny}, step=2)
    with pytest.raises(Killed):
        sft(conversations, context, save_steps=1)
    context.step = -1
    with pytest.raises(ModelError, match="learning_rate changed") as caught:
        sft(conversations, context, save_steps=1, learning_rate=0.02)
    assert caught.value.code == "E-TRAIN-021"
    context.seed = 1
    with pytest.raises(ModelError, match="seeds changed"):
        sft(conversations, context, save_steps=1, shuffle=True)


def test_a_loss_that_is_not_finite_stops_with_the_rows(
    conversations: datasets.Dataset, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("itune_trainers.losses.sft_loss", lambda logps, tokens: logps * float("nan"))
    with pytest.raises(ModelError, match="astray at step 1") as caught:
        sft(conversations, bench(), shuffle=False)
    assert caught.value.where == "c0, c1, c2, c3"


def test_the_mean_can_be_over_rows(conversations: datasets.Dataset, bench: Bench) -> None:
    rows = conversations.select([0, 4])
    per_row = [sft(rows.select([n]), bench(f"row{n}")).history[0]["loss"] for n in (0, 1)]
    both = sft(rows, bench("sequence"), normalise="sequence").history[0]["loss"]
    assert both == pytest.approx(sum(per_row) / 2, abs=1e-5)
    assert sft(rows, bench("token")).history[0]["loss"] != pytest.approx(both, abs=1e-3)


def test_a_mixers_order_is_followed(conversations: datasets.Dataset, bench: Bench) -> None:
    phases = [0] * 6 + [1] * 5
    mixed = sft(conversations.add_column("phase", phases), bench("mixed"), batch_size=1)
    given = sft(conversations, bench("given"), batch_size=1, shuffle=False)
    shuffled = sft(conversations, bench("shuffled"), batch_size=1)
    tokens = [[entry["supervised_tokens"] for entry in made.history] for made in (mixed, given, shuffled)]
    assert tokens[0] == tokens[1] != tokens[2]


def test_steps_end_where_a_mixer_s_phases_and_epochs_do(
    conversations: datasets.Dataset, bench: Bench, dataset: Any
) -> None:
    forged = conversation([message("user", "Hi"), message("assistant", "x<|im_end|>y")]).replace(id="forged")
    rows = datasets.concatenate_datasets([dataset(Kind.CONVERSATION, [forged]), conversations])  # the first is left out
    ordered = rows.add_column("phase", [0] * 6 + [1] * 6).add_column("epoch", [0] * 6 + [0] * 2 + [1] * 4)
    given = [list(conversations["id"])[start:end] for start, end in ((0, 4), (4, 5), (5, 7), (7, 11))]
    tokens = {
        item: sft(conversations.select([number]), bench(item)).metrics["supervised_tokens"]
        for number, item in enumerate(conversations["id"])
    }
    made = sft(ordered, bench("mixed"), batch_size=4)
    assert [entry["supervised_tokens"] for entry in made.history] == [sum(map(tokens.get, step)) for step in given]


def test_dropped_and_failed_rows_are_handed_back(dataset: Any, bench: Bench) -> None:
    rows = dataset(
        Kind.CONVERSATION,
        [
            conversation([message("user", "Hi"), message("assistant", answer)]).replace(id=row)
            for row, answer in (("good", "Hello."), ("long", "very " * 300), ("forged", "x<|im_end|>y"))
        ],
    )
    made = sft(rows, bench(), overlength="drop", max_length=64)
    assert {row: type(outcome).__name__ for row, outcome in made.dropped.items()} == {
        "long": "Drop",
        "forged": "Failed",
    }
    assert made.metrics["records"] == 1


class TestAdapterOfTheParent:
    @pytest.fixture
    def parent(self, conversations: datasets.Dataset, bench: Bench, tiny: ModelSource, tmp_path: Path) -> ModelSource:
        made = sft(
            conversations, bench("parent"), epochs=4, lora={"rank": 4, "alpha": 12, "targets": ["q_proj", "v_proj"]}
        )
        shutil.copytree(made.folder, tmp_path / "adapter")
        return replace(tiny, spec="parent", identity="tiny-1+adapter", adapter=tmp_path / "adapter")

    def test_it_is_trained_on_as_it_is(
        self, parent: ModelSource, conversations: datasets.Dataset, bench: Bench
    ) -> None:
        made = sft(conversations, bench("child", parent=parent), model="parent", learning_rate=1e-30)
        assert made.adapter_of == "parent"
        assert parent.adapter is not None
        old, new = (load_file(folder / "adapter_model.safetensors") for folder in (parent.adapter, made.folder))
        assert old.keys() == new.keys()
        assert all(torch.equal(old[name], new[name]) for name in old if "lora_A" in name)
        configs = [json.loads((folder / "adapter_config.json").read_text()) for folder in (parent.adapter, made.folder)]
        names = ("r", "lora_alpha", "target_modules")
        assert [configs[0][name] for name in names] == [configs[1][name] for name in names]

    def test_the_same_shape_may_be_said(
        self, parent: ModelSource, conversations: datasets.Dataset, bench: Bench
    ) -> None:
        shape = {"rank": 4, "alpha": 12, "targets": ["v_proj", "q_proj"]}
        assert sft(conversations, bench("child", parent=parent), model="parent", lora=shape).adapter_of == "parent"

    def test_another_shape_is_refused_with_the_difference(
        self, parent: ModelSource, conversations: datasets.Dataset, bench: Bench
    ) -> None:
        with pytest.raises(ModelError) as caught:
            sft(conversations, bench("child", parent=parent), model="parent", lora={})
        assert caught.value.code == "E-TRAIN-010"
        why = caught.value.why or ""
        assert "rank 4, not 16" in why
        assert "alpha 12, not 32" in why
        assert "targets ['q_proj', 'v_proj'], not all-linear" in why

    def test_it_is_merged_to_train_all_weights(
        self, parent: ModelSource, conversations: datasets.Dataset, bench: Bench
    ) -> None:
        made = sft(
            conversations,
            bench("child", parent=parent),
            conversations,
            model="parent",
            adapter="none",
            learning_rate=1e-30,
        )
        same = sft(conversations, bench("same", parent=parent), conversations, model="parent")
        assert made.adapter_of is None
        assert (made.folder / "tokenizer.json").is_file()
        assert not (made.folder / "adapter_config.json").exists()
        assert made.metrics["eval/loss/before"] == pytest.approx(same.metrics["eval/loss/before"], abs=1e-5)
        assert str(parent.files) not in (made.folder / "config.json").read_text()


def test_a_target_that_is_no_layer_is_named(conversations: datasets.Dataset, bench: Bench) -> None:
    with pytest.raises(ModelError, match="no linear layer named qproj") as caught:
        sft(conversations, bench(), lora={"targets": ["qproj"]})
    assert "q_proj" in (caught.value.fix or "")


def test_bfloat16_weights_stay_frozen_and_the_adapter_float32(conversations: datasets.Dataset, bench: Bench) -> None:
    made = sft(conversations, bench("low"), conversations, dtype="bfloat16", epochs=4)
    full = sft(conversations, bench("full"), conversations, epochs=4)
    assert {tensor.dtype for tensor in load_file(made.folder / "adapter_model.safetensors").values()} == {torch.float32}
    assert made.metrics["eval/loss"] == pytest.approx(full.metrics["eval/loss"], rel=0.05)
