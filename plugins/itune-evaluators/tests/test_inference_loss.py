from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import datasets
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_core.api import (
    Failed,
    Kind,
    LogProbs,
    Record,
    Reply,
    Request,
    TokenLogProbs,
    conversation,
    features,
    message,
    prompt,
)
from itune_core.testing import BenchContext
from itune_evaluators.inference_loss import InferenceLoss

Answering = Callable[[Request], Reply | Failed]


def dataset(*made: Record) -> datasets.Dataset:
    rows = [{**record, "id": f"r{number}"} for number, record in enumerate(made)]
    return datasets.Dataset.from_list(rows, features=features(made[0].kind))


def question(text: str, *references: str) -> Record:
    return prompt([message("user", text)], references=list(references))


def per_word(request: Request) -> Reply:
    """One token a word; a word of k letters costs k nats."""
    assert isinstance(request, LogProbs)
    return TokenLogProbs([-float(len(word)) for word in request.completion[-1]["content"].split()])


def evaluate(rows: datasets.Dataset, folder: Path, reply: Answering, models: Sequence[str] = ("m",)):
    component = InferenceLoss(InferenceLoss.Config(models=list(models)))
    return component.itune_evaluate(inputs={"records": rows}, context=BenchContext(folder, reply=reply))


def test_token_mean_counts_tokens_and_example_mean_counts_records(tmp_path: Path) -> None:
    rows = dataset(question("a", "xx xx xx xx"), question("b", "xxxx"))
    result = evaluate(rows, tmp_path, per_word)
    assert result.metrics["m"] == pytest.approx(
        # 8 + 4 nats over 5 tokens; (2 + 4) / 2; the sample deviation of 2 and 4 is sqrt 2, over sqrt 2 is 1.
        {"token_mean": 12 / 5, "example_mean": 3.0, "example_se": 1.0, "tokens": 5, "examples": 2}
    )
    assert result.table == [
        {"id": "r0", "model": "m", "nll": 8.0, "tokens": 4, "loss": 2.0, "best_loss": 2.0, "references": 1},
        {"id": "r1", "model": "m", "nll": 4.0, "tokens": 1, "loss": 4.0, "best_loss": 4.0, "references": 1},
    ]


def test_several_references_are_averaged_and_the_best_is_shown(tmp_path: Path) -> None:
    rows = dataset(question("a", "x", "xxx xxx", "xxxxx"), question("b", "xx"))
    figures = evaluate(rows, tmp_path, per_word).metrics["m"]
    assert figures["example_mean"] == pytest.approx(((1 + 3 + 5) / 3 + 2) / 2)
    assert figures["best_reference_mean"] == pytest.approx((1 + 2) / 2)
    assert figures["token_mean"] == pytest.approx((1 + 6 + 5 + 2) / 5)


def test_the_last_turn_of_a_conversation_is_the_reference(tmp_path: Path) -> None:
    asked: list[LogProbs] = []

    def reply(request: Request) -> Reply:
        assert isinstance(request, LogProbs)
        asked.append(request)
        return per_word(request)

    turns = [message("user", "a"), message("assistant", "b"), message("user", "c"), message("assistant", "dd")]
    figures = evaluate(dataset(conversation(turns)), tmp_path, reply).metrics["m"]
    assert [len(asked[0].prompt), len(asked[0].completion)] == [3, 1]
    assert figures == {"token_mean": 2.0, "example_mean": 2.0, "tokens": 1, "examples": 1}  # no error bar on one record


def test_what_cannot_be_measured_fails_and_is_not_averaged_in(tmp_path: Path) -> None:
    def reply(request: Request) -> Reply | Failed:
        assert isinstance(request, LogProbs)
        return Failed("E-TEST-001", "too long") if request.prompt[0]["content"] == "b" else per_word(request)

    rows = dataset(question("a", "xx"), question("b", "xxxx"), question("c"))
    result = evaluate(rows, tmp_path, reply)
    assert {key: failed.code for key, failed in result.failed.items()} == {"r1": "E-TEST-001", "r2": "E-EVAL-001"}
    assert result.metrics["m"]["example_mean"] == 2.0
    alone = evaluate(dataset(conversation([message("assistant", "hello")])), tmp_path, per_word)
    assert alone.failed["r0"].code == "E-EVAL-003"
    assert alone.metrics == {}


def test_every_model_is_asked_about_every_record(tmp_path: Path) -> None:
    def reply(request: Request) -> Reply:
        assert isinstance(request, LogProbs)
        return TokenLogProbs([-1.0 if request.model == "good" else -2.0])

    result = evaluate(dataset(question("a", "x"), question("b", "y")), tmp_path, reply, ["bad", "good"])
    assert {name: figures["token_mean"] for name, figures in result.metrics.items()} == {"bad": 2.0, "good": 1.0}
    assert [(row["id"], row["model"]) for row in result.table] == [
        ("r0", "bad"),
        ("r1", "bad"),
        ("r0", "good"),
        ("r1", "good"),
    ]


@given(
    st.lists(st.tuples(st.floats(0, 50), st.integers(1, 400)), min_size=1, max_size=30),
    st.randoms(use_true_random=False),
)
def test_figures_do_not_depend_on_the_order_of_records(measured, random) -> None:
    rows = [{"nll": nll * n, "tokens": n, "loss": nll, "best_loss": nll, "references": 1} for nll, n in measured]
    component = InferenceLoss(InferenceLoss.Config(models=["m"]))
    before = component.summarise(rows)
    random.shuffle(rows)
    assert component.summarise(rows) == pytest.approx(before, rel=1e-12, abs=1e-12)
    losses = [row["loss"] for row in rows]
    for mean in (before["token_mean"], before["example_mean"]):
        assert min(losses) - 1e-9 <= mean <= max(losses) + 1e-9


def test_kinds() -> None:
    assert InferenceLoss.inputs["records"].kinds == (Kind.CONVERSATION, Kind.PROMPT)
    assert math.isfinite(InferenceLoss.Config(models=["m"]).max_length)
