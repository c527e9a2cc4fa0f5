"""Perplexity with the real backend, against plain transformers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import datasets
import pytest

from itune_core.api import Failed, Kind, Record, Reply, Request, conversation, features, message, text
from itune_core.testing import BenchContext
from itune_scorers.perplexity import Perplexity

Answering = Callable[[Request], Reply | Failed]

QUESTION = message("user", "Why was the train late?")
ANSWER = message("assistant", "Snow had blocked a switch outside the station.")


def score(records: list[Record], folder: Path, reply: Answering, **settings: object) -> list[object]:
    rows = datasets.Dataset.from_list(
        [{**record, "id": f"r{number}"} for number, record in enumerate(records)], features=features(records[0].kind)
    )
    component = Perplexity(Perplexity.Config(model="tiny", **settings))
    return list(component.itune_score(inputs={"records": rows}, context=BenchContext(folder, reply=reply)))


def by_hand(folder: Path, before: str, scored: str) -> dict[str, float]:
    """Cross-entropy of `scored` after `before`, from the logits, as any textbook writes it."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    context = tokenizer(before, add_special_tokens=False)["input_ids"]
    ids = torch.tensor([context + tokenizer(scored, add_special_tokens=False)["input_ids"]])
    first = max(len(context), 1)  # what opens a row has nothing before it
    with torch.no_grad():
        logits = model(ids).logits
    loss = torch.nn.functional.cross_entropy(logits[0, first - 1 : -1], ids[0, first:])
    return {"perplexity": loss.exp().item(), "mean_nll": loss.item(), "tokens": ids.shape[1] - first}


def test_of_an_answer_given_its_prompt(tiny: Answering, tiny_folder: Path, tmp_path: Path) -> None:
    [values] = score([conversation([QUESTION, ANSWER])], tmp_path, tiny)
    before = f"<|im_start|>user\n{QUESTION['content']}<|im_end|>\n<|im_start|>assistant\n"
    assert values == pytest.approx(by_hand(tiny_folder, before, f"{ANSWER['content']}<|im_end|>\n"), rel=1e-5)


def test_of_an_answer_on_its_own_and_of_text(tiny: Answering, tiny_folder: Path, tmp_path: Path) -> None:
    expected = by_hand(tiny_folder, "", f"{ANSWER['content']}<|im_end|>")
    assert score([conversation([QUESTION, ANSWER])], tmp_path, tiny, condition="none") == [
        pytest.approx(expected, rel=1e-5)
    ]
    assert score([text(ANSWER["content"])], tmp_path, tiny) == [pytest.approx(expected, rel=1e-5)]


def test_the_order_of_records_does_not_matter(tiny: Answering, tmp_path: Path) -> None:
    made = [
        conversation([QUESTION, message("assistant", answer)])
        for answer in ("Snow.", "I do not know, and nobody told me.", "It was not late at all.", "Why do you ask?")
    ]
    forward, backward = score(made, tmp_path, tiny), score(made[::-1], tmp_path, tiny)
    for one, other in zip(forward, backward[::-1], strict=True):
        assert one == pytest.approx(other, rel=1e-5)


def test_a_record_that_is_too_long_fails_and_the_others_are_scored(tiny: Answering, tmp_path: Path) -> None:
    long, short = message("assistant", "and so on " * 200), ANSWER
    outcomes = score([conversation([QUESTION, long]), conversation([QUESTION, short])], tmp_path, tiny, max_length=100)
    assert isinstance(outcomes[0], Failed)
    assert "max_length 100" in outcomes[0].message
    assert isinstance(outcomes[1], dict)
    assert made_kind(outcomes[1]) == {"perplexity": float, "mean_nll": float, "tokens": int}


def made_kind(values: dict[str, object]) -> dict[str, type]:
    return {name: type(value) for name, value in values.items()}


def test_kinds() -> None:
    assert Perplexity.inputs["records"].kinds == (Kind.CONVERSATION, Kind.TEXT)
