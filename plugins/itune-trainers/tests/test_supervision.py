"""Which tokens are trained: all of a text, a conversation's answers, and what a message's flag says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import datasets
import pytest

from itune_core.api import ModelSource, TrainedModel, conversation, message, text
from itune_core.testing.context import BenchContext
from itune_torch import load_tokenizer
from itune_trainers.objectives.sft import SFT

Bench = Callable[..., BenchContext]
PROSE = "The river runs past the old mill, and in spring the water reaches the lowest step."


def sft(rows: datasets.Dataset, context: BenchContext, **settings: Any) -> TrainedModel:
    plain = {"model": "tiny", "dtype": "float32", "device": "cpu", "learning_rate": 0.01, "batch_size": 4}
    return SFT(SFT.Config(**{**plain, **settings})).train({"train": rows}, context)


def shown(rows: datasets.Dataset, context: BenchContext) -> dict[str, str]:
    """By record, the text that is trained."""
    preview = SFT(SFT.Config(model="tiny")).preview({"train": rows}, context)
    return {row: "".join(token for token, trained in tokens if trained) for row, tokens in preview}


@pytest.fixture
def replayed(dataset: Any, conversations: datasets.Dataset) -> datasets.Dataset:
    """What a mixer of several kinds gives: the columns of both, null where a kind lacks them."""
    rows = [text(PROSE).replace(id="prose"), text("A list has an order and a set has none.").replace(id="list")]
    return datasets.concatenate_datasets([conversations.select([0, 3]), dataset(rows[0].kind, rows)])


def test_every_token_of_a_text_and_the_answers_of_a_conversation(
    replayed: datasets.Dataset, bench: Bench, tiny: ModelSource
) -> None:
    tokenizer = load_tokenizer(tiny)
    made = sft(replayed, bench(), batch_size=1, shuffle=False)
    # The end token belongs to both; nothing comes before the first token of a text to predict it from.
    wanted = ["Green, on a windy day.<|im_end|>\n", "Five.<|im_end|>\n"]
    texts = [PROSE + "<|im_end|>", "A list has an order and a set has none.<|im_end|>"]
    lengths = [len(tokenizer(part, add_special_tokens=False)["input_ids"]) for part in (*wanted, *texts)]
    lengths = [*lengths[:2], *(length - 1 for length in lengths[2:])]
    assert [entry["supervised_tokens"] for entry in made.history] == lengths
    assert made.metrics["supervised_tokens"] == sum(lengths)
    assert list(shown(replayed, bench("shown")).values()) == [*wanted, *texts]


def test_a_flag_decides_for_its_message_alone(dataset: Any, bench: Bench, tiny: ModelSource) -> None:
    """Of four answers, the flags leave two; and the question that is flagged is learned, too."""
    turns = [
        message("user", "Name a bird."),
        message("assistant", "The owl."),
        message("user", "Another?"),
        message("assistant", "The mill.", train=False),
        message("user", "That is no bird.", train=True),
        message("assistant", "The nightingale.", train=True),
        message("user", "Thanks."),
        message("assistant", "At your service.", train=False),
    ]
    rows = dataset("conversation", [conversation(turns).replace(id="birds")])
    trained = shown(rows, bench("shown"))["birds"]
    for said in ("The owl.<|im_end|>", "That is no bird.", "The nightingale.<|im_end|>"):
        assert said in trained
        trained = trained.replace(said, "", 1)
    assert trained.replace("<|im_end|>", "").strip() == "", "and nothing else"
    made = sft(rows, bench())
    (tokens,) = [row for _, row in SFT(SFT.Config(model="tiny")).preview({"train": rows}, bench("again"))]
    assert made.history[0]["supervised_tokens"] == sum(on for _, on in tokens)


def test_untrained_answers_change_no_weight_but_by_what_follows(dataset: Any, bench: Bench) -> None:
    """Another text in a turn that is not trained and that nothing trained reads: the same bytes."""

    def rows(last: str) -> datasets.Dataset:
        turns = [
            message("user", "Name a bird."),
            message("assistant", "The owl."),
            message("user", "Another?"),
            message("assistant", last, train=False),
        ]
        return dataset("conversation", [conversation(turns).replace(id="birds")])

    made = [sft(rows(last), bench(last), epochs=3) for last in ("Snow.", "Mill.")]
    assert made[0].history == made[1].history
    names = "adapter_model.safetensors"
    assert (made[0].folder / names).read_bytes() == (made[1].folder / names).read_bytes()


def test_phases_are_trained_in_their_order(conversations: datasets.Dataset, replayed: Any, bench: Bench) -> None:
    """Two phases of a mix of kinds: no step holds rows of both, and the second comes after all of the first."""
    rows = replayed.select([2, 0, 3, 1]).add_column("phase", [0, 0, 1, 1])
    made = sft(rows, bench(), batch_size=3)
    alone = [
        sum(entry["supervised_tokens"] for entry in sft(rows.select(part), bench(str(part)), batch_size=1).history)
        for part in ([0, 1], [2, 3])
    ]
    assert [entry["supervised_tokens"] for entry in made.history] == alone
