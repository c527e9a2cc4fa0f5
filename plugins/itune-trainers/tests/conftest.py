"""A two-layer model, rows in our own words, and a bench to train on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

# Read when these libraries are imported. TRL, which some tests compare with, reports its use otherwise.
os.environ["HF_HUB_OFFLINE"] = os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

import datasets
import pytest

from itune_core.api import Kind, ModelSource, Record, conversation, features, message, preference
from itune_core.testing.context import BenchContext

QUESTIONS = [
    ("Name a colour of the sea.", "Green, on a windy day."),
    ("How long does an egg boil?", "Seven minutes."),
    ("Which bird sings at night?", "The nightingale, from late April on."),
    ("Add two and three.", "Five."),
    (
        "Why do leaves fall?",
        "The tree lets them go before the frost does it more harm than the loss of a little light.",
    ),
    ("Where is the spare key?", "Under the third flower pot from the left."),
    ("Spell mill.", "M, i, l, l."),
    ("What is a ladder for?", "For reaching what is too high."),
    ("Who opened the window?", "She did, and looked at the clouds."),
    ("When does the train go?", "At ten past four, if there is no snow on the line."),
    ("Give me a rhyme for stone.", "Alone."),
]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> ModelSource:
    """A random model with a tokenizer and chat template, saved as float32."""
    from itune_torch import make_tiny_llama

    return ModelSource(make_tiny_llama(tmp_path_factory.mktemp("tiny")), "transformers", "tiny-1", "tiny")


@pytest.fixture(scope="session")
def dataset() -> Callable[[Kind, Iterable[Record]], datasets.Dataset]:
    def build(kind: Kind, records: Iterable[Record]) -> datasets.Dataset:
        return datasets.Dataset.from_list([dict(record) for record in records], features=features(kind))

    return build


@pytest.fixture(scope="session")
def conversations(dataset: Any) -> datasets.Dataset:
    """Eleven questions with answers of different lengths."""
    return dataset(
        Kind.CONVERSATION,
        (
            conversation([message("user", ask), message("assistant", answer)]).replace(id=f"c{number}")
            for number, (ask, answer) in enumerate(QUESTIONS)
        ),
    )


@pytest.fixture(scope="session")
def pairs(dataset: Any) -> datasets.Dataset:
    """Eleven pairs: the answer, and that of the next question."""
    answers = [answer for _, answer in QUESTIONS]
    return dataset(
        Kind.PREFERENCE,
        (
            preference(
                [message("user", ask)],
                [message("assistant", answer)],
                [message("assistant", answers[(number + 1) % len(answers)])],
            ).replace(id=f"p{number}")
            for number, (ask, answer) in enumerate(QUESTIONS)
        ),
    )


@pytest.fixture
def bench(tmp_path: Path, tiny: ModelSource) -> Callable[..., BenchContext]:
    """``bench(name, seed=0, **models)``: an engine of its own folder that knows the model ``tiny``."""

    def build(name: str = "bench", *, seed: int = 0, **models: ModelSource) -> BenchContext:
        return BenchContext(tmp_path / name, models={"tiny": tiny, **models}, seed=seed)

    return build
