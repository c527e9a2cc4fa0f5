"""The evaluators with the real backend on a two-layer model."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import datasets
import pytest

from itune_core.api import Failed, Kind, Record, Reply, Request, conversation, features, message, prompt
from itune_core.testing import BenchContext
from itune_evaluators.inference_loss import InferenceLoss
from itune_evaluators.pattern import Pattern

Answering = Callable[[Request], Reply | Failed]

PAIRS = [
    ("Why is the sky blue?", "Air scatters short waves of light more strongly."),
    ("Sort: 3, 1, 2.", "1, 2, 3"),
    ("Is the egg done?", "After seven minutes it is."),
]


def dataset(*made: Record) -> datasets.Dataset:
    return datasets.Dataset.from_list(
        [{**record, "id": f"r{number}"} for number, record in enumerate(made)], features=features(made[0].kind)
    )


def test_loss_is_the_cross_entropy_of_the_answers(tiny: Answering, tiny_folder: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_folder)
    model = AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32).eval()
    nll, tokens, means = 0.0, 0, []
    for asked, answer in PAIRS:
        before = f"<|im_start|>user\n{asked}<|im_end|>\n<|im_start|>assistant\n"
        start = len(tokenizer(before)["input_ids"])
        ids = torch.tensor([tokenizer(f"{before}{answer}<|im_end|>\n")["input_ids"]])
        with torch.no_grad():
            losses = torch.nn.functional.cross_entropy(
                model(ids).logits[0, start - 1 : -1], ids[0, start:], reduction="none"
            )
        nll, tokens = nll + losses.sum().item(), tokens + len(losses)
        means.append(losses.mean().item())

    component = InferenceLoss(InferenceLoss.Config(models=["tiny"]))
    talks = dataset(*(conversation([message("user", q), message("assistant", a)]) for q, a in PAIRS))
    prompts = dataset(*(prompt([message("user", q)], references=[a]) for q, a in PAIRS))
    context = BenchContext(tmp_path, reply=tiny)
    result = component.itune_evaluate(inputs={"records": talks}, context=context)
    figures = result.metrics["tiny"]
    assert figures["token_mean"] == pytest.approx(nll / tokens, abs=1e-4)
    assert figures["example_mean"] == pytest.approx(sum(means) / 3, abs=1e-4)
    assert (figures["tokens"], figures["examples"]) == (tokens, 3)
    assert [row["loss"] for row in result.table] == pytest.approx(means, abs=1e-4)
    # The same rows as prompts with one reference each are the same measurement.
    assert component.itune_evaluate(inputs={"records": prompts}, context=context).metrics["tiny"] == figures


def test_several_references_are_scored_apart(tiny: Answering, tmp_path: Path) -> None:
    component = InferenceLoss(InferenceLoss.Config(models=["tiny"]))
    context = BenchContext(tmp_path, reply=tiny)
    answers = [answer for _, answer in PAIRS]
    single = [
        component.itune_evaluate(
            inputs={"records": dataset(prompt([message("user", "Say something.")], references=[answer]))},
            context=context,
        ).metrics["tiny"]
        for answer in answers
    ]
    together = component.itune_evaluate(
        inputs={"records": dataset(prompt([message("user", "Say something.")], references=answers))}, context=context
    ).metrics["tiny"]
    losses = [figures["token_mean"] for figures in single]
    assert together["example_mean"] == pytest.approx(sum(losses) / 3)
    assert together["best_reference_mean"] == pytest.approx(min(losses))
    assert together["tokens"] == sum(figures["tokens"] for figures in single)


def test_pattern_counts_what_the_model_said(tiny: Answering, tmp_path: Path) -> None:
    component = Pattern(Pattern.Config(models=["tiny"], pattern="[aeiou]{2}", max_tokens=10))
    rows = dataset(*(prompt([message("user", asked)]) for asked, _ in PAIRS))
    context = BenchContext(tmp_path, reply=tiny)
    result = component.itune_evaluate(inputs={"records": rows}, context=context)
    table = list(result.table)
    assert rows.features["prompt"] == features(Kind.PROMPT)["prompt"]
    assert [row["matched"] for row in table] == [bool(re.search("[aeiou]{2}", row["answer"])) for row in table]
    figures = result.metrics["tiny"]
    assert figures["matched"] == sum(row["matched"] for row in table)
    assert figures["share_low"] <= figures["share"] <= figures["share_high"]
    # Greedy: the same answers whatever the order.
    again = component.itune_evaluate(inputs={"records": rows.select([2, 1, 0])}, context=context)
    assert [row["answer"] for row in list(again.table)[::-1]] == [row["answer"] for row in table]
