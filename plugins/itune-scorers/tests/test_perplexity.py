from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import datasets
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_core.api import (
    Failed,
    LogProbs,
    Record,
    Reply,
    Request,
    TokenLogProbs,
    conversation,
    features,
    message,
    text,
)
from itune_core.testing import BenchContext
from itune_scorers.perplexity import Perplexity


def score(
    record: Record, folder: Path, reply: Callable[[Request], Reply | Failed], **settings: Any
) -> Mapping[str, Any] | Failed:
    rows = datasets.Dataset.from_list([{**record, "id": "r0"}], features=features(record.kind))
    component = Perplexity(Perplexity.Config(model="m", **settings))
    [values] = component.itune_score(inputs={"records": rows}, context=BenchContext(folder, reply=reply))
    return values


def talk() -> Record:
    return conversation(
        [message("user", "a"), message("assistant", "b"), message("user", "c"), message("assistant", "d")]
    )


def test_it_is_the_exponential_of_the_mean(tmp_path: Path) -> None:
    values = score(talk(), tmp_path, lambda _: TokenLogProbs([math.log(0.5), math.log(0.125)]))
    # The geometric mean of 1/2 and 1/8 is 1/4.
    assert values == pytest.approx({"perplexity": 4.0, "mean_nll": 2 * math.log(2), "tokens": 2})
    assert isinstance(values, dict)
    assert values.keys() == Perplexity.columns.keys()


@pytest.mark.parametrize(
    ("record", "settings", "prompt", "completion"),
    [
        (talk(), {}, ["a", "b", "c"], ["d"]),
        (talk(), {"condition": "none"}, [], ["d"]),
        (text("plain"), {}, [], ["plain"]),
        (conversation([message("assistant", "d")]), {"condition": "none"}, [], ["d"]),
    ],
)
def test_what_is_asked(
    tmp_path: Path, record: Record, settings: dict[str, Any], prompt: list[str], completion: list[str]
) -> None:
    asked: list[LogProbs] = []

    def reply(request: Request) -> Reply:
        assert isinstance(request, LogProbs)
        asked.append(request)
        return TokenLogProbs([-1.0])

    score(record, tmp_path, reply, max_length=99, **settings)
    assert [turn["content"] for turn in asked[0].prompt] == prompt
    assert [turn["content"] for turn in asked[0].completion] == completion
    assert (asked[0].model, asked[0].max_length) == ("m", 99)


def test_a_record_that_cannot_be_scored_fails(tmp_path: Path) -> None:
    def never(_: Request) -> Reply:
        raise AssertionError("asked about a record that has nothing to ask")

    lonely = score(conversation([message("assistant", "d")]), tmp_path, never)
    assert isinstance(lonely, Failed)
    assert lonely.code == "E-SCORE-001"
    silent = conversation([message("user", "a"), message("assistant", " ", tool_calls='[{"name": "look"}]')])
    called = score(silent, tmp_path, never, condition="none")
    assert isinstance(called, Failed)
    assert called.code == "E-SCORE-023"
    assert isinstance(score(silent, tmp_path, lambda _: TokenLogProbs([-1.0])), dict), "a template writes the call"
    impossible = score(talk(), tmp_path, lambda _: TokenLogProbs([-math.inf, -1.0]))
    assert isinstance(impossible, Failed)
    assert impossible.code == "E-SCORE-002"
    assert score(talk(), tmp_path, lambda _: Failed("E-TEST-001", "too long")) == Failed("E-TEST-001", "too long")


@given(st.lists(st.floats(-60, 0), min_size=1, max_size=50))
def test_it_lies_between_one_and_the_most_surprising_token(tmp_path_factory: Any, values: list[float]) -> None:
    figures = score(talk(), tmp_path_factory.getbasetemp(), lambda _: TokenLogProbs(values))
    assert isinstance(figures, dict)
    assert 1 <= figures["perplexity"] <= math.exp(-min(values)) * (1 + 1e-12)
