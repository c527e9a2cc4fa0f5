from __future__ import annotations

import pickle
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from itune_core.api import Drop, PluginError, message
from itune_formatters.building.frame import Frame
from itune_formatters.building.instance import Demonstration, Instance
from itune_formatters.tasks.budget import CharacterBudget, Ruler, fit
from itune_formatters.tasks.sentences import closed

WORDS = st.text("ab 가", max_size=12)
EXAMPLES = st.lists(st.builds(Demonstration, WORDS, WORDS, rationale=WORDS, wrong=st.booleans()), max_size=4)


@given(
    groups=st.lists(EXAMPLES, max_size=2),
    limit=st.integers(1, 250),
    instruction=st.text("ab 가", min_size=1, max_size=12),
    given_=WORDS,
    frame=st.builds(
        Frame, style=st.sampled_from(["plain", "headed"]), demonstrations=st.sampled_from(["text", "turns"])
    ),
)
def test_as_many_as_fit_and_the_question_is_whole(
    groups: list[list[Demonstration]], limit: int, instruction: str, given_: str, frame: Frame
) -> None:
    def turns(shown: Sequence[Demonstration]) -> list[dict[str, Any]]:
        return frame.turns(Instance(instruction, "the answer", given_, demonstrations=shown))

    def length(shown: Sequence[Demonstration]) -> int:
        return len("\n\n".join(turn["content"] for turn in turns(shown)[:-1]))

    found = fit(groups, turns, Ruler(CharacterBudget(characters=limit)))
    if isinstance(found, Drop):
        assert length([]) > limit
        assert str(length([])) in found.detail
        assert str(limit) in found.detail
        return
    assert length(found) <= limit
    question = "\n".join(turn["content"] for turn in turns(found)[:-1])
    assert instruction in question
    assert given_ in question
    left = list(found)
    for group in groups:  # what was taken is the beginning of each group, and the next of it did not fit
        taken = 0
        while taken < len(group) and left and left[0] is group[taken]:
            left.pop(0)
            taken += 1
        if taken < len(group):
            before = found[: len(found) - len(left)]
            assert length([*before, group[taken]]) > limit
    assert not left


def test_without_a_budget_everything_is_shown() -> None:
    shown = [Demonstration("a", "b" * 10_000)]
    assert fit([shown, shown], lambda found: [], Ruler()) == shown * 2


def test_without_itune_torch_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    from itune_core.api import ModelSource
    from itune_formatters.tasks.budget import TokenBudget

    monkeypatch.setitem(sys.modules, "itune_torch", None)
    source = ModelSource(tmp_path, "transformers", "x", "x")
    with pytest.raises(PluginError, match=r"itune-formatters\[tokens\]"):
        Ruler(TokenBudget(tokens=3, tokenizer="m"), source)([message("user", "a"), message("assistant", "b")])


def test_a_ruler_travels_without_its_tokenizer(tiny_folder: Any) -> None:
    from itune_core.api import ModelSource
    from itune_formatters.tasks.budget import TokenBudget

    ruler = Ruler(TokenBudget(tokens=3, tokenizer="m"), ModelSource(tiny_folder, "transformers", "x", "x"))
    turns = [message("user", "a longer question"), message("assistant", "b")]
    count = ruler(turns)
    assert len(pickle.dumps(ruler)) < 2000
    assert pickle.loads(pickle.dumps(ruler))(turns) == count > 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" up and down\n", "up and down."),
        ("Is it up?", "Is it up?"),
        ("x = 3", "x = 3."),
        ("a < b <", "a < b <"),
        ("今日は晴れ", "今日は晴れ。"),
        ("晴れですか？", "晴れですか？"),
        ("终于。", "终于。"),
        ("カタカナー", "カタカナー。"),
        ("비가 온다", "비가 온다."),
        ("ठीक है।", "ठीक है।"),
        ("he said “no”", "he said “no”"),
        ("done 🎉", "done 🎉."),
        (" \n", ""),
    ],
)
def test_full_stops(text: str, expected: str) -> None:
    assert closed(text) == expected


@given(st.text())
def test_closing_adds_at_most_one_character_and_only_once(text: str) -> None:
    made = closed(text)
    assert made[: len(text.strip())] == text.strip()
    assert len(made) - len(text.strip()) in (0, 1)
    assert closed(made) == made
