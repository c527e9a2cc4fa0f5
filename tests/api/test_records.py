"""Records: what the builders refuse, and that what they take survives a data set unchanged."""

from __future__ import annotations

import datasets
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_core.api import (
    Kind,
    Parts,
    Record,
    RowError,
    contents,
    conversation,
    example,
    features,
    feedback,
    message,
    parts,
    preference,
    prompt,
    ranking,
    records,
    text,
)
from itune_core.api.records import COMMON, CONTENT, MESSAGE, SCHEMAS

TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=12)
FULL = TEXT.filter(str.strip)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
TURN = st.builds(
    message,
    st.sampled_from(["system", "user", "assistant", "tool"]),
    TEXT,
    name=st.none() | TEXT,
    tool_calls=st.none() | TEXT,
    train=st.none() | st.booleans(),
)
ASKED = st.tuples(st.lists(TURN, max_size=2), st.builds(message, st.just("user"), TEXT)).map(lambda t: [*t[0], t[1]])
ANSWER = st.builds(message, st.just("assistant"), FULL).map(lambda turn: [turn])
COMMON_VALUES = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("source", "task", "category", "language", "license", "rationale", "meta"), TEXT),
        "references": st.lists(TEXT, max_size=2),
        "parents": st.lists(TEXT, max_size=2),
    },
)


@st.composite
def built(draw: st.DrawFn, kind: Kind) -> Record:
    common = draw(COMMON_VALUES)
    ask, answer = draw(ASKED), draw(ANSWER)
    match kind:
        case Kind.CONVERSATION:
            return conversation([*ask, *answer], **common)
        case Kind.PROMPT:
            return prompt(ask, **common)
        case Kind.PREFERENCE:
            probability = draw(st.none() | st.floats(0, 1))
            margin = draw(st.none() | NUMBER)
            return preference(ask, answer, draw(ANSWER), probability=probability, margin=margin, **common)
        case Kind.RANKING:
            candidate = st.fixed_dictionaries(
                {"completion": ANSWER}, optional={"model": st.none() | TEXT, "score": st.none() | NUMBER}
            )
            return ranking(ask, draw(st.lists(candidate, max_size=3)), **common)
        case Kind.FEEDBACK:
            label, value = draw(st.none() | st.booleans()), draw(st.none() | NUMBER)
            return feedback(ask, answer, label=label, value=value, **common)
        case Kind.TEXT:
            return text(draw(FULL), **common)


def data_set(rows: list[Record]) -> datasets.Dataset:
    return datasets.Dataset.from_list([dict(row) for row in rows], features=features(rows[0].kind))


@pytest.mark.parametrize("kind", Kind)
@given(data=st.data())
def test_a_record_survives_a_data_set(kind: Kind, data: st.DataObject) -> None:
    made = data.draw(st.lists(built(kind), min_size=1, max_size=3))
    read = list(records(data_set(made)))
    assert [dict(row) for row in read] == [dict(row) for row in made]
    assert {row.kind for row in read} == {kind}


@pytest.mark.parametrize("kind", Kind)
def test_the_example_holds_every_column_of_its_kind(kind: Kind) -> None:
    made = example(kind)
    assert (made.kind, made["kind"]) == (kind, kind.value)
    assert list(made) == list(SCHEMAS[kind]) == [*COMMON, *CONTENT[kind]]
    assert dict(next(records(data_set([made])))) == dict(made)
    assert list(features(kind)) == list(made)


@pytest.mark.parametrize("kind", Kind)
def test_data_sets_of_two_sources_are_concatenated(kind: Kind) -> None:
    """The first has only nulls where the second has values: inferred schemas would refuse each other."""
    bare = example(kind)
    rich = bare.replace(task="qa", category="x", references=["r"], parents=["p"], meta="{}", license="MIT", id="1")
    both = datasets.concatenate_datasets([data_set([bare]), data_set([rich])])
    assert [dict(row) for row in records(both)] == [dict(bare), dict(rich)]


def test_replace_leaves_the_original() -> None:
    made = example(Kind.TEXT)
    changed = made.replace(text="Eleven is one too.", source="s")
    assert (made["text"], made["source"]) == ("Seven is a prime number.", None)
    assert (changed["text"], changed["source"], changed.kind) == ("Eleven is one too.", "s", Kind.TEXT)
    with pytest.raises(TypeError, match="no column"):
        made.replace(messages=[])


def test_a_record_reads_score_columns_that_were_joined() -> None:
    rows = data_set([example(Kind.TEXT)]).add_column("score.length.words", [5])
    assert next(records(rows))["score.length.words"] == 5


ASK, GOOD, EMPTY = message("user", "q"), message("assistant", "a"), message("assistant", " \n")


