"""An adapter that is added into its base computes what it did, and what does not is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch

from itune_core.api import ModelError, ModelSource
from itune_core.testing.context import BenchContext
from itune_trainers.model import merging
from itune_trainers.objectives.sft import SFT

Bench = Callable[..., BenchContext]
PLAIN = {"model": "tiny", "dtype": "float32", "device": "cpu", "learning_rate": 0.01, "batch_size": 4}


@pytest.fixture
def adapted(conversations: datasets.Dataset, bench: Bench, tiny: ModelSource) -> ModelSource:
    made = SFT(SFT.Config(**PLAIN)).train({"train": conversations}, bench("adapted"))
    return replace(tiny, adapter=made.folder, identity="adapted")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_is_saved_computes_what_was_trained(dtype: Any, adapted: ModelSource, tmp_path: Path) -> None:
    found = merging.merge("causal", adapted, tmp_path / "out", dtype)
    assert found["merging"] <= found["tolerance"] < 0.01 * found["adapter"]
    assert found["saving"] == 0
    assert found["rows"] == 4, "three of random tokens and a question"
    if dtype == "float32":
        assert found["difference"] == found["merging"]
    else:
        assert found["difference"] < 0.1 * found["largest"], "eight bits a weight"


def test_stops_and_padding_are_named(adapted: ModelSource, tmp_path: Path) -> None:
    from transformers import AutoTokenizer, GenerationConfig

    merging.merge("causal", adapted, tmp_path / "out", "float32")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    ends = GenerationConfig.from_pretrained(tmp_path / "out")
    assert ends.eos_token_id == tokenizer.eos_token_id
    assert ends.pad_token_id == tokenizer.pad_token_id


def test_a_model_without_template_is_compared_on_random_rows(adapted: ModelSource, tmp_path: Path) -> None:
    assert adapted.adapter
    (adapted.adapter / "chat_template.jinja").unlink()
    assert merging.merge("causal", adapted, tmp_path / "out", "float32")["rows"] == 3


@pytest.mark.parametrize("what", ["merging", "saving"])
def test_what_computes_something_else_is_refused(
    what: str, adapted: ModelSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The adapter is lost on the way; a weight is lost when it is saved."""
    from itune_trainers.forward.causal import Causal

    load, save = Causal.load, merging.save_model

    def forgets(source: ModelSource, *, adapter: str, **rest: Any) -> Any:
        return load(replace(source, adapter=None) if adapter == "merge" else source, adapter=adapter, **rest)

    def spoils(model: Any, tokenizer: Any, folder: Path) -> None:
        with torch.no_grad():
            model.get_input_embeddings().weight[5:9] = 0
        save(model, tokenizer, folder)

    if what == "merging":
        monkeypatch.setattr(Causal, "load", staticmethod(forgets))
    else:
        monkeypatch.setattr(merging, "save_model", spoils)
    with pytest.raises(ModelError, match=f"{what} changes what the model computes") as found:
        merging.merge("causal", adapted, tmp_path / "out", "bfloat16")
    assert found.value.code == "E-TRAIN-080"


def test_no_adapter(tiny: ModelSource, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="E-TRAIN-081"):
        merging.merge("causal", tiny, tmp_path / "out", "float32")
