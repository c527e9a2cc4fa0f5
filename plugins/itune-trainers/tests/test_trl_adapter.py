"""TRL's trainers as steps: the same losses as TRL itself, the same books and artifacts as any trainer."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from pydantic import ValidationError

from itune_core.api import (
    Drop,
    Failed,
    ItuneError,
    Kind,
    ModelSource,
    TrainedModel,
    feedback,
    message,
    prompt,
)
from itune_core.testing.context import BenchContext
from itune_trainers.settings import Lora
from itune_trainers.trl import settings as trl_settings
from itune_trainers.trl.adapter import TRL
from itune_trainers.trl.alone import left_alone
from itune_trainers.trl.settings import CLASSES, REFUSED, known_keys

trl = pytest.importorskip("trl")
ONE = {"per_device_train_batch_size": 4, "learning_rate": 0.01, "max_steps": 1}
STEPS = {**ONE, "max_steps": 3}
ONLINE = {"per_device_train_batch_size": 4, "num_generations": 2, "max_completion_length": 6, "max_steps": 4}
LORA = {"rank": 2, "dropout": 0.1}


def config(trainer: str, **given: Any) -> TRL.Config:
    return TRL.Config.model_validate({"model": "tiny", "trainer": trainer, "config": STEPS, **given})


def train(context: BenchContext, rows: datasets.Dataset, trainer: str, **given: Any) -> TrainedModel:
    return TRL(config(trainer, **given)).train({"train": rows}, context)


@pytest.fixture(scope="session")
def ratings(pairs: datasets.Dataset, dataset: Any) -> datasets.Dataset:
    """The answers of the pairs, each alone with what was said of it."""
    return dataset(
        Kind.FEEDBACK,
        (
            feedback(row["prompt"], row[side], label=side == "chosen").replace(id=f"{row['id']}/{side}")
            for row in pairs.to_list()
            for side in ("chosen", "rejected")
        ),
    )


@pytest.fixture(scope="session")
def prompts(pairs: datasets.Dataset, dataset: Any) -> datasets.Dataset:
    """The questions of the pairs."""
    return dataset(Kind.PROMPT, (prompt(row["prompt"]).replace(id=row["id"]) for row in pairs.to_list()))


@pytest.fixture(scope="module")
def judge(tiny: ModelSource, pairs: datasets.Dataset, tmp_path_factory: pytest.TempPathFactory) -> ModelSource:
    """A reward model, trained by the adapter: a head of its own and an adapter on the tiny model."""
    bench = BenchContext(tmp_path_factory.mktemp("judge"), models={"tiny": tiny})
    trained = train(bench, pairs, "reward", lora=LORA)
    assert trained.architecture == "reward"
    return dataclasses.replace(tiny, adapter=trained.folder, architecture="reward", identity="judge", spec="judge")


def turns(messages: list[dict[str, Any]]) -> list[dict[str, str]]:
    return [{"role": turn["role"], "content": turn["content"]} for turn in messages]


def directly(trainer: str, rows: datasets.Dataset, tiny: ModelSource, seed: int, folder: Path) -> Any:
    """A script that uses TRL by itself, as its documentation shows."""
    from peft import LoraConfig
    from transformers import AutoTokenizer

    texts = {name for name in ("messages", "prompt", "completion", "chosen", "rejected") if name in rows.column_names}
    plain = [{name: turns(value) for name, value in row.items() if name in texts} for row in rows.to_list()]
    if trainer == "kto":
        plain = [{**row, "label": given["label"]} for row, given in zip(plain, rows.to_list(), strict=True)]
    name = CLASSES[trainer]
    args = getattr(trl, f"{name}Config")(
        str(folder), seed=seed, use_cpu=True, bf16=False, report_to="none", save_strategy="no", disable_tqdm=True,
        logging_steps=1, gradient_checkpointing=False, **STEPS,
    )  # fmt: skip
    torch.manual_seed(seed)  # TRL 1.10 makes the adapter before it seeds
    made = getattr(trl, f"{name}Trainer")(
        model=str(tiny.files),
        args=args,
        train_dataset=datasets.Dataset.from_list(plain),
        processing_class=AutoTokenizer.from_pretrained(tiny.files),
        peft_config=LoraConfig(
            r=2,
            lora_alpha=32,
            lora_dropout=0.1,
            target_modules="all-linear",
            task_type="SEQ_CLS" if trainer == "reward" else "CAUSAL_LM",
        ),
    )
    made.train()
    return made


@pytest.mark.parametrize(
    ("trainer", "given"), [("sft", "conversations"), ("dpo", "pairs"), ("kto", "ratings"), ("reward", "pairs")]
)
def test_the_losses_are_those_of_trl_itself(
    trainer: str, given: str, request: pytest.FixtureRequest, bench: Any, tiny: ModelSource, tmp_path: Path
) -> None:
    rows = request.getfixturevalue(given)
    context = bench()
    ours = train(context, rows, trainer, lora=LORA)
    theirs = directly(trainer, rows, tiny, context.rng("trl").getrandbits(31), tmp_path / "theirs")
    expected = [entry["loss"] for entry in theirs.state.log_history if "loss" in entry]
    assert [entry["loss"] for entry in ours.history] == expected
    assert len(set(expected)) == 3  # it learnt something
    assert ours.metrics["steps"] == 3
    assert ours.metrics["loss"] == pytest.approx(sum(expected) / 3)
    assert [figures["loss"] for _, _, figures in context.reported if "loss" in figures] == expected
    assert not ours.dropped


def test_what_is_saved_holds_no_code_and_no_local_path(bench: Any, pairs: datasets.Dataset, tiny: ModelSource) -> None:
    for adapter in ("lora", "none"):
        trained = train(bench(adapter), pairs, "dpo", adapter=adapter)
        names = {path.name for path in trained.folder.iterdir()}
        assert names >= {"adapter_model.safetensors"} if adapter == "lora" else {"model.safetensors", "config.json"}
        assert not [name for name in names if name.endswith((".bin", ".pt", ".pth", ".pkl"))]
        for path in trained.folder.iterdir():
            assert str(tiny.files).encode() not in path.read_bytes()
            assert str(trained.folder.parent).encode() not in path.read_bytes()
        assert trained.adapter_of == ("tiny" if adapter == "lora" else None)
        json.dumps([trained.metrics, list(trained.history)], allow_nan=False)
    assert trained.metrics["trained_parameters"] > 10_000


def test_the_adapter_has_the_shape_that_was_asked_for(bench: Any, pairs: datasets.Dataset) -> None:
    shape = {"rank": 3, "alpha": 5.0, "dropout": 0.25, "targets": ["q_proj", "v_proj"], "dora": True, "rslora": True}
    assert set(shape) == set(Lora.model_fields)
    trained = train(bench(), pairs, "dpo", config=ONE, lora=shape)
    saved = json.loads((trained.folder / "adapter_config.json").read_text("utf-8"))
    names = ("r", "lora_alpha", "lora_dropout", "target_modules", "use_dora", "use_rslora")
    assert [saved[name] for name in names] == list(shape.values())


def test_training_goes_on_from_an_adapter_which_is_its_own_reference(
    bench: Any, pairs: datasets.Dataset, conversations: datasets.Dataset, tiny: ModelSource
) -> None:
    first = train(bench("first"), conversations, "sft", lora=LORA, config=ONE)
    models = {"tuned": dataclasses.replace(tiny, adapter=first.folder, identity="tuned", spec="tuned")}
    for adapter in ("lora", "none"):
        context = bench(adapter, **models)
        second = train(context, pairs, "dpo", model="tuned", adapter=adapter)
        # a reference without the adapter would differ from the model before the first step
        assert second.history[0]["loss"] == pytest.approx(math.log(2), abs=1e-6)
        assert second.history[2]["loss"] != pytest.approx(math.log(2), abs=1e-3)
    with pytest.raises(ItuneError, match="E-TRAIN-044"):
        train(bench("shape", **models), pairs, "dpo", model="tuned", lora=LORA)
    rewarded = train(bench("head", **models), pairs, "reward", model="tuned", config=ONE)
    models["judge"] = dataclasses.replace(models["tuned"], adapter=rewarded.folder, architecture="reward")
    assert train(bench("on", **models), pairs, "reward", model="judge", config=ONE).history[0]["loss"] > 0
    with pytest.raises(ItuneError, match="E-TRAIN-044"):
        train(bench("judge", **models), pairs, "dpo", model="judge")


@pytest.mark.parametrize("trainer", ["grpo", "rloo"])
def test_online_trainers_learn_from_a_reward_step(
    trainer: str, bench: Any, prompts: datasets.Dataset, judge: ModelSource
) -> None:
    trained = train(bench(judge=judge), prompts, trainer, rewards=["judge"], config=ONLINE, lora=LORA)
    assert trained.architecture == "causal"
    assert len(trained.history) == 4
    assert all(math.isfinite(entry["rewards/judge/mean"]) for entry in trained.history)
    assert len({entry["rewards/judge/mean"] for entry in trained.history}) > 1


def test_distillation_has_a_teacher(bench: Any, prompts: datasets.Dataset, tiny: ModelSource, tmp_path: Path) -> None:
    from itune_torch import make_tiny_llama

    teacher = ModelSource(make_tiny_llama(tmp_path / "teacher", seed=1), "transformers", "tiny-2", "teacher")
    steps = {"per_device_train_batch_size": 4, "max_completion_length": 6, "max_steps": 2, "learning_rate": 0.01}
    trained = train(bench(teacher=teacher), prompts, "distillation", teacher="teacher", config=steps)
    assert all(entry["loss"] > 0 for entry in trained.history)


class Killed(BaseException):
    """The process dies."""


def test_a_killed_online_training_goes_on_where_completions_were_used_up(
    bench: Any, prompts: datasets.Dataset, judge: ModelSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each batch of completions is used for two steps; going on in between, TRL would make other ones."""
    steps = {**ONLINE, "num_iterations": 2, "learning_rate": 0.01}
    given = {"rewards": ["judge"], "lora": LORA, "save_steps": 1, "config": steps}
    whole = train(bench("whole", judge=judge), prompts, "rloo", **given)
    context = bench("killed", judge=judge)
    tell = context.progress

    def progress(done: int, total: int | None = None, **figures: float) -> None:
        tell(done, total, **figures)
        if figures and done == 4:
            raise Killed

    monkeypatch.setattr(context, "progress", progress)
    with pytest.raises(Killed):
        train(context, prompts, "rloo", **given)
    monkeypatch.undo()
    reported = len(context.reported)
    resumed = train(context, prompts, "rloo", **given)
    assert context.reported[reported][0] == 3
    assert [line["loss"] for line in resumed.history] == [line["loss"] for line in whole.history]
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        assert (resumed.folder / name).read_bytes() == (whole.folder / name).read_bytes()


