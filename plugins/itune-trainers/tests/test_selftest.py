"""The self-test passes on a sound model, and each check fails where what it checks is broken."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from itune_core.api import Check, ModelSource
from itune_core.testing.context import BenchContext
from itune_trainers.objectives.dpo import DPO
from itune_trainers.objectives.sft import SFT
from itune_trainers.selftest import checks as module

Bench = Callable[..., BenchContext]
PLAIN = {"model": "tiny", "dtype": "float32", "device": "cpu"}


def checks(context: BenchContext, trainer: Any = SFT, **settings: Any) -> dict[str, Check]:
    return {check.name: check for check in trainer(trainer.Config(**{**PLAIN, **settings})).selftest(context)}


def failed(found: dict[str, Check]) -> set[str]:
    return {name for name, check in found.items() if not check.passed}


def with_template(source: ModelSource, folder: Path, change: Callable[[str], str]) -> ModelSource:
    """A copy of a model whose chat template is another."""
    shutil.copytree(source.files, folder)
    template = folder / "chat_template.jinja"
    template.write_text(change(template.read_text("utf-8")), "utf-8")
    return replace(source, files=folder, identity=folder.name)


def test_a_sound_model_passes(bench: Bench) -> None:
    state = torch.random.get_rng_state()
    found = checks(bench())
    assert [*found] == ["mask", "ends", "isolation", "accumulation", "learning to stop", "resume"]
    assert failed(found) == set()
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_preference_objective_is_checked_without_learning_to_stop(bench: Bench) -> None:
    found = checks(bench(), DPO)
    assert failed(found) == set()
    assert "learning to stop" not in found


def test_all_weights(bench: Bench) -> None:
    assert failed(checks(bench(), adapter="none", learning_rate=1e-3)) == set()


def test_dropout_and_noise_are_not_taken_for_a_wrong_sum(bench: Bench) -> None:
    assert failed(checks(bench(), lora={"dropout": 0.3}, neftune_alpha=5.0)) == set()


def test_a_template_that_drops_the_end(tiny: ModelSource, bench: Bench, tmp_path: Path) -> None:
    endless = with_template(tiny, tmp_path / "endless", lambda text: text.replace("<|im_end|>", ""))
    found = checks(bench(tiny=endless))
    assert failed(found) == {"ends", "learning to stop"}
    assert found["ends"].figure == 0
    assert "E-TRAIN-084" in found["learning to stop"].note


def test_a_model_that_stops_at_another_token(tiny: ModelSource, bench: Bench, tmp_path: Path) -> None:
    """Where the template's end of turn is no end for the tokenizer, the generation config must name it."""
    other = with_template(tiny, tmp_path / "other", lambda text: text)
    settings = json.loads((other.files / "tokenizer_config.json").read_text())
    (other.files / "tokenizer_config.json").write_text(json.dumps({**settings, "eos_token": "<|endoftext|>"}))
    ends = other.files / "generation_config.json"
    ends.write_text(json.dumps({**json.loads(ends.read_text()), "eos_token_id": 0}))
    assert failed(checks(bench("no", tiny=other))) == {"ends", "learning to stop"}
    ends.write_text(json.dumps({**json.loads(ends.read_text()), "eos_token_id": [0, 2]}))
    assert failed(checks(bench("yes", tiny=other))) == set()


def test_a_template_that_rewrites_earlier_turns(tiny: ModelSource, bench: Bench, tmp_path: Path) -> None:
    last = with_template(
        tiny,
        tmp_path / "last",
        lambda text: text.replace("message['content']", "(message['content'] if loop.last else '...')"),
    )
    found = checks(bench(tiny=last))
    assert not found["mask"].passed
    assert "E-TORCH-013" in found["mask"].note


def test_no_template(tiny: ModelSource, bench: Bench, tmp_path: Path) -> None:
    bare = with_template(tiny, tmp_path / "bare", lambda text: text)
    (bare.files / "chat_template.jinja").unlink()
    found = checks(bench(tiny=bare), DPO)
    assert {"mask", "ends", "isolation", "accumulation", "resume"} == failed(found)
    assert "E-TORCH-011" in found["mask"].note


class Deaf(torch.nn.Module):
    """A model that ignores positions, and so lets joined rows read each other."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Any, position_ids: Any, **rest: Any) -> Any:
        rest.pop("row_lengths", None)
        return self.model(input_ids=input_ids, **rest)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("model"), name)


def test_a_model_that_leaks(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    load = module._load
    monkeypatch.setattr(module, "_load", lambda trial, source: Deaf(load(trial, source)))
    found = checks(bench())
    assert failed(found) == {"isolation"}
    assert found["isolation"].figure > 0.1
    assert "padded" in found["isolation"].note


def test_a_loss_that_depends_on_how_rows_are_joined(bench: Bench) -> None:
    class Wrong(SFT):
        def loss(self, logps: Any) -> Any:
            return super().loss(logps) * (1 + len(logps.policy))

    assert "accumulation" in failed(checks(bench(), Wrong))


def test_a_training_that_cannot_go_on(bench: Bench) -> None:
    class Fresh(SFT):
        drawn = 0

        def loss(self, logps: Any) -> Any:
            Fresh.drawn += 1
            return super().loss(logps) * (1 + Fresh.drawn / 100)

    found = checks(bench(), Fresh)
    assert not found["resume"].passed
    assert found["resume"].figure == 1


def test_a_training_that_unlearns_to_stop(bench: Bench) -> None:
    class Backwards(SFT):
        def loss(self, logps: Any) -> Any:
            return -super().loss(logps)

    assert failed(checks(bench(), Backwards)) == {"learning to stop"}
