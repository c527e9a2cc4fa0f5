from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from itune_core.api import Failed, Keep, Kind, example, text
from itune_filters.split import Split


def sides(judge: Any, rows: Any, **options: Any) -> dict[str, str]:
    return {row["id"]: verdict.output for row, verdict in zip(rows, judge(Split, rows, **options), strict=True)}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(
    questions=st.lists(st.text("abc", max_size=3), max_size=15),
    more=st.lists(st.tuples(st.integers(0, 15), st.text("abc", max_size=3)), max_size=5),
    by=st.sampled_from(["id", "prompt"]),
    seed=st.integers(0, 3),
)
def test_adding_and_reordering_rows_moves_no_other_row(
    judge: Any, make_chat: Any, give_ids: Any, questions: Any, more: Any, by: str, seed: int
) -> None:
    rows = give_ids([make_chat(question) for question in questions])
    before = sides(judge, rows, held_out=0.4, by=by, seed=seed)
    longer = list(questions)
    for place, question in more:
        longer.insert(place, question)
    after = sides(judge, give_ids([make_chat(question) for question in longer]), held_out=0.4, by=by, seed=seed)
    assert before.items() <= after.items()
    mixed = random.Random(seed).sample(rows, len(rows))
    assert sides(judge, mixed, held_out=0.4, by=by, seed=seed) == before


@pytest.mark.parametrize("by", ["prompt", "source", "task", "category", "language"])
def test_a_group_stays_together(judge: Any, make_chat: Any, by: str) -> None:
    rows = []
    for number in range(300):
        group = f"g{number % 30}"
        rows.append(
            make_chat(group, f"answer {number}").replace(id=str(number), source=group, task=group, category=group,
                                                        language=group)
        )  # fmt: skip
    of_group: dict[str, set[str]] = {}
    for row, verdict in zip(rows, judge(Split, rows, held_out=0.3, by=by), strict=True):
        of_group.setdefault(row["source"], set()).add(verdict.output)
    assert all(len(outputs) == 1 for outputs in of_group.values())
    assert set.union(*of_group.values()) == {"train", "held_out"}


@pytest.mark.parametrize("held_out", [0.1, 0.5, 0.9])
def test_the_share_is_met_on_average(judge: Any, give_ids: Any, held_out: float) -> None:
    rows = give_ids([text(f"text {number}") for number in range(4_000)])
    found = sum(verdict.output == "held_out" for verdict in judge(Split, rows, held_out=held_out)) / len(rows)
    # Six standard deviations of a binomial share.
    assert abs(found - held_out) < 6 * (held_out * (1 - held_out) / len(rows)) ** 0.5


def test_another_seed_gives_another_split(judge: Any, give_ids: Any) -> None:
    rows = give_ids([text(f"text {number}") for number in range(100)])
    assert sides(judge, rows, held_out=0.5, seed=1) != sides(judge, rows, held_out=0.5, seed=2)


def test_equal_rows_are_parted_by_id_only(judge: Any, make_chat: Any, give_ids: Any) -> None:
    rows = give_ids([make_chat("the same")] * 50)
    assert len(set(sides(judge, rows, held_out=0.5).values())) == 1
    assert len(set(sides(judge, rows, held_out=0.5, by="id").values())) == 2


def test_a_record_without_the_group_fails(judge: Any, make_chat: Any) -> None:
    rows = [make_chat("a", category="x").replace(id="1"), make_chat("b").replace(id="2")]
    kept, failed = judge(Split, rows, held_out=0.5, by="category")
    assert kept.output in Split.outputs
    assert isinstance(failed, Failed)
    assert failed.code == "E-FILTER-003"


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_is_split(judge: Any, kind: Kind) -> None:
    [verdict] = judge(Split, [example(kind).replace(id="1")], held_out=0.5)
    assert verdict.output in Split.outputs


@pytest.mark.parametrize("held_out", [0, 1, -0.1, 1.5])
def test_a_side_that_gets_nothing_is_refused(held_out: float) -> None:
    with pytest.raises(ValidationError):
        Split.Config(held_out=held_out)


def test_who_splits_again_gives_another_seed(judge: Any, make_chat: Any, give_ids: Any) -> None:
    rows = give_ids([make_chat(f"Question {number}?") for number in range(200)])
    train = [row for row, side in zip(rows, judge(Split, rows, held_out=0.2), strict=True) if side == Keep("train")]
    assert Keep("held_out") not in judge(Split, train, held_out=0.2)
    assert Keep("held_out") in judge(Split, train, held_out=0.2, seed=1)
