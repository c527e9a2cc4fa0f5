"""MTLD against two published implementations, on 200 real answers.

Both are handed our words, so that only the measure is compared. They differ from each other, and from the one here in
exactly what each test says.
"""

from __future__ import annotations

import gzip
import importlib.resources
import json
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from itune_scorers.mtld import mtld
from itune_scorers.text.words import words

DATA = Path(os.environ.get("ITUNE_TEST_DATA") or Path(__file__).parents[4] / "shared" / "data")
THRESHOLD = 0.72


@pytest.fixture(scope="module")
def answers() -> list[list[str]]:
    """The words of every 260th answer of Alpaca, 200 in all."""
    path = DATA / "alpaca" / "alpaca_data.jsonl.gz"
    if not path.is_file():
        pytest.skip("needs real rows: alpaca below the folder that ITUNE_TEST_DATA names")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        chosen = [json.loads(line)["output"] for number, line in enumerate(lines) if number % 260 == 0][:200]
    return [words(answer, "spaced") for answer in chosen]


@pytest.fixture
def lexical_diversity(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], float]:
    """MTLD of the package lexical-diversity 0.1.1.

    It looks up its list of lemmas, which MTLD does not use, by ``pkg_resources``, and setuptools has dropped that.
    """
    pytest.importorskip("lexical_diversity", reason="pip install lexical-diversity")
    found = ModuleType("pkg_resources")
    found.resource_filename = lambda package, name: str(importlib.resources.files(package) / name)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pkg_resources", found)
    from lexical_diversity import lex_div

    return lex_div.mtld  # type: ignore[no-any-return]


@pytest.fixture
def lexicalrichness() -> Callable[[list[str]], float]:
    """MTLD of the package lexicalrichness 0.5.1."""
    pytest.importorskip("lexicalrichness", reason="pip install lexicalrichness")
    from lexicalrichness import LexicalRichness

    return lambda tokens: LexicalRichness(tokens, preprocessor=None, tokenizer=None).mtld(THRESHOLD)


def left_over(tokens: list[str]) -> float:
    """The type-token ratio of what follows the last factor that ends before the last word; factors of 10 words up."""
    start = 0
    for end in range(1, len(tokens)):
        part = tokens[start:end]
        if len(part) >= 10 and len(set(part)) / len(part) < THRESHOLD:
            start = end
    return len(set(tokens[start:])) / len(tokens[start:])


def test_lexical_diversity(answers: list[list[str]], lexical_diversity: Callable[[list[str]], float]) -> None:
    """It gives 0 where all words differ, and counts what is left at the end as more than one factor where its ratio is
    below the threshold, as it is when the last word completes a factor. Elsewhere the two are equal."""
    undefined, equal, capped = 0, 0, 0
    for tokens in answers:
        ours, theirs = mtld(tokens), lexical_diversity(tokens)
        if ours is None:
            undefined += 1
            assert theirs == 0
        elif min(left_over(tokens), left_over(tokens[::-1])) < THRESHOLD:
            capped += 1
            assert ours > theirs
        else:
            equal += 1
            assert ours == pytest.approx(theirs, rel=1e-12)
    assert (undefined, equal, capped) == (66, 133, 1)


def test_lexicalrichness(answers: list[list[str]], lexicalrichness: Callable[[list[str]], float]) -> None:
    """It gives the number of words where all differ, and completes a factor also at the threshold itself. With a
    threshold one step of a float higher, below which the old one lies, the two are equal."""
    above = math.nextafter(THRESHOLD, 1)
    undefined, equal = 0, 0
    for tokens in answers:
        ours, theirs = mtld(tokens, THRESHOLD, min_segment=1), lexicalrichness(tokens)
        if ours is None:
            undefined += 1
            assert theirs == len(tokens)
        else:
            assert mtld(tokens, above, min_segment=1) == pytest.approx(theirs, rel=1e-12)
            equal += math.isclose(ours, theirs, rel_tol=1e-12)
    assert (undefined, equal) == (66, 124)
