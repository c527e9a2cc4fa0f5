"""What ``itune_filters`` gives to other packages, and that it costs nothing until it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import itune_filters
from itune_core.api import Drop, RowError
from itune_filters import (
    Near,
    Parent,
    RougePool,
    evolution_failure,
    instruction_fault,
    judged_equal,
    tokens,
)


@pytest.mark.parametrize("name", itune_filters.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(itune_filters, name).__class__.__name__ != "module"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'RougePol'"):
        _ = itune_filters.RougePol  # type: ignore[attr-defined]


def test_importing_the_package_imports_nothing_else() -> None:
    script = (
        "import sys, itune_filters\n"
        "costly = ('itune_', 'pydantic', 'numpy', 'rapidfuzz', 'regex')\n"
        "print([name for name in sys.modules if name.startswith(costly)])\n"
        "from itune_filters import RougePool\n"
        "print('rapidfuzz' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["['itune_filters']", "False"]


def test_texts_that_somebody_makes_are_held_to_the_rule_of_novelty() -> None:
    pool = RougePool(0.7)
    for seed in ("Name three primes.", "Write a poem about rain."):
        pool.add(tokens(seed, "rouge"))
    assert pool.nearest(tokens("Name three large primes.", "rouge")) == Near(0, pytest.approx(6 / 7))
    assert pool.nearest(tokens("Name a colour.", "rouge")) is None


def test_instructions_that_somebody_makes_are_held_to_the_rules_of_heuristics() -> None:
    assert instruction_fault("Name the colours of the flag.") is None
    for text, reason in (("Name it.", "too-short"), ("Take the last picture again.", "unsuitable-word")):
        found = instruction_fault(text)
        assert found is not None
        assert found.reason == reason
    assert instruction_fault("Play the music to me.", black_list="self-instruct") is None
    assert instruction_fault("국기의 색깔을 모두 말하세요.", english=False) is None


def test_evolutions_that_somebody_makes_are_held_to_the_rules_of_elimination() -> None:
    def none() -> list[Parent]:
        raise AssertionError("no rule needs the parents")

    assert evolution_failure("Name a fruit of autumn.", "A quince.", none) is None
    assert evolution_failure("Name a fruit.", None, none) is None
    parent = Parent("Name a fruit.", "Name a fruit. A pear.")
    for evolved, answer, reason in (
        ("Name two.", "Sorry, no.", "sorry"),
        ("Name two.", "And so?", "only-stop-words"),
        ("See the given prompt.", None, "copied-prompt-words"),
    ):
        found = evolution_failure(evolved, answer, lambda: [parent])
        assert isinstance(found, Drop)
        assert found.reason == reason
    assert evolution_failure("See the given prompt.", None, list) is None, "without parents it was not evolved"
    assert evolution_failure("Look it up.", "...", lambda: [parent], calls_tools=True) is None


def test_a_judge_says_equal_or_different() -> None:
    assert judged_equal("Equal.")
    assert not judged_equal(" not equal")
    with pytest.raises(RowError, match="E-FILTER-021"):
        judged_equal("maybe")
