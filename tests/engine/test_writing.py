from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from itune_core.api import Kind, Record, conversation, features, message, preference, ranking, text
from itune_core.engine import digest, writing
from itune_core.engine.views import RECORDS, ROW_DIGESTS

WORDS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), min_size=1, max_size=8).filter(
    lambda word: word.strip()
)


def write(folder: Path, made: list[Record], kind: Kind = Kind.TEXT) -> str:
    folder.mkdir(exist_ok=True)
    with writing.RecordWriter(folder, kind, "here") as writer:
        for record in made:
            writer.add(record)
        return writer.finish()


def saved(folder: Path) -> datasets.Dataset:
    return datasets.load_from_disk(str(folder / RECORDS))


def known_ids(made: list[Record]) -> list[str]:
    """The documented definition: content, and how many equal rows came before."""
    seen: Counter[bytes] = Counter()
    ids = []
    for record in made:
        row = {name: value for name, value in record.items() if name != "id"}
        row["source"] = row["source"] or "here"
        content = hashlib.blake2b(digest.canonical(row), digest_size=16).digest()
        ids.append(hashlib.blake2b(content + seen[content].to_bytes(8, "big"), digest_size=12).hexdigest())
        seen[content] += 1
    return ids


@settings(max_examples=25)
@given(words=st.lists(WORDS, max_size=30))
def test_ids_are_made_of_content_and_number_among_equal_rows(
    words: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("artifact")
    made = [text(word, category=word.upper()) for word in words]
    write(folder, made)
    rows = saved(folder)
    assert rows["id"] == known_ids(made)
    assert rows["text"] == words
    assert len(set(rows["id"])) == len(words)


def test_ids_do_not_change_when_other_rows_do(tmp_path: Path) -> None:
    one, other = [text("a"), text("b"), text("a")], [text("c"), text("b"), text("a"), text("d"), text("a")]
    write(tmp_path / "one", one)
    write(tmp_path / "other", other)
    first, second = (
        {(row["text"], number): row["id"] for number, row in enumerate(saved(tmp_path / name))}
        for name in ("one", "other")
    )
    assert {first["a", 0], first["a", 2]} == {second["a", 2], second["a", 4]}
    assert first["b", 1] == second["b", 1]


def test_a_golden_digest_and_id(tmp_path: Path) -> None:
    """They are in the keys of everybody's artifacts: a change makes all of them anew and wants a new FORMAT."""
    turns = [message("user", "Größe?\n"), message("assistant", "\x7f\u2028 7", train=True)]
    found = write(tmp_path, [conversation(turns, meta='{"a": 1.5}', references=["x"])], Kind.CONVERSATION)
    assert found == "6847bd762b3e6702e56809ec7fb0ec5f"
    assert saved(tmp_path)[0]["id"] == "c992756a2a447096f9b93279"


def test_what_is_saved_has_the_schema_of_its_kind(tmp_path: Path) -> None:
    write(tmp_path, [text("a", language="en")])
    rows = saved(tmp_path)
    assert rows.features == features(Kind.TEXT)
    assert rows[0] | {"id": ""} == dict(text("a", language="en", source="here")) | {"id": ""}
    assert {path.name for path in tmp_path.iterdir()} == {RECORDS, ROW_DIGESTS}


def test_no_rows(tmp_path: Path) -> None:
    write(tmp_path, [])
    assert len(saved(tmp_path)) == 0
    assert saved(tmp_path).features == features(Kind.TEXT)
    assert np.load(tmp_path / ROW_DIGESTS).shape == (0, digest.SIZE)


def test_large_artifacts_are_saved_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "BATCH", 10)
    monkeypatch.setattr(writing, "BLOCK", 5_000)
    monkeypatch.setattr(writing, "SHARD", 20_000)
    made = [text(f"{number} " * 50) for number in range(500)]
    write(tmp_path, made)
    files = sorted(path.name for path in (tmp_path / RECORDS).glob("*.arrow"))
    assert len(files) > 3
    assert files == [f"data-{number:05d}-of-{len(files):05d}.arrow" for number in range(len(files))]
    assert saved(tmp_path)["text"] == [record["text"] for record in made]
    assert saved(tmp_path)["id"] == known_ids(made)


@settings(max_examples=200)
@given(
    row=st.dictionaries(
        st.sampled_from(["text", "meta", "source"]),
        st.none() | st.text(st.characters(exclude_categories=("Cs",))) | st.floats(-1e15, 1e15) | st.booleans(),
    )
)
def test_row_digests_are_of_the_canonical_text(row: dict[str, Any]) -> None:
    """orjson spells what records hold as the standard library does, small and large exponents apart."""
    small = any(isinstance(value, float) and value and abs(value) < 1e-4 for value in row.values())
    if not small:
        assert digest.row_text(row) == digest.canonical(row)


def test_long_rows_are_not_held_until_there_are_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand rows of some megabytes each would fill the memory, and more than an Arrow array of text can hold."""
    monkeypatch.setattr(writing, "BLOCK", 5_000)
    monkeypatch.setattr(writing, "SHARD", 20_000)
    made = [text(f"{number} " * 1_000) for number in range(20)]
    write(tmp_path, made)
    files = list((tmp_path / RECORDS).glob("*.arrow"))
    assert len(files) > 2
    assert max(path.stat().st_size for path in files) < 40_000
    assert saved(tmp_path)["text"] == [record["text"] for record in made]
    assert saved(tmp_path)["id"] == known_ids(made)


PAIR = preference([message("user", "q")], [message("assistant", "a")], [message("assistant", "b")])
LIST = ranking([message("user", "q")], [{"completion": [message("assistant", "a")], "score": 1.0}])


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (PAIR.replace(margin=float("nan")), "not finite"),  # JSON has no such number: it would have null's digest
        (PAIR.replace(margin=float("-inf")), "not finite"),
        (LIST.replace(candidates=[{**LIST["candidates"][0], "score": float("nan")}]), "not finite"),
        (PAIR.replace(margin=2**70), "exceeds 64-bit"),
        (PAIR.replace(task="\ud800"), "not valid UTF-8"),
        (PAIR.replace(task=3), "does not fit the schema"),
        (PAIR.replace(task=b"x"), "cannot be stored"),
        (Record(Kind.PREFERENCE, {"prompt": PAIR["prompt"]}), "no column 'kind'"),
    ],
)
def test_what_no_builder_makes_is_refused(tmp_path: Path, record: Record, said: str) -> None:
    with pytest.raises(writing.Unfit, match=said):
        write(tmp_path, [record], record.kind)


def test_a_numpy_float_is_a_number(tmp_path: Path) -> None:
    margins = [PAIR.replace(margin=np.float64(1.5)), PAIR.replace(margin=1.5)]
    write(tmp_path, margins, Kind.PREFERENCE)
    assert saved(tmp_path)["margin"] == [1.5, 1.5]
    first, second = np.load(tmp_path / ROW_DIGESTS)
    assert first.tolist() == second.tolist()
