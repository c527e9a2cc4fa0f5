"""Conditional tuning: which token a record gets, what is trained, what is saved, and that asking for good gets it."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import datasets
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from itune_core.api import DataError, Kind, ModelError, ModelSource, feedback, message
from itune_core.testing.context import BenchContext
from itune_torch import generate, load_causal, load_tokenizer, logprobs, pad, with_variables
from itune_trainers.objectives.conditional import Conditional, quantile_starts
from itune_trainers.objectives.dpo import DPO
from itune_trainers.rows.control import plain
from itune_trainers.rows.encoder import Encoder

Bench = Callable[..., BenchContext]
SETTINGS = {"model": "tiny", "dtype": "float32", "device": "cpu", "learning_rate": 5e-3, "batch_size": 4}
KIND, RUDE = "Gladly: here it is.", "No. Go away."
ASKED = ["May I have the salt?", "Where is the key?", "What is the time?", "Is there more tea?"]


def said(ask: str, answer: str, identity: str, **judged: Any) -> Any:
    return feedback([message("user", ask)], [message("assistant", answer)], **judged).replace(id=identity)


@pytest.fixture(scope="module")
def judged(dataset: Any) -> datasets.Dataset:
    """A kind answer to each question, which was liked, and a rude one."""
    return dataset(
        Kind.FEEDBACK,
        (
            said(ask, answer, f"{number}-{liked}", label=liked, value=2.0 * liked - 1)
            for number, ask in enumerate(ASKED)
            for answer, liked in ((KIND, True), (RUDE, False))
        ),
    )


@pytest.fixture(scope="module")
def tuned(judged: datasets.Dataset, tiny: ModelSource, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """What twelve epochs gave, and its source."""
    context = BenchContext(tmp_path_factory.mktemp("tuned"), models={"tiny": tiny})
    made = Conditional(Conditional.Config(**SETTINGS, epochs=12)).train({"train": judged, "eval": judged}, context)
    return made, replace(tiny, adapter=made.folder, identity="tuned-1", spec="tuned")


def answers(source: ModelSource, **control: str) -> list[str]:
    """What the saved model says to each question."""
    tokenizer, model = load_tokenizer(source), load_causal(source, adapter="merge").eval()
    if control:
        tokenizer = with_variables(tokenizer, control)
    turns = [[{"role": "user", "content": ask}] for ask in ASKED]
    prompts = [tokenizer.apply_chat_template(turn, add_generation_prompt=True, return_dict=False) for turn in turns]
    return [made.text for made in generate(model, tokenizer, prompts, max_new_tokens=24)]


def test_a_tuned_model_answers_well_and_badly_if_asked_to(tuned: tuple[Any, ModelSource]) -> None:
    _, source = tuned
    assert answers(source) == [KIND] * len(ASKED)
    assert answers(source, control="<|good|>\n") == [KIND] * len(ASKED)
    assert answers(source, control="<|bad|>\n") == [RUDE] * len(ASKED)


def test_each_token_makes_its_own_answers_likelier(tuned: tuple[Any, ModelSource]) -> None:
    """Also on a question that was not trained on, than the other token does; in nats."""
    _, source = tuned
    model = load_causal(source, adapter="merge").eval()
    good, bad = "<|good|>\n", "<|bad|>\n"

    def likelihood(answer: str, token: str) -> float:
        encoder = Encoder(load_tokenizer(source), 128, "error").using(control=token)
        row = encoder.completion(said("Could you pass the bread?", answer, "new", label=True), "completion")
        with torch.no_grad():
            return float(logprobs(model, pad([row])).sum())

    assert likelihood(KIND, good) > likelihood(KIND, bad) + 2
    assert likelihood(RUDE, bad) > likelihood(RUDE, good) + 2


def test_both_sorts_are_learned_and_logged_apart(tuned: tuple[Any, ModelSource]) -> None:
    metrics = tuned[0].metrics
    for name in ("good", "bad"):
        assert metrics[f"eval/loss/{name}"] < 0.5 < metrics[f"eval/loss/{name}/before"]
        assert metrics[f"records/{name}"] == len(ASKED)
    assert metrics["eval/loss"] < metrics["eval/loss/before"]
    assert metrics["boundary_tokens"] == 0


def test_only_the_answer_is_trained(judged: datasets.Dataset, bench: Bench) -> None:
    shown = dict(Conditional(Conditional.Config(**SETTINGS)).preview({"train": judged}, bench()))
    for name, token, answer in (("0-True", "<|good|>\n", KIND), ("0-False", "<|bad|>\n", RUDE)):
        untrained = "".join(text for text, trained in shown[name] if not trained)
        assert untrained == f"<|im_start|>user\n{ASKED[0]}<|im_end|>\n<|im_start|>assistant\n{token}"
        assert "".join(text for text, trained in shown[name] if trained) == f"{answer}<|im_end|>\n"


@pytest.mark.parametrize("adapter", ["lora", "none"])
def test_a_known_row_is_not_tokenised_again_and_not_mistaken(
    adapter: str, judged: datasets.Dataset, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same texts with another token are other rows, for the cache as well."""
    import itune_torch

    made: list[str] = []
    encode = itune_torch.encode_completion

    def counted(tokenizer: Any, *arguments: Any, **more: Any) -> Any:
        made.append(more["row"])
        return encode(tokenizer, *arguments, **more)

    monkeypatch.setattr(itune_torch, "encode_completion", counted)
    turned = judged.map(lambda row: {"label": not row["label"]})
    config = Conditional.Config(**SETTINGS, adapter=adapter)
    context = bench()
    losses = [Conditional(config).train({"train": rows}, context).metrics["loss"] for rows in (judged, judged)]
    assert losses[0] == losses[1]
    assert len(made) == len(judged)
    Conditional(config).train({"train": turned}, context)
    assert len(made) == 2 * len(judged)


