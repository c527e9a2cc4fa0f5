"""evaluators/paired-bootstrap on losses that are known."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import datasets
import pytest
from pydantic import ValidationError

from itune_core.api import (
    DataError,
    Evaluation,
    Failed,
    Kind,
    LogProbs,
    Request,
    TokenLogProbs,
    conversation,
    features,
    message,
)
from itune_core.testing import BenchContext
from itune_evaluators.paired_bootstrap import PairedBootstrap

RECORDS = 60
ROWS = datasets.Dataset.from_list(
    [
        {**conversation([message("user", str(number)), message("assistant", "It is.")]), "id": f"r{number}"}
        for number in range(RECORDS)
    ],
    features=features(Kind.CONVERSATION),
)
GROUPS = {"chosen": ["c1", "c2", "c3"], "random": ["r1", "r2", "r3"]}


def run(
    folder: Path, loss: Callable[[str, int], float | None], rows: datasets.Dataset = ROWS, **more: Any
) -> Evaluation:
    def reply(request: Request) -> TokenLogProbs | Failed:
        assert isinstance(request, LogProbs)
        found = loss(request.model, int(request.prompt[0]["content"]))
        return Failed("E-BACKEND-004", "too long") if found is None else TokenLogProbs([-found])

    config = PairedBootstrap.Config(**{"groups": GROUPS, "baseline": "random", "draws": 2000, **more})
    return PairedBootstrap(config).itune_evaluate(inputs={"records": rows}, context=BenchContext(folder, reply=reply))


def hard(number: int) -> float:
    """Records differ far more than models do."""
    return 1 + random.Random(number).random() * 4


def test_a_small_difference_on_every_record_is_seen_since_records_are_paired(tmp_path: Path) -> None:
    result = run(tmp_path, lambda model, number: hard(number) - 0.02 * (model[0] == "c"))
    figures = result.metrics[""]
    assert figures["records"] == RECORDS
    assert figures["chosen.difference"] == pytest.approx(-0.02)
    assert figures["chosen.difference_low"] == pytest.approx(-0.02)
    assert figures["chosen.difference_high"] == pytest.approx(-0.02)
    assert figures["chosen.not_better"] == 0
    assert figures["random.loss"] == pytest.approx(fmean(map(hard, range(RECORDS))))
    assert "random.difference" not in figures
    rows = {row["id"]: row for row in result.table}
    assert rows["r7"]["chosen"] == pytest.approx(hard(7) - 0.02)
    assert rows["r7"]["random"] == pytest.approx(hard(7))


def test_the_interval_over_records_is_that_of_the_mean_of_differences(tmp_path: Path) -> None:
    """Of one model a group, draws differ by records alone: the interval is 1.96 standard errors wide each way."""
    differences = [random.Random(f"d{number}").gauss(-0.1, 0.3) for number in range(RECORDS)]
    groups = {"chosen": ["c1"], "random": ["r1"]}
    result = run(
        tmp_path, lambda model, number: 5 + (differences[number] if model == "c1" else 0), groups=groups, draws=4000
    )
    figures = result.metrics[""]
    half = 1.96 * stdev(differences) / math.sqrt(RECORDS)
    assert figures["chosen.difference"] == pytest.approx(fmean(differences))
    assert figures["chosen.difference_low"] == pytest.approx(fmean(differences) - half, abs=0.01)
    assert figures["chosen.difference_high"] == pytest.approx(fmean(differences) + half, abs=0.01)


def test_models_that_differ_by_chance_widen_the_interval(tmp_path: Path) -> None:
    """One lucky seed of three is no evidence, though every record agrees."""
    lucky = {"c1": -0.3, "c2": 0.05, "c3": 0.05}
    figures = run(tmp_path, lambda model, number: hard(number) + lucky.get(model, 0.0)).metrics[""]
    assert figures["chosen.difference"] == pytest.approx(-0.2 / 3)
    assert figures["chosen.difference_low"] < 0 < figures["chosen.difference_high"]
    assert figures["chosen.lowest"] < figures["chosen.loss"] < figures["chosen.highest"]
    assert figures["chosen.not_better"] == pytest.approx((2 / 3) ** 3, abs=0.05)


def test_records_that_one_model_cannot_be_measured_on_count_for_none(tmp_path: Path) -> None:
    result = run(tmp_path, lambda model, number: None if (model, number) == ("c2", 3) else 1.0 + number)
    assert list(result.failed) == ["r3"]
    assert result.metrics[""]["records"] == RECORDS - 1
    with pytest.raises(DataError) as caught:
        run(tmp_path, lambda model, number: None)
    assert caught.value.code == "E-EVAL-027"


def test_the_order_of_rows_plays_no_part(tmp_path: Path) -> None:
    losses = lambda model, number: hard(number) + random.Random(f"{model}{number}").gauss(0, 0.1)  # noqa: E731
    assert run(tmp_path, losses).metrics == run(tmp_path, losses, ROWS.select(range(RECORDS - 1, -1, -1))).metrics


@pytest.mark.parametrize(
    "wrong",
    [
        {"baseline": "worst"},
        {"groups": {"random": ["r"]}},
        {"groups": {"random": [], "c": ["d"]}},
        {"groups": {"random": ["r"], "c": ["d", "e", "d"]}},
    ],
)
def test_settings_that_make_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PairedBootstrap.Config(**{"groups": GROUPS, "baseline": "random", **wrong})
