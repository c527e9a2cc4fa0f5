"""Encoder-decoder models: log-probabilities and answers are plain transformers', whatever stands beside a row."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from itune_core.api import ModelError, ModelSource
from itune_torch import (
    Encoded,
    decoder_start,
    encode_source,
    generate,
    is_seq2seq,
    load_causal,
    load_seq2seq,
    load_tokenizer,
    logprobs,
    make_tiny_t5,
    pad_seq2seq,
    sequence_logprobs,
    sides,
)

relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)

QUESTIONS = ["Why is the sky blue?", "Hi", "Write a short letter to a neighbour who has lent you a ladder."]


def row(source: list[int], target: list[int]) -> Encoded:
    return Encoded(source + target, [False] * len(source) + [True] * len(target))


ROWS = [row([5, 9, 31, 44, 1], [7, 12, 1]), row([17, 1], [40, 3, 8, 8, 1]), row([8, 8, 8, 25, 51, 52, 60, 1], [1])]


@pytest.fixture(scope="module")
def t5(tmp_path_factory: pytest.TempPathFactory) -> ModelSource:
    return ModelSource(make_tiny_t5(tmp_path_factory.mktemp("t5")), "transformers", "t5-0", "./t5")


@pytest.fixture(scope="module")
def t5_model(t5: ModelSource) -> Any:
    return load_seq2seq(t5).requires_grad_(False)


def reference(model: nn.Module, rows: list[Encoded]) -> Tensor:
    """Row by row, transformers' own shift of the labels, all logits, log_softmax: nothing clever."""
    found = []
    for each in rows:
        source, _ = sides(each)
        labels = torch.tensor([each.ids[source:]])
        logits = model(input_ids=torch.tensor([each.ids[:source]]), labels=labels).logits[0].float()
        found.append(logits.log_softmax(-1).gather(1, labels[0, :, None]).squeeze(1))
    return torch.cat(found)


@st.composite
def encoded_rows(draw: st.DrawFn) -> list[Encoded]:
    ids = st.lists(st.integers(0, 190), min_size=1, max_size=12)
    return draw(st.lists(st.builds(row, ids, ids), min_size=1, max_size=5))


@relaxed
@given(rows=encoded_rows(), chunk=st.integers(1, 40))
def test_padded_is_row_by_row(t5_model: Any, rows: list[Encoded], chunk: int) -> None:
    batch = pad_seq2seq(rows, decoder_start(t5_model))
    expected = reference(t5_model, rows)
    torch.testing.assert_close(logprobs(t5_model, batch, chunk=chunk), expected, atol=1e-5, rtol=1e-5)
    sums, counts = sequence_logprobs(t5_model, [batch])
    assert counts.tolist() == [each.supervised for each in rows] == [sides(each)[1] for each in rows]
    each_sum = torch.stack([part.sum() for part in expected.split(counts.tolist())])
    torch.testing.assert_close(sums, each_sum, atol=1e-4, rtol=1e-5)