def test_the_tokenizer_goes_where_the_adapter_goes(tuned: tuple[Any, ModelSource], bench: Bench, pairs: Any) -> None:
    """Beside the adapter, and beside one that was trained on from there."""
    _, source = tuned
    template = load_tokenizer(source).chat_template
    base = load_tokenizer(replace(source, adapter=None)).chat_template
    assert template != base
    assert plain(template) == base
    context = bench(tuned=source)
    made = DPO(DPO.Config(**{**SETTINGS, "model": "tuned"})).train({"train": pairs}, context)
    assert load_tokenizer(replace(source, adapter=made.folder)).chat_template == template


@given(st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=30), st.integers(2, 6))
def test_quantiles(values: list[float], quantiles: int) -> None:
    """By the definition, record by record; equal values together, the best value in the best quantile."""
    starts = quantile_starts(values, quantiles)
    ordered = sorted(values)
    for value in values:
        place = bisect_right(starts, value)
        last = max(index for index, other in enumerate(ordered) if other == value)
        assert place == max(k for k in range(quantiles) if k == 0 or last >= _first(k, len(values), quantiles))
    assert bisect_right(starts, max(values)) == quantiles - 1


def _first(k: int, count: int, quantiles: int) -> int:
    return min(math.ceil(k * count / quantiles), count - 1)


def test_values_in_order_are_shared_out_evenly(dataset: Any, bench: Bench) -> None:
    rows = dataset(Kind.FEEDBACK, (said(f"Number {n}?", f"It is {n}.", f"v{n}", value=float(n % 9)) for n in range(9)))
    tokens = ["<|low|>\n", "<|middle|>\n", "<|high|>\n"]
    conditional = Conditional(Conditional.Config(**SETTINGS, by="value", tokens=tokens))
    shown = dict(conditional.preview({"train": rows}, bench()))
    found = [next(t for t in tokens if t in "".join(text for text, _ in shown[f"v{n}"])) for n in range(9)]
    assert found == [token for token in tokens for _ in range(3)]
    made = conditional.train({"train": rows, "eval": rows}, bench())
    assert [made.metrics[f"records/{place}"] for place in range(3)] == [3, 3, 3]
    assert {"eval/loss/0", "eval/loss/1", "eval/loss/2"} <= made.metrics.keys()


@pytest.mark.parametrize(
    ("settings", "judged_as", "why"),
    [({}, {"label": True}, "all have the same label"), ({"by": "value"}, {"value": 1.0}, "the same value")],
)
def test_a_token_that_no_record_gets_is_refused(
    settings: dict[str, Any], judged_as: dict[str, Any], why: str, dataset: Any, bench: Bench
) -> None:
    rows = dataset(Kind.FEEDBACK, (said(ask, KIND, ask, **judged_as) for ask in ASKED))
    with pytest.raises(DataError) as error:
        Conditional(Conditional.Config(**SETTINGS, **settings)).train({"train": rows}, bench())
    assert error.value.code == "E-TRAIN-074"
    assert why in str(error.value.why)


def test_what_cannot_be_used_fails_alone(dataset: Any, judged: datasets.Dataset, bench: Bench) -> None:
    bad = dataset(
        Kind.FEEDBACK,
        [said("And?", "So.", "unjudged", value=1.0), said("And <|bad|>?", "So.", "typed", label=True)],
    )
    rows = datasets.concatenate_datasets([judged, bad])
    made = Conditional(Conditional.Config(**SETTINGS)).train({"train": rows}, bench())
    assert {name: failed.code for name, failed in made.dropped.items()} == {
        "unjudged": "E-TRAIN-071",
        "typed": "E-TRAIN-072",
    }


def test_a_model_without_a_chat_template_is_refused(
    judged: datasets.Dataset, tiny: ModelSource, bench: Bench, tmp_path: Any
) -> None:
    import shutil

    shutil.copytree(tiny.files, tmp_path / "bare")
    (tmp_path / "bare" / "chat_template.jinja").unlink()
    bare = ModelSource(tmp_path / "bare", "transformers", "bare", "bare")
    with pytest.raises(ModelError) as error:
        Conditional(Conditional.Config(**{**SETTINGS, "model": "bare"})).train({"train": judged}, bench(bare=bare))
    assert error.value.code == "E-TRAIN-073"


@pytest.mark.parametrize(
    "wrong",
    [{"tokens": ["a", "b", "c"]}, {"tokens": ["a"]}, {"tokens": ["a", " a "]}, {"tokens": ["a", "\n"]}, {"beta": 0.1}],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Conditional.Config(**SETTINGS, **wrong)