def test_a_checkpoint_cut_short_is_passed_over(bench: Any, pairs: datasets.Dataset) -> None:
    context = bench()
    train(context, pairs, "dpo", save_steps=1, config={**STEPS, "max_steps": 2})
    (folder,) = context.scratch.glob("trl-*")
    (folder / "checkpoint-9").mkdir()
    (folder / "checkpoint-9" / "trainer_state.json").write_text('{"global_step": 9, ', "utf-8")
    (folder / "checkpoint-8").mkdir()  # nothing in it yet
    reported = len(context.reported)
    assert len(train(context, pairs, "dpo", save_steps=1).history) == 3
    assert context.reported[reported][0] == 3


def test_nothing_is_reported_and_no_generator_is_moved(
    bench: Any, pairs: datasets.Dataset, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from huggingface_hub import constants
    from huggingface_hub.utils import _telemetry

    sent: list[Any] = []
    monkeypatch.setattr(_telemetry, "_start_telemetry_thread", lambda: sent.append("thread"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("CI", raising=False)
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.random.get_rng_state().tolist()
    train(bench(), pairs, "dpo", config=ONE)
    assert not sent
    assert constants.HF_HUB_DISABLE_TELEMETRY is False
    assert before == (random.getstate(), np.random.get_state()[1].tolist(), torch.random.get_rng_state().tolist())
    assert capsys.readouterr().out == ""


def test_rows_that_trl_leaves_out_stand_in_the_books(bench: Any, pairs: datasets.Dataset) -> None:
    trained = train(bench(), pairs, "reward", config={**ONE, "max_length": 50})
    assert 0 < len(trained.dropped) < len(pairs)
    assert {type(verdict) for verdict in trained.dropped.values()} == {Drop}


def test_what_trl_would_pass_over_fails(bench: Any, dataset: Any) -> None:
    from itune_core.api import conversation

    def talk(number: int, **said: Any) -> Any:
        turn = message("assistant", "Yes.", **said)
        return conversation([message("user", f"Is it {number}?"), turn]).replace(id=f"c{number}")

    rows = dataset(Kind.CONVERSATION, [talk(0), talk(1, train=True), talk(2, tool_calls="[]"), talk(3)])
    trained = train(bench(), rows, "sft", config=ONE)
    assert {key: verdict.code for key, verdict in trained.dropped.items() if isinstance(verdict, Failed)} == {
        "c1": "E-TRAIN-045",
        "c2": "E-TRAIN-045",
    }
    with pytest.raises(ItuneError, match="E-TRAIN-042"):
        train(bench("none"), rows.select([1, 2]), "sft")
    with pytest.raises(ItuneError, match="several phases"):
        train(bench("phases"), rows.add_column("phase", [0, 0, 1, 1]), "sft")


def test_an_answer_that_was_not_judged_is_not_taken_for_a_bad_one(
    bench: Any, dataset: Any, ratings: datasets.Dataset
) -> None:
    rated = feedback([message("user", "And?")], [message("assistant", "So.")], value=0.5).replace(id="unjudged")
    rows = datasets.concatenate_datasets([ratings, dataset(Kind.FEEDBACK, [rated])])
    trained = TRL(config("kto", config=ONE)).train({"train": rows, "eval": rows}, bench())
    assert {key: getattr(verdict, "code", None) for key, verdict in trained.dropped.items()} == {
        "unjudged": "E-TRAIN-071"
    }
    assert trained.metrics["eval_dropped"] == 1


def test_a_teacher_must_write(bench: Any, prompts: datasets.Dataset, judge: ModelSource) -> None:
    with pytest.raises(ItuneError, match="E-TRAIN-044"):
        train(bench(judge=judge), prompts, "distillation", teacher="judge")


def test_what_is_set_for_the_whole_process_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """As ``torch_compile``, ``log_level`` and ``tf32`` do."""
    from transformers.utils import logging

    monkeypatch.setenv("ITUNE_TEST_KEPT", "before")
    verbosity = logging.get_verbosity()
    with left_alone(0):
        os.environ |= {"ACCELERATE_DYNAMO_BACKEND": "inductor", "ITUNE_TEST_KEPT": "after"}
        logging.set_verbosity_debug()
        torch.backends.fp32_precision = "tf32"
    assert os.environ["ITUNE_TEST_KEPT"] == "before"
    assert "ACCELERATE_DYNAMO_BACKEND" not in os.environ
    assert logging.get_verbosity() == verbosity
    assert torch.backends.fp32_precision == "none"


def test_sft_of_completions_is_told_where_they_begin(bench: Any, conversations: datasets.Dataset) -> None:
    losses = [
        train(bench(name), conversations, "sft", config={**ONE, **given}).history[0]["loss"]
        for name, given in {"whole": {}, "completions": {"completion_only_loss": True}}.items()
    ]
    assert abs(losses[0] - losses[1]) > 0.01


def test_margins_are_of_all_or_of_none(bench: Any, pairs: datasets.Dataset) -> None:
    wide = pairs.map(lambda row: {"margin": 3.0})
    plain, apart = (
        train(bench(name), rows, "reward", config=ONE) for name, rows in {"plain": pairs, "wide": wide}.items()
    )
    assert apart.history[0]["loss"] > plain.history[0]["loss"]
    some = pairs.map(lambda row, number: {"margin": 3.0 if number else None}, with_indices=True)
    with pytest.raises(ItuneError, match="E-TRAIN-046"):
        train(bench("some"), some, "reward")


def test_held_out_rows_are_measured(bench: Any, pairs: datasets.Dataset) -> None:
    inputs = {"train": pairs.select(range(8)), "eval": pairs.select(range(8, 11))}
    trained = TRL(config("dpo")).train(inputs, bench())
    assert trained.metrics["eval_loss"] > 0
    assert not [name for name in trained.metrics if "runtime" in name or "per_second" in name]


def test_a_loss_that_is_no_number_stops_the_training(bench: Any, conversations: datasets.Dataset) -> None:
    with pytest.raises(ItuneError, match="E-TRAIN-047"):
        train(bench(), conversations, "sft", config={**STEPS, "learning_rate": 1e30, "max_grad_norm": 1e30})


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"lerning_rate": 1e-4}, "did you mean 'learning_rate'"),
        ({"sede": 1}, "has no 'sede'"),
        *(({key: None}, f"{key} cannot be set") for key in REFUSED),
        ({"model_init_kwargs": {"trust_remote_code": True}}, "trust_remote_code"),
        ({"model_init_kwargs": {"attn_implementation": "kernels-community/flash"}}, "code of the hub"),
        ({"deepspeed": "zero3.json"}, "must be a mapping"),
    ],
)
def test_keys_are_refused_before_any_work(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        config("dpo", config=given)


@pytest.mark.parametrize(
    ("trainer", "given"),
    [("grpo", {}), ("dpo", {"rewards": ["judge"]}), ("distillation", {}), ("sft", {"teacher": "t"}),
     ("sft", {"adapter": "none", "lora": LORA})],
)  # fmt: skip
def test_settings_that_do_not_fit_the_trainer_are_refused(trainer: str, given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        config(trainer, **given)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"learning_rate": "fast"}, "E-TRAIN-041"),
        ({"truncation_mode": "middle"}, "E-TRAIN-041"),
        ({"loss_weights": [1.0, 2.0]}, "E-TRAIN-043"),
        ({"loss_type": "exo_pair"}, "E-TRAIN-043"),
        ({"f_divergence_type": "total", "use_cpu": True}, "E-TRAIN-043"),
    ],
)
def test_values_that_trl_refuses(given: dict[str, Any], code: str, bench: Any, pairs: datasets.Dataset) -> None:
    with pytest.raises(ItuneError, match=code):
        train(bench(), pairs, "dpo", config=given)


