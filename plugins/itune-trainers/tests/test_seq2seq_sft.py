"""An encoder-decoder model is taught rows that nobody could guess, and then writes them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import datasets
import pytest
from pydantic import ValidationError

from itune_core.api import DataError, Failed, Kind, ModelError, ModelSource, TrainedModel, conversation, message
from itune_core.testing.context import BenchContext
from itune_trainers.objectives.seq2seq_sft import Seq2SeqSFT

Bench = Callable[..., BenchContext]
PLAIN = {"model": "t5", "dtype": "float32", "device": "cpu", "learning_rate": 2e-3, "batch_size": 8}

WHO = ["fox", "owl", "hen", "carp", "mole", "wasp", "toad", "lynx"]
WHERE = ["barn", "well", "attic", "harbour"]
DOES = ["sleeps", "waits", "sings", "digs", "hides", "reads"]
DOOR = ["red", "blue", "grey", "green", "white"]
ROWS = [
    (
        f"What does the {who} do in the {where}?",
        f"It {DOES[(n * 5 + n // 7) % 6]} by the {DOOR[(n * 3 + n // 4) % 5]} door.",
    )
    for n, (who, where) in enumerate(product(WHO, WHERE))
]


@pytest.fixture(scope="module")
def t5(tmp_path_factory: pytest.TempPathFactory) -> ModelSource:
    from itune_torch import make_tiny_t5

    folder = make_tiny_t5(tmp_path_factory.mktemp("t5"), [text for row in ROWS for text in row])
    return ModelSource(folder, "transformers", "t5-1", "t5")


@pytest.fixture(scope="module")
def rows(dataset: Any) -> datasets.Dataset:
    """32 questions, no two alike, and answers that do not follow from them."""
    return dataset(
        Kind.CONVERSATION,
        (
            conversation([message("user", asked), message("assistant", answer)]).replace(id=f"r{number}")
            for number, (asked, answer) in enumerate(ROWS)
        ),
    )


@pytest.fixture
def learn(bench: Bench, t5: ModelSource, rows: datasets.Dataset) -> Callable[..., TrainedModel]:
    def train(name: str = "bench", data: Any = rows, held_out: Any = None, **settings: Any) -> TrainedModel:
        inputs = {"train": data} if held_out is None else {"train": data, "eval": held_out}
        return Seq2SeqSFT(Seq2SeqSFT.Config(**{**PLAIN, **settings})).train(inputs, bench(name, t5=t5))

    return train


def trained(t5: ModelSource, made: TrainedModel) -> ModelSource:
    """As the engine names what a step trained."""
    if made.adapter_of is None:
        return ModelSource(made.folder, "transformers", "new", "new", architecture=made.architecture)
    return replace(t5, adapter=made.folder, architecture=made.architecture)


def answers(source: ModelSource) -> list[str]:
    from itune_torch import encode_source, generate, load_seq2seq, load_tokenizer

    tokenizer, model = load_tokenizer(source), load_seq2seq(source, adapter="merge")
    prompts = [encode_source(tokenizer, asked) for asked, _ in ROWS]
    made = generate(model, tokenizer, prompts, max_new_tokens=20)
    assert all(each.finish_reason == "stop" for each in made)
    return [each.text for each in made]


BY_HEART = [
    pytest.param({"adapter": "none", "epochs": 30}, id="full"),
    pytest.param({"lora": {"rank": 64, "alpha": 64}, "epochs": 50}, id="lora"),
]


@pytest.mark.parametrize("settings", BY_HEART)
def test_32_rows_are_learnt_by_heart(
    settings: dict[str, Any], learn: Callable[..., TrainedModel], t5: ModelSource
) -> None:
    """In 120 steps with all weights; in 200 with an adapter on a random model whose embeddings and head stay random."""
    made = learn(**settings)
    assert made.architecture == "seq2seq"
    assert answers(trained(t5, made)) == [answer for _, answer in ROWS]
    assert made.metrics["supervised_tokens"] == 32 * 8  # six words, the full stop and the end
    assert made.metrics["padding_free"] is False
    assert made.history[0]["loss"] > 5


def test_what_was_saved_is_what_was_measured(
    learn: Callable[..., TrainedModel], t5: ModelSource, rows: datasets.Dataset
) -> None:
    """Loaded without our layers it has the loss that training reported; and the adapter can be trained further."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    made = learn(held_out=rows, epochs=2)
    assert made.metrics["eval/loss"] < made.metrics["eval/loss/before"]
    tokenizer = AutoTokenizer.from_pretrained(t5.files)
    model = PeftModel.from_pretrained(AutoModelForSeq2SeqLM.from_pretrained(t5.files), str(made.folder)).eval()
    losses, tokens = 0.0, 0
    with torch.no_grad():
        for asked, answer in ROWS:
            labels = tokenizer(text_target=answer, return_tensors="pt")["input_ids"]
            out = model(input_ids=tokenizer(asked, return_tensors="pt")["input_ids"], labels=labels)
            losses, tokens = losses + out.loss.item() * labels.numel(), tokens + labels.numel()
    assert losses / tokens == pytest.approx(made.metrics["eval/loss"], abs=1e-5)

    step = Seq2SeqSFT(Seq2SeqSFT.Config(**{**PLAIN, "model": "first"}))
    context = BenchContext(made.folder.parent / "second", models={"first": trained(t5, made)})
    again = step.train({"train": rows, "eval": rows}, context)
    assert again.metrics["eval/loss/before"] == pytest.approx(made.metrics["eval/loss"], abs=1e-5)
    assert again.metrics["eval/loss"] < made.metrics["eval/loss"]


