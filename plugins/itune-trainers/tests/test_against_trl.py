"""The loss of one batch equals TRL's on the same rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch

from itune_core.api import ModelSource, records
from itune_trainers.algorithm import Logps
from itune_trainers.forward.causal import Causal
from itune_trainers.objectives.apo_zero import APOZero
from itune_trainers.objectives.cdpo import CDPO
from itune_trainers.objectives.dpo import DPO
from itune_trainers.objectives.exo import EXO
from itune_trainers.objectives.ipo import IPO
from itune_trainers.objectives.robust_dpo import RobustDPO
from itune_trainers.objectives.rso_hinge import RSOHinge
from itune_trainers.objectives.rso_sigmoid import RSOSigmoid
from itune_trainers.objectives.sft import SFT
from itune_trainers.objectives.slic_norm import SLiCNorm
from itune_trainers.objectives.sppo import SPPO
from itune_trainers.pairs import PairObjective
from itune_trainers.rows.encoder import Encoder
from itune_trainers.training.loop import mean_loss

pytest.importorskip("trl")
ARGUMENTS = {
    "per_device_train_batch_size": 11,
    "use_cpu": True,
    "bf16": False,
    "report_to": "none",
    "save_strategy": "no",
    "gradient_checkpointing": False,
    "disable_tqdm": True,
    "max_length": 256,
}


def turns(messages: list[dict[str, Any]]) -> list[dict[str, str]]:
    return [{"role": message["role"], "content": message["content"]} for message in messages]


def test_sft(tiny: ModelSource, conversations: datasets.Dataset, tmp_path: Path) -> None:
    from trl import SFTConfig, SFTTrainer

    from itune_torch import load_causal, load_tokenizer

    tokenizer = load_tokenizer(tiny)
    rows = datasets.Dataset.from_list(
        [
            {"prompt": turns(row["messages"][:-1]), "completion": turns(row["messages"][-1:])}
            for row in conversations.to_list()
        ]
    )
    trainer = SFTTrainer(
        model=load_causal(tiny),
        args=SFTConfig(str(tmp_path), **ARGUMENTS),
        train_dataset=rows,
        processing_class=tokenizer,
    )
    theirs = trainer.compute_loss(trainer.model, next(iter(trainer.get_train_dataloader()))).item()

    sft = SFT(SFT.Config(model="tiny"))
    encoder = Encoder(tokenizer, 256, "error")
    examples = [sft.example(record, encoder) for record in records(conversations)]
    with torch.no_grad():
        ours = mean_loss(sft, Causal(load_causal(tiny), "cpu", 64), examples)["loss"]
    assert ours == pytest.approx(theirs, abs=1e-5)


OBJECTIVES: dict[str, tuple[PairObjective, dict[str, Any]]] = {
    "dpo": (DPO(DPO.Config(model="tiny", beta=0.3)), {"loss_type": ["sigmoid"]}),
    "ipo": (IPO(IPO.Config(model="tiny", beta=0.3)), {"loss_type": ["ipo"]}),
    "slic-norm": (SLiCNorm(SLiCNorm.Config(model="tiny", beta=0.3)), {"loss_type": ["hinge"]}),
    "robust-dpo": (
        RobustDPO(RobustDPO.Config(model="tiny", beta=0.3, label_smoothing=0.2)),
        {"loss_type": ["robust"], "label_smoothing": 0.2},
    ),
    "exo": (
        EXO(EXO.Config(model="tiny", beta=0.3, label_smoothing=0.2)),
        {"loss_type": ["exo_pair"], "label_smoothing": 0.2},
    ),
    "sppo": (SPPO(SPPO.Config(model="tiny", beta=0.3)), {"loss_type": ["sppo_hard"]}),
    "apo-zero": (APOZero(APOZero.Config(model="tiny", beta=0.3)), {"loss_type": ["apo_zero"]}),
    "rso-sigmoid": (RSOSigmoid(RSOSigmoid.Config(model="tiny", gamma=0.3)), {"loss_type": ["sigmoid"]}),
    "rso-hinge": (RSOHinge(RSOHinge.Config(model="tiny", gamma=0.3)), {"loss_type": ["hinge"]}),
}
"""Ours, and what TRL calls it."""


@pytest.fixture(scope="module")
def measured(
    tiny: ModelSource, pairs: datasets.Dataset, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[PairObjective, dict[str, Any]], tuple[float, float]]:
    """The loss of all pairs by our objective, and by TRL's trainer."""
    from trl import DPOConfig, DPOTrainer

    from itune_torch import load_causal, load_tokenizer, make_tiny_llama

    folder = tmp_path_factory.mktemp("trl")
    tokenizer = load_tokenizer(tiny)
    # A reference that is another model, or every log-ratio would be 0 and nothing compared.
    other = ModelSource(make_tiny_llama(folder / "other", seed=1), "transformers", "tiny-2", "other")
    rows = datasets.Dataset.from_list(
        [{key: turns(row[key]) for key in ("prompt", "chosen", "rejected")} for row in pairs.to_list()]
    )
    encoder = Encoder(tokenizer, 256, "error")

    def measure(objective: PairObjective, options: dict[str, Any]) -> tuple[float, float]:
        trainer = DPOTrainer(
            model=load_causal(tiny),
            ref_model=load_causal(other),
            args=DPOConfig(str(folder), beta=0.3, **options, **ARGUMENTS),
            train_dataset=rows,
            processing_class=tokenizer,
        )
        theirs = trainer.compute_loss(trainer.model, next(iter(trainer.get_train_dataloader()))).item()
        examples = [objective.example(record, encoder) for record in records(pairs)]
        with torch.no_grad():
            reference = {example.key: Causal(load_causal(other), "cpu", 64)([example]).policy for example in examples}
            forward = Causal(load_causal(tiny), "cpu", 64)
            forward.reference = reference
            ours = mean_loss(objective, forward, examples)["loss"]
        return ours, theirs

    return measure


@pytest.mark.parametrize(("objective", "options"), OBJECTIVES.values(), ids=OBJECTIVES)
def test_preferences(measured: Any, objective: PairObjective, options: dict[str, Any]) -> None:
    ours, theirs = measured(objective, options)
    assert ours == pytest.approx(theirs, rel=1e-5, abs=1e-5)
    with torch.no_grad():  # a model that is its own reference would have this loss
        zeros, ones = torch.zeros(2), torch.ones(2, dtype=torch.int64)
        coin = objective.loss(Logps(zeros, zeros, ones, torch.ones(1), torch.tensor([2]), zeros)).item()
    assert abs(ours - coin) > 1e-3


def test_trl_ignores_label_smoothing_where_we_do_not(measured: Any) -> None:
    """TRL's `sigmoid` reads no label_smoothing any more: what looks like conservative DPO there is plain DPO."""
    smoothed = {"loss_type": ["sigmoid"], "label_smoothing": 0.2}
    ours, theirs = measured(CDPO(CDPO.Config(model="tiny", beta=0.3, label_smoothing=0.2)), smoothed)
    plain, _ = measured(DPO(DPO.Config(model="tiny", beta=0.3)), smoothed)
    assert plain == pytest.approx(theirs, rel=1e-5)
    assert abs(ours - theirs) > 1e-3
