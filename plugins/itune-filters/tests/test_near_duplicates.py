"""Near duplicates: MinHash finds them, the shingles decide."""

from __future__ import annotations

import gzip
import json
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_core.api import Drop, Failed, Keep, Kind, example, message, prompt, text
from itune_filters.likeness.minhash import Bands, band_keys, bands_for
from itune_filters.likeness.shingles import Shingler, mixed
from itune_filters.likeness.tokens import split
from itune_filters.near_duplicates import NearDuplicates, first_of_each

DATA = Path(os.environ.get("ITUNE_TEST_DATA") or Path(__file__).parents[4] / "shared" / "data")

Judge = Callable[..., list[Any]]


def texts(*contents: str) -> list[Any]:
    return [text(content, id=f"r{number}") for number, content in enumerate(contents)]


def counted(first: int, last: int) -> str:
    return " ".join(f"w{number}" for number in range(first, last))


def test_the_first_is_kept_and_named_with_the_similarity(judge: Judge) -> None:
    rows = texts(
        counted(0, 40),
        counted(0, 42),  # 36 shingles of 5 words, all of the 38
        counted(100, 140),
        f"{counted(0, 40).upper()}!",
        counted(4, 44),  # 32 of 40 with the first
    )
    assert judge(NearDuplicates, rows) == [
        Keep(),
        Drop("near-duplicate", "of r0, jaccard 0.947"),
        Keep(),
        Drop("near-duplicate", "of r0, jaccard 1.000"),
        Drop("near-duplicate", "of r0, jaccard 0.800"),
    ]
    assert judge(NearDuplicates, rows, threshold=0.9)[4] == Keep()
    assert judge(NearDuplicates, rows, threshold=0.8)[4] != Keep()


def test_what_is_like_a_dropped_record_only_is_kept(judge: Judge) -> None:
    # The second is like the first and the third like the second, but not like the first: it has no double that is kept.
    rows = texts(counted(0, 40), counted(5, 45), counted(10, 50))
    assert [type(verdict) for verdict in judge(NearDuplicates, rows, threshold=0.7)] == [Keep, Drop, Keep]


def test_the_nearest_kept_record_is_named(judge: Judge) -> None:
    rows = texts(counted(0, 40), counted(6, 46), counted(5, 45))
    verdicts = judge(NearDuplicates, rows, threshold=0.75)
    assert verdicts == [Keep(), Keep(), Drop("near-duplicate", "of r1, jaccard 0.946")]


@pytest.mark.parametrize("unit", ["words", "characters"])
def test_scripts_without_spaces_are_compared(judge: Judge, unit: str) -> None:
    rows = texts(
        "明日の東京の天気は晴れのち曇りで、最高気温は二十度の見込みです。",
        "明日の東京の天気は晴れのち曇りで、最高気温は二十一度の見込みです。",
        "赤い自転車が古い橋の上をゆっくりと渡っていくのが見えました。",
    )
    verdicts = judge(NearDuplicates, rows, unit=unit, size=3)
    assert [type(verdict) for verdict in verdicts] == [Keep, Drop, Keep]


def test_texts_shorter_than_a_shingle_are_near_only_if_the_same(judge: Judge) -> None:
    rows = texts("Say yes.", "say YES", "Say yes now.", "Yes, say.")
    assert [type(verdict) for verdict in judge(NearDuplicates, rows)] == [Keep, Drop, Keep, Keep]


def test_a_row_without_anything_to_compare_fails_alone(judge: Judge) -> None:
    verdicts = judge(NearDuplicates, texts("a b", "🌱!", "a b"))
    assert [type(verdict) for verdict in verdicts] == [Keep, Failed, Drop]
    assert verdicts[1].code == "E-FILTER-050"
    assert verdicts[2].detail == "of r0, jaccard 1.000"
    [verdict] = judge(NearDuplicates, [example(Kind.PROMPT).replace(id="1")], on="response")
    assert verdict.code == "E-DATA-037"


def test_a_long_system_turn_makes_nothing_alike(judge: Judge) -> None:
    system = message("system", counted(0, 200))
    rows = [prompt([system, message("user", asked)], id=asked) for asked in ("Sort these words.", "Write a poem.")]
    assert judge(NearDuplicates, rows) == [Keep(), Keep()]