@pytest.mark.parametrize("normalise", ["token", "sequence"])
def test_how_rows_are_batched_changes_only_rounding(
    normalise: str, learn: Callable[..., TrainedModel], dataset: Any
) -> None:
    """Rows of very different lengths on either side; the last batch is ragged."""
    words = ["the", "sky", "is", "blue", "because", "air", "scatters", "short", "waves", "of", "light", "and", "why"]
    uneven = dataset(
        Kind.CONVERSATION,
        (
            conversation(
                [
                    message("user", " ".join(words[: 1 + 5 * n % 13])),
                    message("assistant", " ".join(words[: 1 + 3 * n % 11])),
                ]
            ).replace(id=f"u{n}")
            for n in range(11)
        ),
    )
    how: dict[str, Any] = {"data": uneven, "batch_size": 4, "normalise": normalise}
    one_by_one = learn("one", tokens_per_forward=1, **how)
    for limit in (90, 4096):
        joined = learn(f"joined-{limit}", tokens_per_forward=limit, **how)
        for entry, other in zip(one_by_one.history, joined.history, strict=True):
            assert entry["loss"] == pytest.approx(other["loss"], abs=1e-5)
            assert entry["grad_norm"] == pytest.approx(other["grad_norm"], rel=1e-4)


def test_recomputed_activations_change_only_rounding(learn: Callable[..., TrainedModel]) -> None:
    kept, again = learn("kept", adapter="none"), learn("again", adapter="none", gradient_checkpointing=True)
    assert [entry["loss"] for entry in again.history] == pytest.approx([entry["loss"] for entry in kept.history])


def test_dropout_is_the_models_own(
    learn: Callable[..., TrainedModel], t5: ModelSource, rows: datasets.Dataset, tmp_path: Path
) -> None:
    """T5's own config asks for a tenth, that of the model here for none; held-out rows are measured without."""
    folder = shutil.copytree(t5.files, tmp_path / "dropping")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "dropout_rate": 0.1}))
    plain = learn(held_out=rows)
    context = BenchContext(tmp_path / "bench", models={"t5": replace(t5, files=folder)})
    dropping = Seq2SeqSFT(Seq2SeqSFT.Config(**PLAIN)).train({"train": rows, "eval": rows}, context)
    assert dropping.metrics["eval/loss/before"] == plain.metrics["eval/loss/before"]
    assert dropping.history[0]["loss"] != plain.history[0]["loss"]


def test_what_a_decoder_cannot_be_taught_is_failed_by_itself(learn: Callable[..., TrainedModel], dataset: Any) -> None:
    asked, answer = message("user", "Why is the sky blue?"), message("assistant", "Because air scatters light.")
    system = message("system", "The user asks a question.")
    talks = {
        "good": [asked, answer],
        "with-system": [system, asked, answer],
        "untrained": [asked, {**answer, "train": False}],
        "turns": [asked, answer, asked, answer],
        "earlier": [asked, {**answer, "train": True}, asked, answer],
        "braces": [asked, message("assistant", "Because {so}.")],
        "end": [message("user", "Is this the end: </s>?"), answer],
    }
    data = dataset(Kind.CONVERSATION, (conversation(talk).replace(id=name) for name, talk in talks.items()))
    made = learn(data=data)
    assert made.metrics["records"] == 2
    codes = {name: item.code for name, item in made.dropped.items() if isinstance(item, Failed)}
    assert codes == {
        "untrained": "E-TRAIN-061",
        "turns": "E-TORCH-041",
        "earlier": "E-TRAIN-061",
        "braces": "E-TORCH-042",
        "end": "E-TRAIN-003",
    }


def test_long_rows_follow_the_policy(learn: Callable[..., TrainedModel]) -> None:
    with pytest.raises(DataError, match="E-TRAIN-001"):
        learn("error", max_length=10)
    cut = learn("cut", max_length=12, overlength="truncate-prompt")
    assert cut.metrics["truncated_records"] == 32
    assert cut.metrics["truncated_answers"] == 0
    assert cut.metrics["supervised_tokens"] == 32 * 8


def test_only_encoder_decoder_models(bench: Bench, rows: datasets.Dataset) -> None:
    step = Seq2SeqSFT(Seq2SeqSFT.Config(**{**PLAIN, "model": "tiny"}))
    with pytest.raises(ModelError, match="E-TRAIN-060") as failure:
        step.train({"train": rows}, bench())
    assert "trainers/sft" in (failure.value.fix or "")


def test_keys_of_other_trainers_are_refused() -> None:
    for key in ({"beta": 0.1}, {"neftune_alpha": 5.0}, {"max_target_length": 128}):
        with pytest.raises(ValidationError, match="Extra inputs"):
            Seq2SeqSFT.Config(model="t5", **key)


@pytest.mark.parametrize("quantize", ["4bit", "8bit"])
def test_an_adapter_on_quantised_weights(quantize: str, learn: Callable[..., TrainedModel]) -> None:
    pytest.importorskip("bitsandbytes", reason="pip install 'itune-trainers[quantize]'")
    plain, held = learn("plain", epochs=2), learn("held", epochs=2, quantize=quantize)
    assert held.history[0]["loss"] == pytest.approx(plain.history[0]["loss"], rel=0.05)
    assert held.history[-1]["loss"] < 0.8 * held.history[0]["loss"]
