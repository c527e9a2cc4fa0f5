"""Options weighed by the backend, against plain transformers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

from itune_backends.transformers_backend import Transformers
from itune_core.api import Ask, Choices, Failed, ModelSource, OptionLogProbs, message
from itune_torch import make_tiny_t5

Opening = Callable[..., Transformers]

PROMPT = [message("user", "Is the sea salt? Answer yes or no.")]
OPTIONS = ["Yes", "No", "Perhaps it is"]


def question(*options: str, prompt: Any = PROMPT, **settings: Any) -> Choices:
    return Choices("tiny", prompt, options, **settings)


@pytest.fixture(scope="module")
def t5(tmp_path_factory: pytest.TempPathFactory) -> ModelSource:
    folder = make_tiny_t5(tmp_path_factory.mktemp("models") / "t5")
    return ModelSource(folder, "transformers", "t5", "t5", architecture="seq2seq")


def test_an_option_is_as_likely_as_its_first_token_is_next(opened: Opening, tiny_folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_folder)
    model = AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32).eval()
    text = f"<|im_start|>user\n{PROMPT[0]['content']}<|im_end|>\n<|im_start|>assistant\n"
    with torch.no_grad():
        logps = model(torch.tensor([tokenizer(text)["input_ids"]])).logits[0, -1].log_softmax(-1)
    expected = [logps[tokenizer(option)["input_ids"][0]].item() for option in OPTIONS]
    [weighed] = opened().choices([question(*OPTIONS)])
    assert isinstance(weighed, OptionLogProbs)
    assert weighed.values == pytest.approx(expected, abs=1e-5)
    shares = torch.tensor(expected).softmax(0).tolist()
    assert weighed.shares == pytest.approx(shares, abs=1e-6)


def test_half_precision_does_not_round_what_one_token_says(opened: Opening, tiny_folder: Path) -> None:
    """The states are of half precision; the logits are not rounded to a grid once more."""
    tokenizer = AutoTokenizer.from_pretrained(tiny_folder)
    model = AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.bfloat16).eval()
    text = f"<|im_start|>user\n{PROMPT[0]['content']}<|im_end|>\n<|im_start|>assistant\n"
    with torch.no_grad():
        states = model.model(torch.tensor([tokenizer(text)["input_ids"]])).last_hidden_state[0, -1]
        logps = (model.lm_head.weight.float() @ states.float()).log_softmax(-1)
    expected = [logps[tokenizer(option)["input_ids"][0]].item() for option in OPTIONS]
    [weighed] = opened(dtype="bfloat16").choices([question(*OPTIONS)])
    assert isinstance(weighed, OptionLogProbs)
    assert weighed.values == pytest.approx(expected, abs=2e-3)


def test_of_an_encoder_decoder_it_is_the_first_token_that_the_decoder_writes(opened: Opening, t5: ModelSource) -> None:
    tokenizer = AutoTokenizer.from_pretrained(t5.files)
    model = AutoModelForSeq2SeqLM.from_pretrained(t5.files, dtype=torch.float32).eval()
    source = torch.tensor([tokenizer(PROMPT[0]["content"])["input_ids"]])
    start = torch.tensor([[model.config.decoder_start_token_id]])
    with torch.no_grad():
        logps = model(input_ids=source, decoder_input_ids=start).logits[0, -1].log_softmax(-1)
    words = ["the", "water", "how long"]  # its vocabulary is small: most words begin with the same space
    expected = [logps[tokenizer(word)["input_ids"][0]].item() for word in words]
    [weighed] = opened(t5).choices([question(*words)])
    assert isinstance(weighed, OptionLogProbs)
    assert weighed.values == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("switch", ["rows_are_isolated", "prefixes_can_be_shared"])
def test_neither_batch_nor_order_nor_the_way_of_running_matters(
    opened: Opening, monkeypatch: pytest.MonkeyPatch, switch: str
) -> None:
    other = [message("system", "Be brief."), message("user", "Which side is longer, A or B? " * 6)]
    requests = [question(*OPTIONS), question("A", "B", prompt=other), question("No", "Yes")]
    alone = [next(iter(opened().choices([request]))) for request in requests]
    monkeypatch.setattr(f"itune_torch.{switch}", lambda model: False)
    backend = opened(max_batch=2)
    for found in (backend.choices(requests), list(backend.choices(requests[::-1]))[::-1]):
        for one, another in zip(alone, found, strict=True):
            assert isinstance(one, OptionLogProbs)
            assert isinstance(another, OptionLogProbs)
            assert another.values == pytest.approx(one.values, abs=1e-5)


@pytest.mark.parametrize(
    ("options", "why"),
    [(("Yes", "Yes"), "begin with the same token"), (("Yes", " "), "blank"), (("", "No"), "blank")],
)
def test_options_that_cannot_be_told_apart_fail_alone(opened: Opening, options: tuple[str, ...], why: str) -> None:
    failed, weighed = opened().choices([question(*options), question("Yes", "No")])
    assert isinstance(failed, Failed)
    assert failed.code == "E-BACKEND-006"
    assert why in failed.message
    assert isinstance(weighed, OptionLogProbs)


def test_what_is_too_long_fails_alone(opened: Opening) -> None:
    long = question("Yes", "No", prompt=[message("user", "word " * 10_000)], max_length=1_000_000)
    failed, weighed, short = opened().choices([long, question("Yes", "No"), question("Yes", "No", max_length=4)])
    assert isinstance(failed, Failed)
    assert failed.code == "E-BACKEND-004"
    assert isinstance(weighed, OptionLogProbs)
    assert isinstance(short, Failed)
    assert short.code == "E-TORCH-017"


def test_what_is_shown_is_the_prompt(opened: Opening, tiny_folder: Path) -> None:
    source = ModelSource(tiny_folder, "transformers", "tiny", str(tiny_folder))
    backend = opened()
    assert backend.render(question(*OPTIONS), source) == backend.render(Ask("tiny", PROMPT), source)