@pytest.mark.parametrize(
    ("build", "code"),
    [
        (lambda: message("user", None), "E-DATA-010"),
        (lambda: message(None, "q"), "E-DATA-010"),
        (lambda: message("user", "a\x00b"), "E-DATA-010"),
        (lambda: message("user", "\ud800"), "E-DATA-010"),
        (lambda: message("\udfff", "q"), "E-DATA-010"),
        (lambda: message("user", "q", name=7), "E-DATA-010"),
        (lambda: message("user", "q", tool_calls=[]), "E-DATA-010"),
        (lambda: message("user", "q", train="yes"), "E-DATA-010"),
        (lambda: conversation([]), "E-DATA-011"),
        (lambda: conversation([ASK]), "E-DATA-011"),
        (lambda: conversation([ASK, EMPTY]), "E-DATA-012"),
        (lambda: conversation("text"), "E-DATA-010"),
        (lambda: conversation(None), "E-DATA-010"),
        (lambda: conversation(["text"]), "E-DATA-010"),
        (lambda: conversation([ASK, GOOD], task=7), "E-DATA-010"),
        (lambda: conversation([ASK, GOOD], meta={}), "E-DATA-010"),
        (lambda: conversation([ASK, GOOD], license="\ud800"), "E-DATA-010"),
        (lambda: conversation([ASK, GOOD], references="one text"), "E-DATA-010"),
        (lambda: conversation([ASK, GOOD], references=["a", None]), "E-DATA-010"),
        (lambda: prompt([ASK, GOOD]), "E-DATA-011"),
        (lambda: preference([ASK], [GOOD], [EMPTY]), "E-DATA-012"),
        (lambda: preference([ASK], [GOOD], [GOOD], probability=1.5), "E-DATA-013"),
        (lambda: preference([ASK], [GOOD], [GOOD], probability=float("nan")), "E-DATA-013"),
        (lambda: preference([ASK], [GOOD], [GOOD], probability="1"), "E-DATA-013"),
        (lambda: preference([ASK], [GOOD], [GOOD], margin=True), "E-DATA-013"),
        (lambda: preference([ASK], [GOOD], [GOOD], margin=10**400), "E-DATA-013"),
        (lambda: ranking([ASK], [{"completion": [GOOD], "score": "high"}]), "E-DATA-013"),
        (lambda: ranking([ASK], [{"completion": [GOOD], "model": 7}]), "E-DATA-010"),
        (lambda: ranking([ASK], [{"score": 1.0}]), "E-DATA-010"),
        (lambda: feedback([ASK], [GOOD], label=1), "E-DATA-013"),
        (lambda: feedback([ASK], [GOOD], value=float("inf")), "E-DATA-013"),
        (lambda: text(" \n"), "E-DATA-012"),
        (lambda: text(b"bytes"), "E-DATA-010"),
    ],
)
def test_what_is_refused(build: object, code: str) -> None:
    with pytest.raises(RowError) as caught:
        build()
    assert caught.value.code == code


def test_a_tool_call_is_an_answer_without_text() -> None:
    call = message("assistant", "", tool_calls='[{"name": "look_up"}]')
    assert conversation([ASK, call])["messages"][-1] == call


def test_an_unknown_common_column_is_the_authors_mistake() -> None:
    with pytest.raises(TypeError, match="colour"):
        text("t", colour="red")


def test_a_message_has_every_field_of_the_schema() -> None:
    assert list(ASK) == list(MESSAGE)


def test_parts_of_every_kind() -> None:
    def said(taken: Parts) -> tuple[list[str], list[list[str]]]:
        prompt_, responses = taken
        return [turn["content"] for turn in prompt_], [[turn["content"] for turn in turns] for turns in responses]

    question, good, bad = "Name a prime number.", "Seven.", "Eight."
    assert {kind: said(parts(example(kind))) for kind in Kind} == {
        Kind.CONVERSATION: ([question], [[good]]),
        Kind.PROMPT: ([question], []),
        Kind.PREFERENCE: ([question], [[good], [bad]]),
        Kind.RANKING: ([question], [[good], [bad]]),
        Kind.FEEDBACK: ([question], [[good]]),
        Kind.TEXT: ([], [["Seven is a prime number."]]),
    }


def test_contents_of_a_part() -> None:
    asked = [message("system", "be kind"), message("user", "q"), message("assistant", "a"), message("user", "r")]
    pair = preference(asked, [message("assistant", "good")], [message("assistant", "bad")])
    assert contents(pair, "prompt") == ["q", "a", "r"]
    assert contents(pair, "response") == ["good", "bad"]
    assert contents(pair, "all") == ["q", "a", "r", "good", "bad"]
    assert contents(text("T"), "prompt") == contents(text("T"), "response") == contents(text("T"), "all") == ["T"]
    assert contents(prompt([message("user", "")]), "prompt") == [""]


def test_a_part_that_a_record_lacks() -> None:
    silent = prompt([message("system", "be kind"), message("user", "q")])
    with pytest.raises(RowError, match="a prompt record has no response") as caught:
        contents(silent, "response")
    assert caught.value.code == "E-DATA-037"
    with pytest.raises(RowError, match="a conversation record has no prompt"):
        contents(conversation([message("system", "be kind"), message("assistant", "a")]), "prompt")