def random_model(name: str) -> Any:
    """T5 of the first form scales what its tied head gets; FLAN-T5's head is its own; BART adds to its logits."""
    import transformers

    small: dict[str, Any] = {"vocab_size": 64, "d_model": 32, "decoder_start_token_id": 0, "pad_token_id": 0}
    t5 = {**small, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4}
    bart = {"encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4, "decoder_attention_heads": 4}
    bart |= {"encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "max_position_embeddings": 64, "init_std": 0.2}
    torch.manual_seed(3)
    if name == "bart":
        model = transformers.BartForConditionalGeneration(transformers.BartConfig(**small, **bart))
        model.final_logits_bias.normal_()
    elif name == "t5":
        model = transformers.T5ForConditionalGeneration(transformers.T5Config(**t5))
        assert model.config.scale_decoder_outputs
    else:
        config = transformers.T5Config(**t5, feed_forward_proj="gated-gelu", tie_word_embeddings=False)
        model = transformers.T5ForConditionalGeneration(config)
        model.lm_head.weight = nn.Parameter(torch.randn(64, 32) * 0.2)
        assert not model.config.scale_decoder_outputs
    return model.eval()


@pytest.mark.parametrize("name", ["t5", "flan", "bart"])
def test_architectures_and_their_gradients(name: str, tmp_path: Path) -> None:
    """The same before and after saving; twice, because what a first call learns about a head, the second uses."""
    random_model(name).save_pretrained(tmp_path)
    source = ModelSource(tmp_path, "transformers", name, name)
    assert is_seq2seq(source)
    model, plain = load_seq2seq(source), random_model(name)
    for _ in range(2):
        model.zero_grad()
        found = logprobs(model, pad_seq2seq(ROWS[:2], decoder_start(model)))
        expected = reference(plain, ROWS[:2])
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
        weights = torch.linspace(1, 2, len(found))
        (found * weights).sum().backward()
    (expected * weights).sum().backward()
    others = dict(plain.named_parameters())
    for parameter, weight in model.named_parameters():
        torch.testing.assert_close(weight.grad, others[parameter].grad, atol=1e-4, rtol=1e-4, msg=parameter)


@pytest.mark.parametrize("name", ["t5", "bart"])
def test_it_is_no_causal_model(name: str, tmp_path: Path) -> None:
    """Of a BART, transformers makes one that reads its prompt with the decoder, and says nothing."""
    random_model(name).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="an encoder-decoder model, not a causal one") as error:
        load_causal(ModelSource(tmp_path, "transformers", name, name))
    assert error.value.code == "E-TORCH-035"
    assert "seq2seq-sft" in (error.value.fix or "")


def test_the_same_texts_and_seed_make_the_same_tiny_model(t5: ModelSource, tmp_path: Path) -> None:
    again, other = make_tiny_t5(tmp_path / "again"), make_tiny_t5(tmp_path / "other", ["Ein Wort mehr."], seed=1)
    for file in t5.files.iterdir():
        assert (again / file.name).read_bytes() == file.read_bytes()
    assert (other / "model.safetensors").read_bytes() != (again / "model.safetensors").read_bytes()


def test_what_is_an_encoder_decoder_model(t5: ModelSource, tiny: ModelSource, tmp_path: Path) -> None:
    assert is_seq2seq(t5)
    assert not is_seq2seq(tiny)
    assert not is_seq2seq(ModelSource(tmp_path, "gguf", "x", "x"))
    assert is_seq2seq(ModelSource(tmp_path, "transformers", "x", "step", architecture="seq2seq"))
    with pytest.raises(ModelError, match="E-TORCH-006") as failure:
        load_seq2seq(tiny)
    assert "an encoder-decoder language model" in (failure.value.fix or "")


def test_pickled_weights_are_never_opened(t5: ModelSource, tmp_path: Path) -> None:
    shutil.copytree(t5.files, tmp_path / "m")
    (tmp_path / "m" / "model.safetensors").rename(tmp_path / "m" / "pytorch_model.bin")
    with pytest.raises(ModelError, match="E-TORCH-005"):
        load_seq2seq(ModelSource(tmp_path / "m", "transformers", "m", "m"))


def test_a_model_that_does_not_say_how_to_begin(t5_model: Any) -> None:
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(vocab_size=8, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
    with pytest.raises(ModelError, match="E-TORCH-043"):
        decoder_start(T5ForConditionalGeneration(config))
    assert decoder_start(t5_model) == 0


def test_greedy_answers_are_those_of_transformers(t5: ModelSource, t5_model: Any) -> None:
    tokenizer = load_tokenizer(t5)
    prompts = [encode_source(tokenizer, question) for question in QUESTIONS]
    found = generate(t5_model, tokenizer, prompts, max_new_tokens=8)
    for prompt, answer in zip(prompts, found, strict=True):
        with torch.no_grad():
            out = t5_model.generate(input_ids=torch.tensor([prompt]), max_new_tokens=8, do_sample=False)[0, 1:]
        assert answer.ids == out.tolist()
        assert answer.text == tokenizer.decode(out, skip_special_tokens=True)
        assert (answer.finish_reason, answer.prompt_tokens) == ("length", len(prompt))


def test_beams_of_a_models_own_config_are_not_used(t5: ModelSource, t5_model: Any, tmp_path: Path) -> None:
    """BART for summaries is saved with four."""
    folder = shutil.copytree(t5.files, tmp_path / "beams")
    config = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps({**config, "num_beams": 4, "early_stopping": True}))
    tokenizer, model = load_tokenizer(t5), load_seq2seq(ModelSource(folder, "transformers", "b", "b"))
    prompts = [encode_source(tokenizer, question) for question in QUESTIONS]
    assert model.generation_config.num_beams == 4
    assert generate(model, tokenizer, prompts, max_new_tokens=6) == generate(
        t5_model, tokenizer, prompts, max_new_tokens=6
    )


def test_draws_depend_on_their_seed_alone(t5: ModelSource, t5_model: Any) -> None:
    tokenizer = load_tokenizer(t5)
    prompts = [encode_source(tokenizer, question) for question in QUESTIONS]
    how: dict[str, Any] = {"max_new_tokens": 8, "temperature": 1.0, "top_p": 0.9}
    together = generate(t5_model, tokenizer, prompts, seeds=[1, 2, 3], **how)
    alone = [
        generate(t5_model, tokenizer, [prompt], seeds=[seed], **how)[0]
        for prompt, seed in zip(prompts, [1, 2, 3], strict=True)
    ]
    assert together == alone
    assert generate(t5_model, tokenizer, prompts, seeds=[4, 5, 6], **how) != together


def test_a_stop_string_ends_an_answer(t5: ModelSource, t5_model: Any) -> None:
    tokenizer = load_tokenizer(t5)
    prompts = [encode_source(tokenizer, QUESTIONS[0])]
    how: dict[str, Any] = {"max_new_tokens": 12, "temperature": 1.0, "seeds": [5]}
    [free] = generate(t5_model, tokenizer, prompts, **how)
    stop = free.text[4:6]
    [stopped] = generate(t5_model, tokenizer, prompts, stop=[stop], **how)
    assert stopped.text == free.text[: free.text.index(stop)]
    assert stopped.finish_reason == "stop"
    assert len(stopped.ids) < len(free.ids)
