"""Rows are tokenised once, whatever mixes they are drawn into."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import itune_torch
from itune_core.api import Kind, ModelSource, RowError, conversation, message, preference, records, text
from itune_core.testing.context import BenchContext
from itune_trainers.objectives.dpo import DPO
from itune_trainers.objectives.sft import SFT
from itune_trainers.rows.encoder import Encoder, OverLength
from itune_trainers.rows.token_cache import token_cache

Bench = Callable[..., BenchContext]
SETTINGS = {"model": "tiny", "dtype": "float32", "device": "cpu", "learning_rate": 1e-3}
WORDS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00<"), min_size=1, max_size=30).filter(
    str.strip
)


@pytest.fixture
def tokenised(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The id of every row that is tokenised, in order."""
    seen: list[str] = []
    for name in ("encode_conversation", "encode_completion", "encode_text"):
        plain = getattr(itune_torch, name)

        def counting(*given: Any, plain: Any = plain, **options: Any) -> Any:
            seen.append(options["row"])
            return plain(*given, **options)

        counting.__wrapped__ = plain  # type: ignore[attr-defined]  # what the identity of the code is taken from
        monkeypatch.setattr(itune_torch, name, counting)
    return seen


def test_a_new_mix_tokenises_nothing_anew(conversations: datasets.Dataset, bench: Bench, tokenised: list[str]) -> None:
    first = SFT(SFT.Config(**SETTINGS)).train({"train": conversations}, bench("project"))
    assert sorted(tokenised) == sorted(conversations["id"])
    tokenised.clear()
    other = conversations.select([3, 3, 9, 1, 1, 1])  # another mix: fewer rows, some of them several times
    SFT(SFT.Config(**SETTINGS, epochs=2)).train({"train": other}, bench("project"))
    assert tokenised == []
    again = SFT(SFT.Config(**SETTINGS)).train({"train": conversations}, bench("project"))
    assert tokenised == []
    assert again.history == first.history


def test_within_a_mix_a_repeated_row_is_tokenised_once(
    conversations: datasets.Dataset, bench: Bench, tokenised: list[str]
) -> None:
    SFT(SFT.Config(**SETTINGS)).train({"train": conversations.select([2, 2, 5, 2])}, bench())
    assert tokenised == ["c2", "c5"]


def test_another_length_policy_or_tokenizer_is_another_row(
    pairs: datasets.Dataset, bench: Bench, tokenised: list[str], tiny: ModelSource
) -> None:
    def train(**changed: Any) -> int:
        tokenised.clear()
        DPO(DPO.Config(**{**SETTINGS, **changed})).train({"train": pairs}, bench("project"))
        return len(tokenised)

    assert [train(), train(), train(beta=0.5), train(max_length=200), train(max_length=200)] == [22, 0, 0, 22, 0]
    tokenizer = itune_torch.load_tokenizer(tiny)
    record = next(records(pairs))
    for template, count in ((tokenizer.chat_template, 0), (tokenizer.chat_template + "{# other #}", 1)):
        tokenised.clear()
        tokenizer.chat_template = template
        with token_cache(tokenizer, bench("project")) as cache:
            Encoder(tokenizer, 1024, "error", cache).completion(record, "chosen")
        assert len(tokenised) == count


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> BenchContext:
    return BenchContext(tmp_path_factory.mktemp("cache"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(asked=WORDS, said=WORDS, trained=st.none() | st.booleans(), longest=st.sampled_from([8, 20, 512]))
def test_what_comes_out_is_what_went_in(
    tiny: ModelSource, shared: BenchContext, asked: str, said: str, trained: bool | None, longest: int
) -> None:
    """Conversations, completions and texts, whole and cut: fresh, from memory and from the file."""
    tokenizer = itune_torch.load_tokenizer(tiny)
    turns = [message("user", asked, train=trained), message("assistant", said)]
    rows = [
        lambda encoder: encoder.conversation(conversation(turns)),
        lambda encoder: encoder.completion(preference(turns[:1], turns[1:], turns[1:]), "chosen"),
        lambda encoder: encoder.text(text(asked)),
    ]

    def outcome(make: Callable[[Encoder], Any], cache: Any) -> Any:
        try:
            return make(Encoder(tokenizer, longest, "truncate-response", cache))
        except (OverLength, RowError) as error:
            return type(error), str(error)

    fresh = [outcome(row, None) for row in rows]
    for _ in range(2):
        with token_cache(tokenizer, shared) as cache:
            assert [outcome(row, cache) for row in rows] == fresh
            assert [outcome(row, cache) for row in rows] == fresh


def test_two_trainings_at_once_share_the_file(tiny: ModelSource, tmp_path: Path, dataset: Any) -> None:
    tokenizer = itune_torch.load_tokenizer(tiny)
    made = [conversation([message("user", f"{n}?"), message("assistant", f"{n}.")]) for n in range(20)]
    rows = dataset(Kind.CONVERSATION, made)
    with token_cache(tokenizer, BenchContext(tmp_path)) as one, token_cache(tokenizer, BenchContext(tmp_path)) as two:
        for cache in (one, two):
            for record in records(rows):
                Encoder(tokenizer, 256, "error", cache).conversation(record)
    with token_cache(tokenizer, BenchContext(tmp_path)) as later:
        for record in records(rows):
            later.row([record["messages"], {"max_length": 256, "overlength": "error"}], lambda: pytest.fail("new"))
