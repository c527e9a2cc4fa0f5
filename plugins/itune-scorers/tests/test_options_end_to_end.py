"""Ratios and expected digits with the real backend, against plain transformers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

from itune_core.api import Choices, Failed, ModelSource, Reply, Request, Scorer, conversation, features, message
from itune_core.testing import BenchContext, answer_with
from itune_scorers.coherence import Coherence
from itune_scorers.complexity import Complexity
from itune_scorers.naturalness import Naturalness
from itune_torch import make_tiny_t5

Answering = Callable[[Request], Reply | Failed]

RECORD = conversation([message("user", "Why was the train late?"), message("assistant", "Snow, at a switch.")], id="r0")


def scored(component: type[Scorer], folder: Path, reply: Answering, **settings: Any) -> tuple[Any, str]:
    """What it gives of the record, and what it asked."""
    asked: list[str] = []

    def heard(request: Request) -> Reply | Failed:
        assert isinstance(request, Choices)
        asked.append(request.prompt[0]["content"])
        return reply(request)

    rows = datasets.Dataset.from_list([dict(RECORD)], features=features(RECORD.kind))
    scorer = component(component.Config(model="tiny", **settings))
    [found] = scorer.itune_score(inputs={"records": rows}, context=BenchContext(folder, reply=heard))
    return found, asked[0]


def next_probabilities(folder: Path, asked: str, options: Sequence[str]) -> list[float]:
    """Of the first token of each option, from a softmax over the whole vocabulary, as the chat template asks."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    ids = tokenizer(f"<|im_start|>user\n{asked}<|im_end|>\n<|im_start|>assistant\n")["input_ids"]
    with torch.no_grad():
        chances = model(torch.tensor([ids])).logits[0, -1].softmax(-1)
    return [chances[tokenizer(option)["input_ids"][0]].item() for option in options]


@pytest.mark.parametrize("component", [Naturalness, Coherence])
def test_the_ratio_of_yes_to_yes_or_no(
    component: type[Scorer], tiny: Answering, tiny_folder: Path, tmp_path: Path
) -> None:
    found, asked = scored(component, tmp_path, tiny)
    yes, no = next_probabilities(tiny_folder, asked, ("Yes", "No"))
    assert found == pytest.approx({"": yes / (yes + no), "mass": yes + no}, rel=1e-5)


def test_the_expected_digit(tiny: Answering, tiny_folder: Path, tmp_path: Path) -> None:
    found, asked = scored(Complexity, tmp_path, tiny)
    chances = next_probabilities(tiny_folder, asked, "123456")
    expected = sum(digit * chance for digit, chance in enumerate(chances, start=1)) / sum(chances)
    assert found == pytest.approx({"": expected, "mass": sum(chances), "turns": 1}, rel=1e-5)


def test_the_ratio_of_an_encoder_decoder(tmp_path: Path) -> None:
    """In the form that the published evaluator reads: one text, whose fields the end token parts."""
    folder = make_tiny_t5(tmp_path / "t5", ["Yes No"] * 50)
    [published] = entry_points(group="itune.backends", name="transformers")
    transformers = published.load()
    backend = transformers(transformers.Config(model="t5", dtype="float32", device="cpu"))
    backend.open(ModelSource(folder, "transformers", "t5", "t5", architecture="seq2seq"))
    wording = tmp_path / "dialogue.jinja"
    wording.write_text("question: is it natural? </s> response: {{ response }}")
    found, asked = scored(Naturalness, tmp_path, answer_with(backend), prompt=str(wording))

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSeq2SeqLM.from_pretrained(folder, dtype=torch.float32).eval()
    source = tokenizer(asked, return_tensors="pt")["input_ids"]
    assert source[0].tolist().count(tokenizer.eos_token_id) == 2  # between the fields, and at the end
    start = torch.tensor([[model.config.decoder_start_token_id]])
    with torch.no_grad():
        chances = model(input_ids=source, decoder_input_ids=start).logits[0, -1].softmax(-1)
    yes, no = (chances[tokenizer(option)["input_ids"][0]].item() for option in ("Yes", "No"))
    assert found == pytest.approx({"": yes / (yes + no), "mass": yes + no}, rel=1e-5)
