"""However a batch is split into passes, its gradient is that of the whole: joined, padded, ragged, row by row."""

from __future__ import annotations

from typing import Any

import datasets
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from itune_core.api import Kind, ModelSource, feedback, ranking, records
from itune_core.testing.context import BenchContext
from itune_torch import load_tokenizer
from itune_trainers.forward.causal import Causal
from itune_trainers.model.opening import open_model
from itune_trainers.objectives.dpo import DPO
from itune_trainers.objectives.kto import KTO
from itune_trainers.objectives.rrhf import RRHF
from itune_trainers.objectives.sft import SFT
from itune_trainers.rows.encoder import Encoder
from itune_trainers.rows.example import Example
from itune_trainers.training.loop import mean_loss

PLAIN = {"model": "tiny", "dtype": "float32", "device": "cpu"}


class Case:
    """An objective with its examples and a model that is not its reference any more."""

    def __init__(self, objective: Any, rows: datasets.Dataset, tiny: ModelSource) -> None:
        self.objective = objective
        encoder = Encoder(load_tokenizer(tiny), 256, "error")
        self.examples = objective.complete([objective.example(record, encoder) for record in records(rows)])
        self.model = open_model(Causal, objective.config, tiny, seed=0)
        self.model.eval()
        self.forward = Causal(self.model, "cpu", 4096)
        if objective.needs_reference:
            every = [*self.examples, *(example.beside for example in self.examples if example.beside is not None)]
            with torch.no_grad():
                reference = {example.key: self.forward([example]).policy for example in every}
            self.forward.reference |= reference
        draw = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for name, weight in self.model.named_parameters():
                if "lora_B" in name:
                    weight.normal_(0, 0.02, generator=draw)

    def gradient(
        self, examples: list[Example], limit: int = 4096, *, joined: bool = True
    ) -> tuple[float, torch.Tensor]:
        """The loss of a batch and its gradient, all weights in one vector."""
        self.forward.limit, self.forward.padding_free = limit, joined
        self.model.zero_grad()
        figures = mean_loss(self.objective, self.forward, examples, lambda loss: loss.backward())
        found = [weight.grad.flatten() for weight in self.model.parameters() if weight.grad is not None]
        return figures["loss"], torch.cat(found)

    def agree(self, one: tuple[float, torch.Tensor], other: tuple[float, torch.Tensor]) -> None:
        assert one[0] == pytest.approx(other[0], rel=1e-5, abs=1e-6)
        assert ((one[1] - other[1]).norm() / other[1].norm()).item() < 2e-5


@pytest.fixture(scope="module")
def cases(dataset: Any, conversations: datasets.Dataset, pairs: datasets.Dataset, tiny: ModelSource) -> dict[str, Case]:
    asked = [record["prompt"] for record in records(pairs)]
    answers = [record["chosen"] for record in records(pairs)]
    lists = dataset(
        Kind.RANKING,
        [
            ranking(
                ask,
                [{"completion": answers[(number + step) % 11], "score": float(step)} for step in range(2 + number % 3)],
            ).replace(id=f"r{number}")
            for number, ask in enumerate(asked)
        ],
    )
    liked = dataset(
        Kind.FEEDBACK,
        [
            feedback(ask, answers[number], label=number % 3 > 0).replace(id=f"k{number}")
            for number, ask in enumerate(asked)
        ],
    )
    made = {
        "token": (SFT, conversations, {"normalise": "token"}),
        "sequence": (SFT, conversations, {"normalise": "sequence"}),
        "dpo": (DPO, pairs, {}),
        "rrhf": (RRHF, lists, {}),
        "kto": (KTO, liked, {}),
    }
    return {
        name: Case(objective(objective.Config(**PLAIN, **config)), rows, tiny)
        for name, (objective, rows, config) in made.items()
    }


NAMES = ["token", "sequence", "dpo", "rrhf", "kto"]


@pytest.mark.parametrize("name", NAMES)
@given(start=st.integers(0, 8), size=st.integers(2, 11), limit=st.sampled_from([1, 40, 75, 130, 300]))
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_split_has_the_gradient_of_the_whole(
    name: str, cases: dict[str, Case], start: int, size: int, limit: int
) -> None:
    """A window of the data set, the ragged one at its end, too."""
    case = cases[name]
    window = case.examples[start : start + size]
    case.agree(case.gradient(window, limit), case.gradient(window))


@pytest.mark.parametrize("name", NAMES)
def test_joined_rows_have_the_gradient_of_padded_ones(name: str, cases: dict[str, Case]) -> None:
    case = cases[name]
    case.agree(case.gradient(case.examples), case.gradient(case.examples, joined=False))


@pytest.mark.parametrize("name", ["token", "sequence", "dpo", "rrhf"])
def test_k_batches_accumulated_are_one_of_k_times_the_size(name: str, cases: dict[str, Case]) -> None:
    """Three windows of 4, 4 and 3 examples, each weighted by its share, add up to the eleven at once."""
    case = cases[name]
    total = sum(case.objective.weight(example) for example in case.examples)
    loss, gradient = 0.0, torch.zeros(())
    for start in (0, 4, 8):
        window = case.examples[start : start + 4]
        share = sum(case.objective.weight(example) for example in window) / total
        part, slope = case.gradient(window)
        loss, gradient = loss + share * part, gradient + share * slope
    case.agree((loss, gradient), case.gradient(case.examples))


def test_the_last_ragged_step_of_an_epoch_is_the_mean_over_its_own(
    conversations: datasets.Dataset, tmp_path: Any, tiny: ModelSource
) -> None:
    """Of eleven rows in steps of four, the third step holds three; its loss and gradient are those of the three."""

    def first(rows: datasets.Dataset, folder: str, size: int) -> dict[str, Any]:
        settings = SFT.Config(**PLAIN, batch_size=size, shuffle=False, learning_rate=1e-30)
        return SFT(settings).train({"train": rows}, BenchContext(tmp_path / folder, models={"tiny": tiny})).history[-1]

    last, alone = first(conversations, "all", 4), first(conversations.select([8, 9, 10]), "three", 3)
    for name in ("loss", "grad_norm", "supervised_tokens"):
        assert last[name] == pytest.approx(alone[name], rel=1e-5)