@given(st.lists(st.sets(st.integers(0, 12), min_size=1), max_size=20), st.sampled_from([0.2, 0.5, 0.7, 1.0]))
def test_every_verdict_holds_and_none_is_missed_among_equals(members: list[set[int]], threshold: float) -> None:
    sets = [mixed(np.array(sorted(some), np.uint64)) for some in members]
    kept: list[int] = []
    for place, found in enumerate(first_of_each(sets, threshold)):
        similar = {other: jaccard(members[place], members[other]) for other in kept}
        if found is None:
            assert all(value < 1 for value in similar.values())
            kept.append(place)
        else:
            assert similar[found.place] == found.jaccard >= threshold


def test_bands_let_through_what_they_promise() -> None:
    for threshold in np.linspace(0.05, 1, 96).tolist():
        bands = bands_for(threshold)
        assert bands.number * bands.rows <= 128
        assert bands.probability(threshold) >= 0.99 or bands == Bands(128, 1)
        longer = Bands(128 // (bands.rows + 1), bands.rows + 1)
        assert bands.rows == 128 or longer.probability(threshold) < 0.99
    assert bands_for(0.7) == Bands(32, 4)


def test_keys_do_not_depend_on_other_sets() -> None:
    sets = [mixed(np.arange(size, dtype=np.uint64)) for size in (1, 7, 40_000, 3, 50_000, 2)]
    together = band_keys(sets, Bands(4, 3))
    for number, some in enumerate(sets):
        assert (band_keys([some], Bands(4, 3)) == together[number]).all()


@pytest.mark.skipif(not (DATA / "t0").is_dir(), reason="needs t0/ and alpaca/ in the folder of ITUNE_TEST_DATA")
@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.9])
def test_recall_and_precision_on_5000_real_rows(threshold: float) -> None:
    """Against the exact similarity of all 12.5 million pairs, over shingles of three words."""
    sets = Shingler(3)([split(row, "words") for row in real_rows()])
    exact = pairs_by_jaccard(sets, least=threshold)
    keys = band_keys(sets, bands_for(threshold))
    found = candidates(keys)
    hits = len(found & exact.keys())
    print(f"at {threshold}: {hits} of {len(exact)} pairs are among {len(found)} candidates")
    assert len(exact) >= 200
    assert hits / len(exact) >= 0.99
    # Of candidates only those are dropped that the shingles confirm: precision is 1.
    earlier = {place: alike for place, alike in enumerate(first_of_each(sets, threshold)) if alike}
    assert earlier
    for place, alike in earlier.items():
        assert exact[alike.place, place] == alike.jaccard


def real_rows() -> list[str]:
    """2,200 prompts made with templates, and 2,800 instructions with their inputs."""
    rows = [row["prompt"] for path in sorted((DATA / "t0").glob("*.jsonl.gz")) for row in lines(path)]
    rows += [f"{row['instruction']}\n{row['input']}" for row in lines(DATA / "alpaca" / "alpaca_data.jsonl.gz")]
    return rows[:5000]


def lines(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def jaccard(one: set[int], other: set[int]) -> float:
    return len(one & other) / len(one | other)


def pairs_by_jaccard(sets: Sequence[Any], least: float) -> dict[tuple[int, int], float]:
    """The similarity of each pair that has at least `least`."""
    members = [set(some.tolist()) for some in sets]
    holders: defaultdict[int, list[int]] = defaultdict(list)
    found = {}
    for place, own in enumerate(members):
        common = Counter(other for number in own for other in holders[number])
        for other, count in common.items():
            similarity = count / (len(own) + len(members[other]) - count)
            if similarity >= least:
                found[other, place] = similarity
        for number in own:
            holders[number].append(place)
    return found


def candidates(keys: Any) -> set[tuple[int, int]]:
    """Pairs that have a key in common."""
    found = set()
    for band in keys.T.tolist():
        places: defaultdict[int, list[int]] = defaultdict(list)
        for place, key in enumerate(band):
            found.update((other, place) for other in places[key])
            places[key].append(place)
    return found