def test_a_number_that_yaml_took_for_text_is_a_number(bench: Any, pairs: datasets.Dataset) -> None:
    first, second = (
        train(bench(str(number)), pairs, "dpo", config={**ONE, "learning_rate": rate})
        for number, rate in enumerate(["1e-2", 0.01])
    )
    assert first.history == second.history


@pytest.mark.parametrize("trainer", CLASSES)
def test_the_known_keys_are_those_of_the_class(trainer: str) -> None:
    cls = getattr(trl, f"{CLASSES[trainer]}Config")
    assert known_keys(trainer) == {field.name for field in dataclasses.fields(cls) if field.init}


def test_every_stable_trainer_is_offered() -> None:
    assert {name.removesuffix("Trainer") for name in dir(trl) if name.endswith("Trainer")} == set(CLASSES.values())
    assert REFUSED.keys() <= frozenset().union(*map(known_keys, CLASSES), {"logging_dir"})


def test_without_trl_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    find: Callable[[str], Any] = trl_settings.find_spec
    known_keys.cache_clear()
    monkeypatch.setattr(trl_settings, "find_spec", lambda name: None if name == "trl" else find(name))
    with pytest.raises(ItuneError, match=r"itune-trainers\[trl\]") as raised:
        config("dpo")
    assert raised.value.code == "E-TRAIN-040"
    monkeypatch.undo()
    known_keys.cache_clear()
    made = config("dpo")
    monkeypatch.setitem(__import__("sys").modules, "trl", None)
    with pytest.raises(ItuneError, match="E-TRAIN-040"):
        TRL(made).train({}, None)  # type: ignore[arg-type]


def test_what_it_takes_depends_on_the_trainer() -> None:
    taken = {trainer: TRL.inputs_for(TRL.Config.model_construct(trainer=trainer))["train"].kinds for trainer in CLASSES}
    assert taken["kto"] == (Kind.FEEDBACK,)
    assert taken["grpo"] == (Kind.PROMPT,)
    assert {kind for kinds in taken.values() for kind in kinds} == set(TRL.inputs["train"].kinds)
