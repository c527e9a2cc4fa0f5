"""scorers/rule: fitted, published and written rules."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import datasets
import pytest
from pydantic import ValidationError

from itune_core.api import DataError, Failed, Kind, Rule, conversation, features, message
from itune_core.testing import BenchContext
from itune_scorers.rule import LinearRule

COLUMNS = {"length": "score.length.words", "reward": "score.reward", "knn": "score.knn"}
VALUES: Mapping[str, list[Any]] = {
    "score.length.words": [100, 3, 20, 7],
    "score.reward": [0.5, -1.0, None, 2.0],
    "score.knn": [0.8, 0.9, 1.0, 0.7],
}


def rows(values: Mapping[str, list[Any]] = VALUES) -> datasets.Dataset:
    talk = conversation([message("user", "What?"), message("assistant", "This.")])
    records = [{**talk, "id": f"r{number}"} for number in range(4)]
    made = datasets.Dataset.from_list(records, features=features(Kind.CONVERSATION))
    return datasets.concatenate_datasets([made, datasets.Dataset.from_dict(dict(values))], axis=1)


def score(
    folder: Path, fitted: Rule | None = None, values: Mapping[str, list[Any]] = VALUES, **config: Any
) -> list[Any]:
    component = LinearRule(LinearRule.Config(**{"columns": COLUMNS, **config}))
    context = BenchContext(folder, rules={"mined": fitted} if fitted else {})
    return list(component.itune_score(inputs={"records": rows(values)}, context=context))


def test_a_fitted_rule(tmp_path: Path) -> None:
    fitted = Rule("log inference loss", 1.5, {"reward": -0.1, "length": 0.002}, {"reward": "score.reward"})
    first, second, third, fourth = score(tmp_path, fitted, rule="mined")
    assert first == {"predicted": pytest.approx(1.5 - 0.05 + 0.2)}
    assert second == {"predicted": pytest.approx(1.5 + 0.1 + 0.006)}
    assert isinstance(third, Failed)
    assert third.code == "E-SCORE-051"
    assert "score.reward is missing" in third.message
    assert fourth == {"predicted": pytest.approx(1.5 - 0.2 + 0.014)}


def test_a_rule_without_predictors_says_the_same_of_all(tmp_path: Path) -> None:
    """Also of a record that lacks a score: the rule needs none."""
    assert score(tmp_path, Rule("log inference loss", 0.7, {}), rule="mined") == [{"predicted": 0.7}] * 4


def test_the_first_published_rule_by_hand(tmp_path: Path) -> None:
    """log L = 1.0694 - 0.1498 Rew + 8.257e-5 Len - 0.9350 Knn_6, arXiv:2307.06290v1, equation 4."""
    first = score(tmp_path, builtin="instructmining-v1")[0]
    assert first == {"predicted": pytest.approx(1.0694 - 0.1498 * 0.5 + 8.257e-5 * 100 - 0.9350 * 0.8)}


def test_the_third_published_rule_by_hand(tmp_path: Path) -> None:
    """log L = 0.0274 - 0.0078 Rew + 0.4421 Und - 0.3212 Nat - 0.1520 Coh, arXiv:2307.06290v3."""
    columns = {
        "reward": "score.reward",
        "understandability": "score.knn",
        "naturalness": "score.knn",
        "coherence": "score.knn",
    }
    first = score(tmp_path, builtin="instructmining-v3", columns=columns)[0]
    assert first == {"predicted": pytest.approx(0.0274 - 0.0078 * 0.5 + (0.4421 - 0.3212 - 0.1520) * 0.8)}


def test_a_written_rule(tmp_path: Path) -> None:
    assert score(tmp_path, coefficients={"knn": 2.0})[0] == {"predicted": pytest.approx(1.6)}
    assert score(tmp_path, coefficients={"knn": 2.0}, intercept=-1)[0] == {"predicted": pytest.approx(0.6)}


@pytest.mark.parametrize("knn", [-1e308, 0.0, 1e308])
def test_scores_beyond_what_a_float_holds_fail_alone(tmp_path: Path, knn: float) -> None:
    """Their products are infinite, add up to no number, or to one that is too large: none stops the others."""
    values = {"score.length.words": [1e308, 1e307, -1e307, 7.0], "score.knn": [knn, 9e306, 9e306, 0.7]}
    columns = {"length": "score.length.words", "knn": "score.knn"}
    *large, last = score(tmp_path, values=values, columns=columns, coefficients={"length": 10.0, "knn": 10.0})
    assert isinstance(large[0], Failed)
    assert large[0].code == "E-SCORE-051"
    assert "no finite number" in large[0].message
    assert isinstance(large[1], Failed)
    assert large[2] == {"predicted": pytest.approx(-1e307)}
    assert last == {"predicted": pytest.approx(77)}


def test_an_indicator_without_a_column_is_named_with_the_one_it_was_fitted_on(tmp_path: Path) -> None:
    fitted = Rule("log inference loss", 1.5, {"mtld": 0.1}, {"mtld": "score.variety"})
    with pytest.raises(DataError) as caught:
        score(tmp_path, fitted, rule="mined")
    assert caught.value.code == "E-SCORE-050"
    assert "mtld: score.variety" in (caught.value.fix or "")


def test_it_reads_every_column_it_is_told_of_and_only_once() -> None:
    component = LinearRule(LinearRule.Config(rule="mined", columns={**COLUMNS, "again": "score.knn"}))
    assert list(component.reads()) == ["score.length.words", "score.reward", "score.knn"]


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"rule": "mined", "builtin": "instructmining-v1"},
        {"builtin": "instructmining-v2"},
        {"builtin": "instructmining-v3"},  # of its indicators COLUMNS has one
        {"coefficients": {"colour": 1.0}},
        {"coefficients": {}},
        {"rule": "mined", "intercept": 1.0},
        {"rule": "mined", "columns": {"length": "length"}},
    ],
)
def test_settings_that_make_no_sense(wrong: Mapping[str, Any]) -> None:
    with pytest.raises(ValidationError):
        LinearRule.Config(**{"columns": COLUMNS, **wrong})
