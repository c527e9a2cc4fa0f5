"""What a saved folder computes, by its config."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from itune_core.engine.digest import FileDigests
from itune_core.engine.models import Resolver


@pytest.mark.parametrize(
    ("config", "architecture"),
    [
        ({"architectures": ["LlamaForCausalLM"]}, "causal"),
        ({"architectures": ["LlamaForSequenceClassification"]}, "reward"),
        ({"architectures": ["T5ForConditionalGeneration"], "is_encoder_decoder": True}, "seq2seq"),
        ({"architectures": None}, "causal"),
        ({}, "causal"),
    ],
)
def test_an_architecture_is_read_from_the_config(tmp_path: Path, config: dict[str, object], architecture: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    found = Resolver(FileDigests(tmp_path / "digests.json"), True, tmp_path).find("./model")
    assert found.architecture == architecture
