"""Views against plain lists: selections, draws, columns and casts over saved records."""

from __future__ import annotations

from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from itune_core.api import Kind, Record, conversation, example, features, message, parts, preference, records, text
from itune_core.api.records import spelt, spelt_kinds
from itune_core.engine.mixing import order_digest
from itune_core.engine.views import Base, View, concatenate
from itune_core.engine.writing import RecordWriter


def _write(folder: Path, made: list[Record], source: str = "test") -> View:
    folder.mkdir()
    with RecordWriter(folder, made[0].kind, source) as writer:
        for record in made:
            writer.add(record)
        writer.finish()
    return View((Base(folder, made[0].kind),), np.arange(len(made)))


def _conversations(prefix: str, count: int) -> list[Record]:
    return [conversation([message("user", f"{prefix} {n}?"), message("assistant", f"{n}.")]) for n in range(count)]


@pytest.fixture(scope="module")
def views(tmp_path_factory: pytest.TempPathFactory) -> tuple[View, View]:
    root = tmp_path_factory.mktemp("views")
    return _write(root / "a", _conversations("a", 7), "a"), _write(root / "b", _conversations("b", 5), "b")


def _answers(view: View) -> list[str]:
    return [record["messages"][0]["content"] for record in records(view.dataset)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_chain_of_views_reads_as_lists_do(views: tuple[View, View], data: st.DataObject) -> None:
    first, second = views
    expected = [f"a {n}?" for n in range(7)] + [f"b {n}?" for n in range(5)]
    view = concatenate([first, second])
    scores: list[float | None] | None = None
    for _ in range(data.draw(st.integers(1, 4))):
        match data.draw(st.sampled_from(["select", "draw", "score"])):
            case "select":
                keep = data.draw(st.lists(st.booleans(), min_size=len(expected), max_size=len(expected)))
                positions = np.flatnonzero(keep)
            case "draw":
                positions = np.array(
                    data.draw(st.lists(st.integers(0, max(len(expected) - 1, 0)), max_size=9)), dtype=np.int64
                )
                positions = positions[: 9 if expected else 0]
            case _:
                scores = [float(len(scores or [])) + n for n in range(len(expected))]
                view = view.join({"score.s": pa.array(scores, type=pa.float64())})
                continue
        view = view.select(positions)
        expected = [expected[n] for n in positions]
        scores = [scores[n] for n in positions] if scores is not None else None
    assert _answers(view) == expected
    if scores is not None:
        assert list(view.dataset["score.s"]) == scores


def test_digests_are_those_of_the_first_release(views: tuple[View, View]) -> None:
    """Other digests would make every artifact anew. Computed before rows were hashed in pieces."""
    first, second = views
    assert first.digest == "80a03fe5f6a41b38cedf0f47a6670790"
    assert first.cast(Kind.PROMPT).digest == "849472be115dcbed4fd1bc8ceba81ba5"
    drawn = concatenate([first, second]).select(np.array([3, 3, 11, 0, 8]))
    assert drawn.digest == "5ea10ac4353525cc9d439c79abb7a122"
    phases = {"phase": pa.array([0, 0, 0, 1, 1]), "epoch": pa.array([0, 0, 1, 0, 0])}
    assert order_digest(drawn.join(phases)) == "bf9fcebbf213d07fa24bb5fd78d0abe6"


@pytest.fixture(scope="module")
def mixed(views: tuple[View, View], tmp_path_factory: pytest.TempPathFactory) -> View:
    """Three texts, seven conversations, two pairs."""
    root = tmp_path_factory.mktemp("mixed")
    texts = _write(root / "texts", [text(f"t {n}") for n in range(3)])
    pair = preference([message("user", "?")], [message("assistant", "Yes.")], [message("assistant", "No.")], margin=2.0)
    return concatenate([texts, views[0], _write(root / "pairs", [pair, pair])])


def test_a_mixed_view_says_of_each_row_what_it_is(mixed: View) -> None:
    chosen = mixed.select(np.array([11, 0, 3, 2, 0]))
    assert chosen.kinds == (Kind.CONVERSATION, Kind.PREFERENCE, Kind.TEXT)
    assert chosen.dataset.features == features(*chosen.kinds)
    rows = list(records(chosen.dataset))
    assert [row.kind for row in rows] == [Kind.PREFERENCE, Kind.TEXT, Kind.CONVERSATION, Kind.TEXT, Kind.TEXT]
    assert [len(parts(row).responses) for row in rows] == [2, 1, 1, 1, 1]
    assert [row["text"] for row in rows] == [None, "t 0", None, "t 2", "t 0"]
    assert [row["margin"] for row in rows] == [2.0, None, None, None, None]
    assert rows[1]["messages"] is None


def test_a_mixed_view_without_rows_has_all_columns(mixed: View) -> None:
    assert mixed.select(np.arange(0)).dataset.features == features(*mixed.kinds)


def test_a_mixed_view_takes_columns_and_is_saved(mixed: View, tmp_path: Path) -> None:
    scored = mixed.join({"score.s": pa.array(np.arange(len(mixed)))}).select(np.array([4, 0, 4, 11]))
    scored.dataset.save_to_disk(str(tmp_path / "saved"))
    read = datasets.load_from_disk(str(tmp_path / "saved"))
    assert read.column_names == [*features(*mixed.kinds), "score.s"]
    assert list(read["score.s"]) == [4, 0, 4, 11]
    assert list(read["kind"]) == ["conversation", "text", "conversation", "preference"]
    assert concatenate([scored, mixed]).dataset["score.s"][4:] == [None] * len(mixed)


def test_a_mixed_view_has_a_digest_of_its_rows_and_kinds(mixed: View, views: tuple[View, View]) -> None:
    conversations = np.arange(3, 10)
    assert mixed.select(conversations).digest != views[0].digest  # it is read with other columns
    assert mixed.select(conversations).digest != mixed.select(conversations[::-1]).digest
    assert mixed.cast(None) is mixed
    assert spelt(mixed.kinds) == "conversation+preference+text"
    assert spelt_kinds(spelt(mixed.kinds)) == mixed.kinds


def test_a_column_that_one_part_lacks_is_null_there(views: tuple[View, View]) -> None:
    scored = views[0].join({"score.x": pa.array(range(7))})
    both = concatenate([scored, views[1]])
    assert list(both.dataset["score.x"]) == [*range(7), *[None] * 5]


def test_equal_rows_have_equal_digests_and_others_not(views: tuple[View, View], tmp_path: Path) -> None:
    again = _write(tmp_path / "again", _conversations("a", 7), "a")
    assert again.digest == views[0].digest
    assert again.select(np.array([1, 0])).digest != again.select(np.array([0, 1])).digest
    assert _write(tmp_path / "renamed", _conversations("a", 7), "other").digest != again.digest
    assert again.cast(Kind.PROMPT).digest != again.digest


def test_ids_depend_on_content_and_not_on_neighbours(tmp_path: Path) -> None:
    rows = _conversations("q", 3)
    plain = _write(tmp_path / "plain", rows)
    inserted = _write(tmp_path / "inserted", [rows[0], *_conversations("new", 2), *rows[1:]])
    twice = _write(tmp_path / "twice", [*rows, rows[1]])
    assert set(plain.dataset["id"]) < set(inserted.dataset["id"])
    assert list(twice.dataset["id"])[:3] == list(plain.dataset["id"])
    assert len(set(twice.dataset["id"])) == 4


def test_casts_keep_every_text(tmp_path: Path) -> None:
    pair = preference(
        [message("user", "Which?")], [message("assistant", "This.")], [message("assistant", "That.")], task="choose"
    )
    view = _write(tmp_path / "pairs", [pair, pair])
    as_feedback = view.select(np.array([1])).cast(Kind.FEEDBACK)
    rows = list(records(as_feedback.dataset))
    assert [(row["completion"][0]["content"], row["label"]) for row in rows] == [("This.", True), ("That.", False)]
    assert [row["task"] for row in rows] == ["choose", "choose"]
    assert [row["id"].partition("/")[2] for row in rows] == ["chosen", "rejected"]
    ranked = next(records(view.cast(Kind.RANKING).dataset))
    assert [(c["completion"][0]["content"], c["score"]) for c in ranked["candidates"]] == [("This.", 1), ("That.", 0)]
    assert next(records(view.cast(Kind.RANKING).cast(None).dataset)).kind == Kind.RANKING


def test_a_conversation_becomes_a_prompt_with_its_answer_as_reference(tmp_path: Path) -> None:
    row = next(records(_write(tmp_path / "c", [example(Kind.CONVERSATION)]).cast(Kind.PROMPT).dataset))
    assert row.kind == Kind.PROMPT
    assert [turn["content"] for turn in row["prompt"]] == ["Name a prime number."]
    assert row["references"] == ["Seven."]
